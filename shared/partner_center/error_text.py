"""Finds the code and the description of an error, whatever forms it takes.

Partner Center, its gateway, Entra ID, Azure and the proxies between them all write errors their own
way: `code` and `description`; `message` or `Message`; both inside `error`; `error` and
`error_description`; a problem document with `detail`; an HTML page; or only `WWW-Authenticate`.
"""

import html
import re
from collections.abc import Iterator, Mapping
from typing import Final

from shared.partner_center.members import parsed, readable

_DESCRIPTION_CHARACTERS: Final = 1024
_CODE_CHARACTERS: Final = 60
_PAGE_BYTES: Final = 10_000
_HEADER_CHARACTERS: Final = 2_000
# Far more than any error nests.
_DEPTH: Final = 5

# Names are compared in lower case; the first that is there wins.
_CODES: Final = ("code", "errorcode", "error")
_DESCRIPTIONS: Final = (
    "description",
    "message",
    "error_description",
    "errordescription",
    "errormessage",
    "detail",
    "title",
    "value",
    "error",
)
_INNER: Final = ("error", "odata.error", "errors", "message", "innererror")
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_PARAMETER: Final = re.compile(r'(\w+)\s*=\s*"((?:[^"\\]|\\.)*)"')

_ESCAPE: Final = re.compile(r"\\(.)")


def error_text(content: bytes, headers: Mapping[str, str]) -> tuple[str, str]:
    """Return the code and the description of an error response, "" for what it does not tell."""
    body = parsed(content)
    found = [*_objects(body), _challenge(headers.get("WWW-Authenticate", ""))]
    codes = [code for each in found if (code := _code(each))]
    description = _first(_description(each) for each in found)
    if not description and body is None:
        description = _title(content[:_PAGE_BYTES])
    # Partner Center's own codes are numbers; what is around them may have names.
    code = next((code for code in codes if code.isdecimal()), codes[0] if codes else "")
    return code[:_CODE_CHARACTERS], description[:_DESCRIPTION_CHARACTERS]


def _objects(value: object, depth: int = _DEPTH) -> Iterator[Mapping[str, object]]:
    """Yield an error and those inside it, with their names in lower case, the outer one first."""
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict) or not depth:
        return
    members = {str(name).strip().lower(): each for name, each in value.items()}
    yield members
    for name in _INNER:
        yield from _objects(members.get(name), depth - 1)


def _first(texts: Iterator[str]) -> str:
    return next((text for text in texts if text), "")


def _code(members: Mapping[str, object]) -> str:
    return _first(_code_of(members.get(name)) for name in _CODES)


def _code_of(value: object) -> str:
    if isinstance(value, bool):
        return ""
    if isinstance(value, float):
        return f"{value:g}" if value.is_integer() else ""
    text = readable(str(value)).strip() if isinstance(value, int | str) else ""
    # A sentence is a description.
    return "" if " " in text else text


def _description(members: Mapping[str, object]) -> str:
    texts = (members.get(name) for name in _DESCRIPTIONS)
    return _first(readable(text).strip() for text in texts if isinstance(text, str))


def _challenge(header: str) -> Mapping[str, object]:
    """Return the parameters of a WWW-Authenticate header."""
    found = _PARAMETER.findall(header[:_HEADER_CHARACTERS])
    return {name.lower(): _ESCAPE.sub(r"\1", value) for name, value in found}


def _title(content: bytes) -> str:
    found = _TITLE.search(content.decode("utf-8", "replace"))
    return " ".join(html.unescape(found[1]).split()) if found else ""
