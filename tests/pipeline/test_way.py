"""The way of the first message: how many modules a reader has to open to follow it."""

import sys
from pathlib import Path
from types import FrameType

import pytest

from local.simulator import ProductKind, Simulator
from shared.services import build
from shared.storage.names import CUSTOMERS_TO_DELETE
from tests.bench import Bench

ROOT = Path(__file__).parents[2]
MOST_MODULES = 34
# The ground floor: a reader knows what these do from their names.
SMALL = {
    f"shared/{name}.py" for name in ("domains", "errors", "events", "inputs", "limits", "tenants")
}


@pytest.mark.parametrize("kind", ProductKind)
def test_the_first_message_enters_few_modules(
    bench: Bench, simulator: Simulator, kind: ProductKind
) -> None:
    """Not counted is what only the first deletion of a process enters, such as its sign-in."""
    bench.put(build(bench.services.settings))
    for number in range(2):
        customer = simulator.sandbox.add_customer(f"tipdemo{number}.onmicrosoft.com")
        customer.add_order(kind)
        bench.drop(customer.tenant_id)
        entered = modules_entered(bench)
        bench.pump()

    assert "shared/deletion/steps.py" in entered
    assert len(entered) <= MOST_MODULES, "\n".join(entered)


def modules_entered(bench: Bench) -> list[str]:
    """Deliver the next dropped message; return the app's modules in order of first entry."""
    entered: dict[str, None] = {}

    def note(frame: FrameType, event: str, _argument: object) -> None:
        file = Path(frame.f_code.co_filename)
        if event == "call" and file.is_relative_to(ROOT):
            module = file.relative_to(ROOT).as_posix()
            if module.startswith(("functions/", "shared/")) and module not in SMALL:
                entered[module] = None

    message = bench.take(CUSTOMERS_TO_DELETE)
    assert message is not None
    sys.setprofile(note)
    try:
        bench.deliver(CUSTOMERS_TO_DELETE, message)
    finally:
        sys.setprofile(None)
    return list(entered)
