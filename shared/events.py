"""The log lines that alerts and people read: a stable event name, then fields."""

import json
import logging
import re
from enum import StrEnum
from typing import Final

_log: Final = logging.getLogger("tipsweep")
_VALUE_CHARACTERS: Final = 2_000
_PLAIN: Final = re.compile(r"[\w.:@/+*-]+", re.ASCII)


class Event(StrEnum):
    """The name that a log line begins with; alerts and workbooks rely on it."""

    MESSAGE_REJECTED = "message_rejected"
    MESSAGE_POISONED = "message_poisoned"
    MESSAGE_PUT_BACK = "message_put_back"
    MESSAGE_STALE = "message_stale"
    REQUEST_DISMISSED = "request_dismissed"
    REQUESTS_SPLIT = "requests_split"
    DELETION_STARTED = "deletion_started"
    DELETION_DUPLICATE = "deletion_duplicate"
    DELETION_WAITING = "deletion_waiting"
    DELETION_READY = "deletion_ready"
    DELETION_DELETED = "deletion_deleted"
    DELETION_STUCK = "deletion_stuck"
    DELETION_REFUSED = "deletion_refused"
    DELETION_ABORTED = "deletion_aborted"
    DELETION_DISMISSED = "deletion_dismissed"
    DELETION_REDRIVEN = "deletion_redriven"
    DELETE_REJECTED = "delete_rejected"
    CANCELLATION_SENT = "cancellation_sent"
    CANCELLATION_REJECTED = "cancellation_rejected"
    CANCELLATION_UNCLEAR = "cancellation_unclear"
    DRY_RUN_ACTION = "dry_run_action"
    DRY_RUN_FINISHED = "dry_run_finished"
    DRY_RUN_WAITING = "dry_run_waiting"
    STEP_FAILED = "step_failed"
    STEP_FINISHED = "step_finished"
    THROTTLED = "throttled"
    WORK_HELD_UP = "work_held_up"
    ENTITLEMENTS_FORBIDDEN = "entitlements_forbidden"
    ENTITLEMENTS_UNREAD = "entitlements_unread"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_IN_UNAVAILABLE = "sign_in_unavailable"
    REFRESH_TOKEN_UNSTORED = "refresh_token_unstored"  # noqa: S105 - an event
    REFRESH_TOKEN_UNCHECKED = "refresh_token_unchecked"  # noqa: S105 - an event
    REFRESH_TOKEN_RESTORED = "refresh_token_restored"  # noqa: S105 - an event
    SWITCH_TRIPPED = "switch_tripped"
    SWITCH_RESET = "switch_reset"
    SWEEP_FINISHED = "sweep_finished"
    SWEEP_REFUSED = "sweep_refused"
    REDRIVE_FINISHED = "redrive_finished"
    HISTORY_LOST = "history_lost"
    REQUEST_FAILED = "request_failed"
    SETTINGS_UNKNOWN = "settings_unknown"
    ROW_UNREADABLE = "row_unreadable"


_LEVELS: Final = {
    Event.MESSAGE_REJECTED: logging.ERROR,
    Event.MESSAGE_POISONED: logging.ERROR,
    Event.WORK_HELD_UP: logging.ERROR,
    Event.DELETION_STUCK: logging.ERROR,
    Event.SIGN_IN_FAILED: logging.ERROR,
    Event.SWITCH_TRIPPED: logging.ERROR,
    Event.SWEEP_REFUSED: logging.ERROR,
    Event.HISTORY_LOST: logging.ERROR,
    Event.MESSAGE_PUT_BACK: logging.WARNING,
    Event.DELETION_REFUSED: logging.WARNING,
    Event.DELETE_REJECTED: logging.WARNING,
    Event.CANCELLATION_REJECTED: logging.WARNING,
    Event.CANCELLATION_UNCLEAR: logging.WARNING,
    Event.STEP_FAILED: logging.WARNING,
    Event.THROTTLED: logging.WARNING,
    Event.ENTITLEMENTS_UNREAD: logging.WARNING,
    Event.SIGN_IN_UNAVAILABLE: logging.WARNING,
    Event.REFRESH_TOKEN_UNSTORED: logging.WARNING,
    Event.REFRESH_TOKEN_UNCHECKED: logging.WARNING,
    Event.REFRESH_TOKEN_RESTORED: logging.WARNING,
    Event.SWITCH_RESET: logging.WARNING,
    Event.DELETION_REDRIVEN: logging.WARNING,
    Event.SETTINGS_UNKNOWN: logging.WARNING,
    Event.ROW_UNREADABLE: logging.WARNING,
}


def emit(event: Event, **fields: str | int | float | None) -> None:
    """Log one line, `event name=value …`; fields that are None are left out."""
    _log.log(_LEVELS.get(event, logging.INFO), "%s", line(event, **fields))


def line(event: Event, **fields: str | int | float | None) -> str:
    """Return the text of one log line; values with spaces or quotes are written as JSON."""
    shown = (f"{name}={_shown(value)}" for name, value in fields.items() if value is not None)
    return " ".join((event, *shown))


def _shown(value: str | float) -> str:
    text = str(value)[:_VALUE_CHARACTERS]
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
