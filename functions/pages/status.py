"""`/api/status`: the page for people."""

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus

import azure.functions as func

from functions.api.endpoint import caller_of, guarded, logged_problem
from functions.api.principal import Role
from functions.api.problems import Problem
from functions.api.responses import COMMON_HEADERS
from functions.pages.status_page import CONTENT_SECURITY_POLICY, Status, page, settings_page
from shared.environment import SettingsError
from shared.inputs import readable
from shared.partner_center.errors import PartnerCenterError
from shared.partner_center.resources import Customer
from shared.safety.rules import Refused
from shared.services import Services, built_services, current_services
from shared.settings import Settings
from shared.storage.records import DeletionRecord, State, UnreadableRow

blueprint = func.Blueprint()


@blueprint.route(route="status", methods=["GET"])
def show_status(req: func.HttpRequest) -> func.HttpResponse:
    """Show slots, deletions and what needs attention, or which settings are missing or wrong."""
    try:
        built_services()
    except SettingsError as error:
        problem = logged_problem(error)
        return _html(settings_page(problem.type.title, problem.detail), problem)
    return _current_status(req)


@guarded(Role.READER)
def _current_status(req: func.HttpRequest) -> func.HttpResponse:
    services = current_services()
    rows = tuple(services.records.rows())
    records = tuple(row for row in rows if isinstance(row, DeletionRecord))
    customers, trouble = _customers(services, records)
    status = Status(
        partner=services.settings.partner_center.tenant_id,
        now=services.now(),
        switch=services.switch.read(),
        records=records,
        customers=customers,
        trouble=trouble,
        rejected=tuple(services.rejected.all()),
        shows_rejected=caller_of(req).role >= Role.OPERATOR,
        warnings=tuple(_warnings(services.settings, rows)),
        budget=services.budget.fill(),
    )
    return _html(page(status))


def _html(document: str, problem: Problem | None = None) -> func.HttpResponse:
    later = {} if problem is None else {"Retry-After": str(problem.retry_after)}
    return func.HttpResponse(
        readable(document),
        status_code=HTTPStatus.OK if problem is None else problem.type.status,
        headers={**COMMON_HEADERS, **later, "Content-Security-Policy": CONTENT_SECURITY_POLICY},
        mimetype="text/html",
    )


def _warnings(settings: Settings, rows: Iterable[DeletionRecord | UnreadableRow]) -> Iterator[str]:
    for name in settings.unknown:
        yield f"the setting {name}, which this version does not know"
    for row in rows:
        if isinstance(row, UnreadableRow):
            yield f"a row of the table of deletions. {row.reason}"


def _customers(
    services: Services, records: Iterable[DeletionRecord]
) -> tuple[Mapping[str, Customer], str]:
    """Return the customers, or why they cannot be listed: the rest of the page still helps.

    The listing may be a minute old, so customers deleted since are left out.
    """
    deleted = {record.tenant for record in records if record.state is State.DELETED}
    try:
        with services.conversation() as client:
            listed = services.safety.customers.current(client)
    except (Refused, PartnerCenterError) as error:
        return {}, str(error)
    return {tenant: each for tenant, each in listed.items() if tenant not in deleted}, ""
