"""What stands around each HTTP function: who may call, and what an error is answered with."""

import functools
from collections.abc import Callable

import azure.functions as func
from azure.core.exceptions import AzureError

from functions.api.principal import require_principal
from functions.api.problems import problem_of
from functions.api.responses import problem_response
from shared.deletion.error_handling import trip
from shared.errors import TipsweepError
from shared.events import Event, emit
from shared.partner_center.errors import NotASandbox, SignInFailed
from shared.services import current_services

Handler = Callable[[func.HttpRequest], func.HttpResponse]


def guarded(handler: Handler) -> Handler:
    """Answer errors that have a meaning with a problem document; the host sees any other."""

    @functools.wraps(handler)
    def answer(req: func.HttpRequest) -> func.HttpResponse:
        try:
            require_principal(req, current_services().settings.http)
            return _carried_out(handler, req)
        except (TipsweepError, AzureError) as error:
            return _failed(error)

    return answer


def _carried_out(handler: Handler, req: func.HttpRequest) -> func.HttpResponse:
    try:
        return handler(req)
    except NotASandbox as error:
        raise trip(current_services(), error) from error


def _failed(error: TipsweepError | AzureError) -> func.HttpResponse:
    problem = problem_of(error)
    if isinstance(error, SignInFailed):
        emit(Event.SIGN_IN_FAILED, step="http", reason=str(error))
    emit(
        Event.REQUEST_FAILED,
        problem=problem.type.name,
        correlation=problem.correlation_id,
        reason=f"{type(error).__name__}: {error}",
    )
    return problem_response(problem)
