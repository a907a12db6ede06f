"""What came of a dry run over the queue, and the JSON that it is stored as."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from shared.inputs import readable_json
from shared.partner_center.resources import known_date
from shared.purchases.plan import Entry, Standing
from shared.purchases.products import Action, Product
from shared.purchases.purchase import Purchase, PurchaseKind
from shared.storage.columns import timestamp
from shared.tenants import TenantId


class Outcome(StrEnum):
    """What a deletion would start with, or why that is not known."""

    CANCEL = "cancel"
    DELETE = "delete"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DryRunResult:
    """The plan as it was made, or the reason why there is none.

    `final` is False for the error of one try, after which the host delivers the request again.
    `message_id` names the message that a final failure is listed under.
    """

    tenant: TenantId
    outcome: Outcome
    made_at: datetime
    requested_by: str = ""
    domain: str = ""
    company_name: str = ""
    reason: str = ""
    remedy: str = ""
    entries: tuple[Entry, ...] = ()
    final: bool = True
    message_id: str = ""

    def to_json(self) -> str:
        """Return the result as a JSON object with names in camel case."""
        return json.dumps(
            {
                "tenantId": self.tenant,
                "outcome": self.outcome,
                "madeAt": self.made_at.isoformat(),
                "requestedBy": self.requested_by,
                "domain": self.domain,
                "companyName": self.company_name,
                "reason": self.reason,
                "remedy": self.remedy,
                "purchases": [_row(entry) for entry in self.entries],
                "final": self.final,
                "messageId": self.message_id,
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a result that `to_json` has written."""
        members = json.loads(readable_json(text))
        return cls(
            tenant=TenantId(members["tenantId"]),
            outcome=Outcome(members["outcome"]),
            made_at=timestamp(members, "madeAt"),
            requested_by=members["requestedBy"],
            domain=members["domain"],
            company_name=members["companyName"],
            reason=members["reason"],
            remedy=members["remedy"],
            entries=tuple(_entry(row) for row in members["purchases"]),
            final=members.get("final", True),
            message_id=members.get("messageId", ""),
        )


def _row(entry: Entry) -> dict[str, Any]:
    purchase = entry.purchase
    return {
        "kind": purchase.kind,
        "id": purchase.id,
        "name": purchase.name,
        "product": purchase.product.name if purchase.product else None,
        "status": purchase.status,
        "created": purchase.created.isoformat() if purchase.created else None,
        "standing": entry.standing,
        "action": entry.action,
        "reason": entry.reason,
    }


def _entry(row: Mapping[str, Any]) -> Entry:
    purchase = Purchase(
        kind=PurchaseKind(row["kind"]),
        id=row["id"],
        status=row["status"],
        product=Product[row["product"]] if row["product"] else None,
        created=known_date(datetime.fromisoformat(row["created"])) if row["created"] else None,
        name=row["name"],
    )
    action = Action(row["action"]) if row["action"] else None
    return Entry(purchase, Standing(row["standing"]), action, row["reason"])
