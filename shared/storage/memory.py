"""The purchases that a deletion remembers, as properties of its row.

A short memory is one text property, which people and earlier versions can read. A longer one is
compressed and split over binary properties.
"""

import json
import zlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from shared.errors import TipsweepError
from shared.inputs import readable_json
from shared.partner_center.resources import known_date
from shared.purchases.products import Action, Product
from shared.purchases.purchase import Purchase, PurchaseKind
from shared.storage.columns import UNREADABLE, unreadable
from shared.storage.names import PROPERTY_CHARACTERS

_NAME_CHARACTERS: Final = 100
_TEXT: Final = "purchases"
# Table storage holds 64 KiB in a binary property and 1 MiB in a row.
_PIECE_BYTES: Final = 65_536
_PIECES: Final = 12
STORED_BYTES: Final = _PIECES * _PIECE_BYTES
# What is learned while a step cancels must still fit.
_START_BYTES: Final = STORED_BYTES * 3 // 4

Properties = dict[str, str | bytes]


class TooManyPurchases(TipsweepError):
    """A customer has more orders and subscriptions than a row can hold."""


def pack(purchases: Collection[Purchase]) -> tuple[Properties, str]:
    """Return the properties that hold the purchases, and what had to be left out, "" if nothing.

    Only names and descriptions are ever left out. Raises TooManyPurchases if that is not enough.
    """
    text = _json(purchases)
    if len(text) <= PROPERTY_CHARACTERS:
        return {_TEXT: text}, ""
    packed = zlib.compress(text.encode())
    if len(packed) <= STORED_BYTES:
        return _pieces(packed), ""
    packed = _packed_without_words(purchases)
    if len(packed) > STORED_BYTES:
        raise _too_many(purchases)
    left_out = (
        f"The {len(purchases)} orders and subscriptions are too many to store in full: their "
        "names and Partner Center's descriptions are left out"
    )
    return _pieces(packed), left_out


def require_room(purchases: Collection[Purchase]) -> None:
    """Raise TooManyPurchases unless all purchases, and what happens to them, can be stored."""
    text = _json(purchases)
    if len(text) > _START_BYTES and len(_packed_without_words(purchases)) > _START_BYTES:
        raise _too_many(purchases)


def unpack(row: Mapping[str, Any]) -> tuple[Purchase, ...]:
    """Return the purchases of a row, none if this version cannot read them, which is logged.

    A deletion that remembers nothing reads everything again.
    """
    try:
        rows = json.loads(_text_of(row))
        return tuple(_purchase(each) for each in rows)
    except UNREADABLE as error:
        unreadable(row, f"The list of purchases of customer {row['RowKey']}", error)
        return ()


def _too_many(purchases: Collection[Purchase]) -> TooManyPurchases:
    return TooManyPurchases(
        f"the customer has {len(purchases)} orders and subscriptions, more than a record can "
        "hold: nothing more is cancelled, because tipsweep could not remember what it did"
    )


def _json(purchases: Collection[Purchase]) -> str:
    return json.dumps([_row(each) for each in purchases], separators=(",", ":"))


def _packed_without_words(purchases: Collection[Purchase]) -> bytes:
    bare = [replace(each, name="", reason="", trouble="") for each in purchases]
    return zlib.compress(_json(bare).encode())


def _pieces(packed: bytes) -> Properties:
    starts = range(0, len(packed), _PIECE_BYTES)
    pieces = {
        _piece_name(number): packed[start : start + _PIECE_BYTES]
        for number, start in enumerate(starts)
    }
    # An earlier version finds nothing remembered, and reads everything again.
    return {_TEXT: "[]", **pieces}


def _piece_name(number: int) -> str:
    return f"{_TEXT}{number}"


def _text_of(row: Mapping[str, Any]) -> str:
    pieces = [row[_piece_name(number)] for number in range(_PIECES) if _piece_name(number) in row]
    text: str = zlib.decompress(b"".join(pieces)).decode() if pieces else row[_TEXT]
    return readable_json(text)


def _row(purchase: Purchase) -> dict[str, Any]:
    row = {
        # Names of members, so that the words that people read can change.
        "kind": purchase.kind.name,
        "id": purchase.id,
        "status": purchase.status,
        "parent": purchase.parent,
        "product": purchase.product.name if purchase.product else "",
        "created": purchase.created.isoformat() if purchase.created else "",
        "termEnd": purchase.term_end.isoformat() if purchase.term_end else "",
        "name": purchase.name[:_NAME_CHARACTERS],
        "sent": sorted(action.name for action in purchase.sent),
        "rejected": sorted(action.name for action in purchase.rejected),
        "reason": purchase.reason,
        "trouble": purchase.trouble,
        "needsActivation": purchase.needs_activation,
        "waitUntil": purchase.wait_until.isoformat() if purchase.wait_until else "",
    }
    return {name: value for name, value in row.items() if value}


def _purchase(row: Mapping[str, Any]) -> Purchase:
    return Purchase(
        kind=PurchaseKind[row["kind"]],
        id=row["id"],
        status=row["status"],
        parent=row.get("parent", ""),
        product=Product[row["product"]] if "product" in row else None,
        created=_date(row.get("created")),
        term_end=_date(row.get("termEnd")),
        name=row.get("name", ""),
        sent=frozenset(Action[action] for action in row.get("sent", ())),
        rejected=frozenset(Action[action] for action in row.get("rejected", ())),
        reason=row.get("reason", ""),
        trouble=row.get("trouble", ""),
        needs_activation=row.get("needsActivation", False),
        wait_until=_date(row.get("waitUntil")),
    )


def _date(text: str | None) -> datetime | None:
    return known_date(datetime.fromisoformat(text)) if text else None
