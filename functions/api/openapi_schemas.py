"""The schemas of requests and responses, built from the types that the functions use."""

import re
from enum import StrEnum
from typing import Any, Final

from functions.api.parameters import LINE_CHARACTERS
from functions.api.problems import PROBLEM_TYPES
from functions.api.sandbox import MODES
from shared.deletion.dry_run_result import Outcome
from shared.deletion.messages import REQUESTED_BY_CHARACTERS
from shared.limits import SANDBOX_CUSTOMERS
from shared.purchases.plan import Standing
from shared.purchases.products import Action, Product
from shared.purchases.purchase import PurchaseKind
from shared.settings import SweepMode
from shared.storage.history import EntryKind
from shared.storage.names import QUEUES
from shared.storage.records import State
from shared.storage.rejected import BODY_CHARACTERS
from shared.storage.sweeps import SweepState
from shared.sweep.decision import SweepVerdict

Schema = dict[str, Any]

# Extensions that Logic Apps and connectors know: OpenAPI 2.0 has no nullable.
NULLABLE: Final = "x-nullable"
SUMMARY: Final = "x-ms-summary"
VISIBILITY: Final = "x-ms-visibility"
IMPORTANT, ADVANCED, INTERNAL = "important", "advanced", "internal"

TEXT: Final[Schema] = {"type": "string"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
TENANT_ID: Final[Schema] = {
    "type": "string",
    "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "example": "5e2c1a70-0d3b-4c55-9a41-7f6b2d9e8c10",
}
TIMESTAMP: Final[Schema] = {"type": "string", "format": "date-time"}
NULLABLE_TIMESTAMP: Final[Schema] = {**TIMESTAMP, NULLABLE: True}
LINE: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": LINE_CHARACTERS}


def reference(name: str) -> Schema:
    """Return a reference to one of `SCHEMAS`."""
    return {"$ref": f"#/definitions/{name}"}


def one_of(choices: type[StrEnum], *, nullable: bool = False) -> Schema:
    """Return the schema of an enumeration."""
    schema: Schema = {"type": "string", "enum": [choice.value for choice in choices]}
    return {**schema, NULLABLE: True} if nullable else schema


def title(name: str) -> str:
    """Return the name of a member or parameter as people read it: "Tenant ID" for `tenantId`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower().split()
    return " ".join([words[0].capitalize(), *words[1:]]).replace(" id", " ID")


def _object(**properties: Schema) -> Schema:
    """Return the schema of a response: every member is present, and there are no others."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": {
            name: {**schema, SUMMARY: title(name)} for name, schema in properties.items()
        },
        "additionalProperties": False,
    }


def _request(*required: str, **properties: Schema) -> Schema:
    """Return the schema of a request; connectors hide what is not required at first."""
    shown = {
        name: {**schema, VISIBILITY: IMPORTANT if name in required else ADVANCED}
        for name, schema in properties.items()
    }
    return {**_object(**shown), "required": list(required)}


def _list_of(name: str) -> Schema:
    return {"type": "array", "items": reference(name)}


_PURCHASE: Final = _object(
    kind=one_of(PurchaseKind),
    id=TEXT,
    name=TEXT,
    product=one_of(Product, nullable=True),
    status=TEXT,
    standing=one_of(Standing),
    action=one_of(Action, nullable=True),
    reason=TEXT,
    createdAt=NULLABLE_TIMESTAMP,
)
_RECORD: Final = _object(
    tenantId=TENANT_ID,
    domain=TEXT,
    state=one_of(State),
    reason=TEXT,
    remedy=TEXT,
    lastError=TEXT,
    requestedBy=TEXT,
    requestedAt=TIMESTAMP,
    deadline=TIMESTAMP,
    nextCheckAt=NULLABLE_TIMESTAMP,
    finishedAt=NULLABLE_TIMESTAMP,
    retryAt=NULLABLE_TIMESTAMP,
    dismissedBy=TEXT,
    dismissedAt=NULLABLE_TIMESTAMP,
    correlationId=TEXT,
    purchases=_list_of("Purchase"),
)
_REPORT: Final = _object(
    at=TIMESTAMP,
    mode=one_of(SweepMode),
    slots=_object(
        total={"type": "integer", "enum": [SANDBOX_CUSTOMERS]},
        used=COUNT,
        free=COUNT,
    ),
    customers=_list_of("Candidate"),
)
_SWEEP: Final = _object(
    id=TEXT,
    mode={"type": "string", "enum": list(MODES)},
    state=one_of(SweepState),
    requestedBy=TEXT,
    requestedAt=TIMESTAMP,
    nextTryAt=NULLABLE_TIMESTAMP,
    finishedAt=NULLABLE_TIMESTAMP,
    reason=TEXT,
    remedy=TEXT,
    report={"allOf": [reference("SweepReport")], NULLABLE: True},
)
_CALL: Final = _object(
    method=TEXT,
    path=TEXT,
    asked=TEXT,
    status={"type": "integer", NULLABLE: True},
    code=TEXT,
    requestId=TEXT,
    attempts={"type": "integer", "minimum": 1},
    responses={
        "type": "array",
        "items": _object(at=TIMESTAMP, status={"type": "integer", NULLABLE: True}, code=TEXT),
    },
)
_SWITCH: Final = _object(
    tripped={"type": "boolean"}, requestedBy=TEXT, reason=TEXT, at=NULLABLE_TIMESTAMP
)
_PROBLEM: Final[Schema] = {
    "type": "object",
    "description": "RFC 9457. Further members depend on the type.",
    "required": ["type", "title", "status", "detail", "correlationId"],
    "properties": {
        "type": {"type": "string", "enum": [each.uri for each in PROBLEM_TYPES]},
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "correlationId": TEXT,
        "state": TEXT,
        "reason": TEXT,
        "remedy": TEXT,
        "code": TEXT,
        "settings": {"type": "array", "items": TEXT},
        "page": TEXT,
    },
}

SCHEMAS: Final[Schema] = {
    "DeletionRequest": _request(
        "tenantId",
        tenantId=TENANT_ID,
        requestedBy={"type": "string", "maxLength": REQUESTED_BY_CHARACTERS},
        dryRun={"type": "boolean", "default": False},
    ),
    "SweepRequest": _request("mode", mode={"type": "string", "enum": list(MODES)}),
    "SwitchRequest": _request("reason", requestedBy=LINE, reason=LINE),
    "Purchase": _PURCHASE,
    "Deletion": _RECORD,
    "Deletions": _object(
        items=_list_of("Deletion"),
        unreadable={"type": "array", "items": _object(tenantId=TEXT, reason=TEXT)},
        links=_object(next={"type": "string", "format": "uri", NULLABLE: True}),
    ),
    "DryRun": _object(
        tenantId=TENANT_ID,
        domain=TEXT,
        companyName=TEXT,
        dryRun={"type": "boolean", "enum": [True]},
        next={"type": "string", "enum": ["cancel", "delete"]},
        purchases=_list_of("Purchase"),
    ),
    "Plan": _object(
        tenantId=TENANT_ID,
        domain=TEXT,
        companyName=TEXT,
        outcome=one_of(Outcome),
        madeAt=TIMESTAMP,
        requestedBy=TEXT,
        reason=TEXT,
        remedy=TEXT,
        purchases=_list_of("Purchase"),
    ),
    "RejectedRequest": _object(
        id=TEXT,
        queue={"type": "string", "enum": list(QUEUES)},
        tenantId={**TENANT_ID, NULLABLE: True},
        reason=TEXT,
        expected=TEXT,
        body={"type": "string", "maxLength": BODY_CHARACTERS},
        at=TIMESTAMP,
    ),
    "RejectedRequests": _object(items=_list_of("RejectedRequest"), total=COUNT),
    "Candidate": _object(
        tenantId=TENANT_ID,
        domain=TEXT,
        companyName=TEXT,
        verdict=one_of(SweepVerdict),
        reason=TEXT,
        ageDays={"type": "number", NULLABLE: True},
    ),
    "SweepReport": _REPORT,
    "Sweep": _SWEEP,
    "Sandbox": _object(
        **_REPORT["properties"],
        lastSweep={"allOf": [reference("SweepReport")], NULLABLE: True},
    ),
    "Switch": _SWITCH,
    "SentCall": _CALL,
    "HistoryEntry": _object(
        kind=one_of(EntryKind),
        at=TIMESTAMP,
        requestedBy=TEXT,
        correlationId=TEXT,
        detail=TEXT,
        call={"allOf": [reference("SentCall")], NULLABLE: True},
    ),
    "History": _object(
        items=_list_of("HistoryEntry"),
        links=_object(next={"type": "string", "format": "uri", NULLABLE: True}),
    ),
    "Versions": _object(
        tipsweep=TEXT,
        python=TEXT,
        packages={"type": "object", "additionalProperties": TEXT},
    ),
    "Health": _object(status={"type": "string", "enum": ["ok"]}),
    "Problem": _PROBLEM,
    "EndedDeletion": {
        "description": "A problem document that also holds the members of a deletion.",
        "allOf": [
            reference("Problem"),
            {**_RECORD, "additionalProperties": True},
        ],
    },
    "EndedSweep": {
        "description": "A problem document that also holds the members of a sweep.",
        "allOf": [
            reference("Problem"),
            {**_SWEEP, "additionalProperties": True},
        ],
    },
    "ChangedSwitch": {
        "description": "A problem document that also holds the members of the switch.",
        "allOf": [
            reference("Problem"),
            {**_SWITCH, "additionalProperties": True},
        ],
    },
}
