"""Entity group transactions: several writes in one multipart request, all of them or none.

https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions
"""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from tests.simulation.storage.http import Refusal, Request, Response

LARGEST: Final = 100
_BLANK: Final = b"\r\n\r\n"
_CHANGESET: Final = re.compile(rb"boundary=\"?(changeset_[\w-]+)")


def requests_in(batch: Request) -> list[Request]:
    """Return the requests that a batch carries."""
    found = _CHANGESET.search(batch.body)
    if found is None:
        raise Refusal(400, "InvalidInput", "The batch has no change set.")
    parts = batch.body.split(b"--" + found[1])[1:-1]
    return [_request(part.partition(_BLANK)[2]) for part in parts]


def batch_response(responses: Iterable[Response], headers: dict[str, str]) -> Response:
    """Return the response to a batch, whose parts are the responses to its requests."""
    parts = b"".join(b"--changesetresponse_0\r\n" + _part(each) for each in responses)
    body = (
        b"--batchresponse_0\r\n"
        b"Content-Type: multipart/mixed; boundary=changesetresponse_0\r\n\r\n"
        + parts
        + b"--changesetresponse_0--\r\n--batchresponse_0--\r\n"
    )
    content_type = "multipart/mixed; boundary=batchresponse_0"
    return Response(202, {**headers, "Content-Type": content_type}, body)


def _request(text: bytes) -> Request:
    head, _, body = text.partition(_BLANK)
    first, *lines = head.decode().split("\r\n")
    method, url, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    return Request(method, url, headers, body.removesuffix(b"\r\n"))


def _part(response: Response) -> bytes:
    lines = [
        "Content-Type: application/http",
        "Content-Transfer-Encoding: binary",
        "",
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        *(f"{name}: {text}" for name, text in response.headers.items()),
    ]
    return "\r\n".join(lines).encode() + _BLANK + response.body + b"\r\n"
