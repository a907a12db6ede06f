"""All chance of a run comes from its seed, one stream for each subject."""

import os
import random
from random import Random
from types import SimpleNamespace

from azure.storage.queue._shared import policies


class Chance:
    """Gives out streams that do not disturb each other: more of one leaves the others alone."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def stream(self, subject: str) -> Random:
        """Return the stream of a subject, from its beginning."""
        return Random(f"{self._seed} {subject}")


class _Bytes:
    """Stands in for the system's random bytes."""

    def __init__(self) -> None:
        self.stream = Random(0)

    def __call__(self, count: int) -> bytes:
        return self.stream.randbytes(count)


_BYTES = _Bytes()


def install() -> None:
    """Let UUIDs, secrets and the back-off of the queue library come from the seed, for good."""
    os.urandom = _BYTES
    random._urandom = _BYTES  # type: ignore[attr-defined]
    setattr(policies, "random", SimpleNamespace(Random=lambda: random))  # noqa: B010


def sow(chance: Chance) -> None:
    """Begin the streams that the libraries draw from."""
    _BYTES.stream = chance.stream("bytes")
    random.seed(chance.stream("random").random())
