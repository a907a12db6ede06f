"""The storage model responds as Azurite does, and as Azure is documented where Azurite does not."""

from collections.abc import Iterable
from random import Random
from typing import Any, Final

import pytest

from tests.simulation.storage import NotModelled, Request, Response, Storage
from tests.simulation.storage.queue_steps import QueueSide, queue_steps
from tests.simulation.storage.sides import START, Failure, Side, outcome
from tests.simulation.storage.table_steps import TableSide, table_steps

STEPS: Final = 250
SEEDS: Final = range(4)
STORY: Final = 12
TABLE_FAILURES: Final = {
    "EntityAlreadyExists",
    "InvalidDuplicateRow",
    "InvalidInput",
    "ResourceNotFound",
    "TableAlreadyExists",
    "TableNotFound",
    "UpdateConditionNotSatisfied",
}
QUEUE_FAILURES: Final = {
    "InvalidQueryParameterValue",
    "InvalidResourceName",
    "MessageNotFound",
    "OutOfRangeQueryParameterValue",
    "PopReceiptMismatch",
    "QueueNotFound",
    "RequestBodyTooLarge",
}


@pytest.mark.parametrize("seed", SEEDS)
def test_tables_respond_as_azurite_does(seed: int, storage: str) -> None:
    steps = table_steps(Random(seed), STEPS)  # noqa: S311 - no secrets
    failures = compare(steps, TableSide(Side.model()), TableSide(Side.azurite(storage)))
    assert failures >= TABLE_FAILURES, "the steps do not reach every refusal; change the seeds"


@pytest.mark.parametrize("seed", SEEDS)
def test_queues_respond_as_azurite_does(seed: int, storage: str) -> None:
    steps = queue_steps(Random(seed), STEPS)  # noqa: S311 - no secrets
    failures = compare(steps, QueueSide(Side.model()), QueueSide(Side.azurite(storage)))
    assert failures >= QUEUE_FAILURES, "the steps do not reach every refusal; change the seeds"


def compare(steps: Iterable[Any], model: Any, azurite: Any) -> set[str]:
    """Run steps on both sides; return the error codes that they met."""
    told: list[str] = []
    met: set[str] = set()
    for number, step in enumerate(steps):
        told.append(f"{number}: {step.text}")
        expected = outcome(lambda: step.run(azurite))  # noqa: B023 - called at once
        actual = outcome(lambda: step.run(model))  # noqa: B023 - called at once
        story = "\n".join(told[-STORY:])
        assert actual == expected, f"model: {actual}\nAzurite: {expected}\nafter\n{story}"
        met |= codes(expected)
    return met


def codes(result: object) -> set[str]:
    if isinstance(result, Failure):
        return {result.code or ""}
    return set().union(*map(codes, result)) if isinstance(result, list | tuple) else set()
