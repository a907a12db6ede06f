"""The randomness of a run: it all comes from the seed, in one stream for each subject."""

import os
import random
from random import Random
from types import SimpleNamespace

from azure.storage.queue._shared import policies


class Chance:
    """Provides independent streams: drawing more from one does not change the others."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def stream(self, subject: str) -> Random:
        """Return the stream of a subject, from its start."""
        return Random(f"{self._seed} {subject}")


class _Bytes:
    """Replaces the system's random bytes."""

    def __init__(self) -> None:
        self.stream = Random(0)

    def __call__(self, count: int) -> bytes:
        return self.stream.randbytes(count)


_BYTES = _Bytes()


def install() -> None:
    """Derive UUIDs, secrets and the queue library's back-off from the seed from now on."""
    os.urandom = _BYTES
    random._urandom = _BYTES  # type: ignore[attr-defined]
    setattr(policies, "random", SimpleNamespace(Random=lambda: random))  # noqa: B010


def sow(chance: Chance) -> None:
    """Start the streams that the libraries draw from."""
    _BYTES.stream = chance.stream("bytes")
    random.seed(chance.stream("random").random())
