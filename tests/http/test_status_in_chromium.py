"""The status page in a real browser."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import azure.functions as func
import pytest

from functions.pages import status
from functions.pages.status_page import CONTENT_SECURITY_POLICY
from local.host.host import Host
from local.simulator import Simulator
from shared.storage.records import State
from shared.tenants import TenantId
from tests.bench import Bench
from tests.http.app import NO_STORAGE, App
from tests.http.chromium import Chromium, text_of
from tests.in_process import run_in_process

SCRIPT = "<script>document.documentElement.className = 'executed'</script>"
HOSTILE = f"{SCRIPT}<img src=x onerror=\"document.title='executed'\"><b>bold</b>"
EXECUTED = 'class="executed"'


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Chromium:
    return Chromium.find(tmp_path_factory.mktemp("chromium"))


def serve(app: func.FunctionApp) -> AbstractContextManager[Host]:
    return run_in_process(app, NO_STORAGE)


@contextmanager
def served_html(html: str, headers: dict[str, str]) -> Iterator[str]:
    """Serve one page and give its address."""
    app = func.FunctionApp()

    @app.route(route="page", methods=["GET"])
    def page(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger's name
        return func.HttpResponse(html, headers=headers, mimetype="text/html")

    with serve(app) as host:
        yield f"{host.url}/api/page"


@pytest.fixture
def dom(chromium: Chromium, api: App) -> Callable[[], str]:  # noqa: ARG001 - works on its services
    """Give the document that a browser builds from the page."""

    def open_page() -> str:
        app = func.FunctionApp()
        app.register_functions(status.blueprint)
        with serve(app) as host:
            return chromium.dom(f"{host.url}/api/status")

    return open_page


def test_hostile_names_and_reasons_stay_text(
    dom: Callable[[], str], api: App, bench: Bench, simulator: Simulator
) -> None:
    customer = simulator.sandbox.add_customer(HOSTILE, HOSTILE)
    simulator.sandbox.add_customer("quiet.onmicrosoft.com", HOSTILE)
    api.post("/api/deletions", {"tenantId": customer.tenant_id, "requestedBy": HOSTILE})
    api.delete(f"/api/deletions/{customer.tenant_id}")
    stuck = replace(
        bench.record(customer.tenant_id),
        tenant=TenantId("5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10"),
        state=State.STUCK,
        domain=HOSTILE,
        reason=HOSTILE,
        remedy=HOSTILE,
    )
    bench.services.records.insert(stuck)

    document = dom()

    assert EXECUTED not in document
    assert "<img" not in document
    assert "<b>bold" not in document
    assert text_of(document).count(HOSTILE) >= 3


def test_the_policy_stops_a_script_that_slipped_in(chromium: Chromium) -> None:
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}

    with served_html(SCRIPT, headers) as address:
        guarded = chromium.dom(address)
    with served_html(SCRIPT, {}) as address:
        unguarded = chromium.dom(address)

    assert EXECUTED in unguarded
    assert EXECUTED not in guarded


def test_the_bar_shows_the_number(dom: Callable[[], str], simulator: Simulator) -> None:
    for number in range(30):
        simulator.sandbox.add_customer(f"tipdemo{number:03}.onmicrosoft.com")

    document = dom()

    assert 'aria-label="30 of 75 slots used"' in document
    assert "<title>tipsweep: 30 of 75 slots used</title>" in document
    assert '<rect x="0" width="30" height="1" class="used">' in document


def test_the_style_is_applied_under_the_policy(
    chromium: Chromium, api: App, tmp_path: Path
) -> None:
    """The same page without its style looks different."""
    html = api.get("/api/status").text
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    pictures = []
    for number, text in enumerate((html, html.replace("<style>", "<style> "))):
        picture = tmp_path / f"{number}.png"
        with served_html(text, headers) as address:
            chromium.screenshot(address, picture, width=400, height=600, dark=False)
        pictures.append(picture.read_bytes())

    assert pictures[0] != pictures[1]
