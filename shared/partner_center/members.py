"""Reads JSON from other services by the type of each member; odd values are errors of ours."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from shared.errors import shown
from shared.inputs import readable
from shared.partner_center.errors import UnexpectedResponse

Json = Mapping[str, Any]

# Far longer than any ID or status; what is compared or sent in a URL must not be endless.
_WORD_CHARACTERS: Final = 300


# Far deeper than any resource; what can be read with a shallow stack must be sent with a deep one.
_DEPTH: Final = 100


def fold(identifier: str) -> str:
    """Return an ID of Partner Center as it is compared: letter case does not count."""
    return identifier.casefold()


@dataclass(frozen=True, slots=True)
class Members:
    """The members of one JSON object, which `what` names in errors.

    The letter case of a name does not count; the exact one comes first. A member that is absent or
    null has the default of its type. Every method raises UnexpectedResponse for a member of another
    type, except `value` and `label`.
    """

    body: Json
    what: str

    @classmethod
    def of(cls, value: object, what: str) -> Self:
        """Return the members of a value that must be an object."""
        if not isinstance(value, Mapping):
            message = f"{what} is {_described(value)}: expected a JSON object"
            raise UnexpectedResponse(message)
        return cls(value, what)

    def value(self, name: str) -> Any:  # noqa: ANN401 - JSON of any shape
        """Return a member of any type, None by default."""
        exact = self.body.get(name)
        if exact is not None:
            return exact
        named = (value for other, value in self.body.items() if fold(other) == fold(name))
        return next((value for value in named if value is not None), None)

    def child(self, name: str) -> "Members":
        """Return the members of an object, none by default."""
        value = self.value(name)
        return Members.of({} if value is None else value, f"{name} of {self.what}")

    def items(self, name: str) -> list[Any]:
        """Return the elements of an array, none by default."""
        value = self.value(name)
        return [] if value is None else self._typed(name, value, list, "an array")

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self.value(name)
        return default if value is None else self._typed(name, value, bool, "true or false")

    def text(self, name: str) -> str:
        """Return a text without half characters, "" by default."""
        value = self.value(name)
        return "" if value is None else readable(self._typed(name, value, str, "text"))

    def word(self, name: str) -> str:
        """Return a text that is compared or sent exactly as it was read, "" by default."""
        value = self.value(name)
        word: str = "" if value is None else self._typed(name, value, str, "text")
        if len(word) > _WORD_CHARACTERS or word != readable(word):
            raise self._odd(name, word, f"text of at most {_WORD_CHARACTERS} whole characters")
        return word

    def identifier(self, name: str = "id") -> str:
        """Return an ID, which must be there and stay one segment of a path."""
        value = self.word(name)
        if value in {"", ".", ".."}:
            raise self._odd(name, self.value(name), "an ID")
        return value

    def header(self, name: str) -> str:
        """Return a text that can be sent as the name or the value of a header, "" by default."""
        value = self.text(name)
        if not (value.isascii() and value.isprintable() and value == value.strip()):
            raise self._odd(name, value, "text that a header can hold")
        return value

    def label(self, name: str) -> str:
        """Return a text that is only shown, "" if it is of another type."""
        value = self.value(name)
        return readable(value) if isinstance(value, str) else ""

    def require_sendable(self) -> None:
        """Raise UnexpectedResponse unless the object can be sent back as JSON."""
        if _nests_deeper(self.body, _DEPTH):
            message = f"{self.what} is nested more than {_DEPTH} deep: it cannot be sent back"
            raise UnexpectedResponse(message)
        try:
            json.dumps(self.body, allow_nan=False)
        except ValueError as error:
            message = f"{self.what} holds a value that cannot be sent back: {error}"
            raise UnexpectedResponse(message) from error

    def _typed(self, name: str, value: object, kind: type, expected: str) -> Any:  # noqa: ANN401
        if not isinstance(value, kind):
            raise self._odd(name, value, expected)
        return value

    def _odd(self, name: str, value: object, expected: str) -> UnexpectedResponse:
        return UnexpectedResponse(
            f"{self.what} has member {name} {_described(value)}: expected {expected}"
        )


def _nests_deeper(value: object, depth: int) -> bool:
    level = [value]
    for _ in range(depth + 1):
        level = [
            inner
            for each in level
            if isinstance(each, Mapping | list)
            for inner in (each.values() if isinstance(each, Mapping) else each)
        ]
        if not level:
            return False
    return True


def _described(value: object) -> str:
    """Describe a value without a look inside: what is nested deeply cannot be shown."""
    match value:
        case str():
            return shown(value)
        case None:
            return "null"
        case list():
            return "an array"
        case Mapping():
            return "an object"
    return str(value).lower()
