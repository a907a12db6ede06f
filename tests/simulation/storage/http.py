"""Requests and responses as values, and what every response of a storage service carries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from random import Random
from typing import Final
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

VERSION: Final = "2019-02-02"
DELETING_SECONDS: Final = 40


class NotModelled(NotImplementedError):
    """The request is not modelled; the message names it."""


class Refusal(Exception):
    """A service rejects a request: status, error code and message of its response."""

    def __init__(self, status: int, code: str, message: str, **details: object) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = details


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request with its absolute URL."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header, whatever the case of its name."""
        lower = name.lower()
        return next((text for key, text in self.headers.items() if key.lower() == lower), None)

    def path(self) -> str:
        """Return the path behind the name of the account, still quoted."""
        return urlsplit(self.url).path.lstrip("/").partition("/")[2]

    def query(self) -> dict[str, str]:
        """Return the parameters of the query."""
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    def not_modelled(self) -> NotModelled:
        """Return the error for a request that the model does not know."""
        return NotModelled(f"The storage model knows no {self.method} {self.url}; add it")


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


def new_id(chance: Random) -> str:
    """Return a version 4 UUID."""
    return str(UUID(int=chance.getrandbits(128), version=4))


def common_headers(moment: datetime, chance: Random) -> dict[str, str]:
    """Return the headers of every response."""
    return {
        "Date": http_date(moment),
        "x-ms-request-id": new_id(chance),
        "x-ms-version": VERSION,
    }


def http_date(moment: datetime) -> str:
    """Write a time as HTTP headers do, in whole seconds."""
    return format_datetime(moment, usegmt=True)
