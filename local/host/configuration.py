"""host.json: the limits of queue triggers and the route prefix.

https://learn.microsoft.com/azure/azure-functions/functions-host-json
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from local.host.errors import StartupError

FILE: Final = "host.json"
SECTIONS: Final = frozenset(
    {
        "aggregator",
        "concurrency",
        "extensionBundle",
        "extensions",
        "functionTimeout",
        "healthMonitor",
        "logging",
        "retry",
        "singleton",
        "telemetryMode",
        "version",
    }
)
QUEUE_SETTINGS: Final = (
    "batchSize",
    "newBatchThreshold",
    "maxDequeueCount",
    "visibilityTimeout",
    "maxPollingInterval",
    "messageEncoding",
)
HTTP_SETTINGS: Final = ("routePrefix",)
LONGEST_VISIBILITY_TIMEOUT: Final = timedelta(days=7)
SHORTEST_POLLING_INTERVAL: Final = timedelta(milliseconds=100)

# The default of the real host on a developer's machine; longer settings are capped to it here.
LOCAL_POLLING_INTERVAL: Final = timedelta(seconds=2)

TIMESPAN: Final = re.compile(r"(?:(\d+)\.)?([01]?\d|2[0-3]):([0-5]?\d):([0-5]?\d(?:\.\d{1,7})?)")


@dataclass(frozen=True)
class QueueLimits:
    """`extensions.queues`: batch size, retries, polling and encoding of messages."""

    batch_size: int
    new_batch_threshold: int
    max_dequeue_count: int
    visibility_timeout: timedelta
    max_polling_interval: timedelta
    message_encoding: Literal["base64", "none"]

    @property
    def max_running(self) -> int:
        """The most messages that one function processes at once."""
        return self.batch_size + self.new_batch_threshold


@dataclass(frozen=True)
class HostConfiguration:
    """The settings of a host.json that this host follows."""

    queues: QueueLimits
    route_prefix: str


def read_configuration(root: Path, settings: Mapping[str, str]) -> HostConfiguration:
    """Read the host.json in `root`; raises StartupError if it is missing or not supported."""
    file = root / FILE
    if not file.is_file():
        raise StartupError(f"{file} does not exist; a function app needs a {FILE} in its root")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StartupError(f"{file} is not valid JSON: {error}") from error
    return parse_configuration(content, settings)


def parse_configuration(content: object, settings: Mapping[str, str]) -> HostConfiguration:
    """Validate the content of a host.json.

    App settings such as `AzureFunctionsJobHost__extensions__queues__batchSize` override it.
    """
    if not isinstance(content, dict) or content.get("version") != "2.0":
        raise StartupError(f'{FILE}: an object with "version": "2.0" is expected')
    _require_known(FILE, content, SECTIONS)
    extensions = _object(content, "extensions")
    _require_known(f"{FILE}: extensions", extensions, ("http", "queues"))
    return HostConfiguration(
        _queue_limits(_section(extensions, "queues", QUEUE_SETTINGS, settings)),
        _route_prefix(_section(extensions, "http", HTTP_SETTINGS, settings)),
    )


def _queue_limits(section: Mapping[str, object]) -> QueueLimits:
    batch_size = _whole_number(section, "batchSize", 16, lowest=1, highest=32)
    # The default of the real host: half a batch for each core.
    threshold = max(1, batch_size // 2) * (os.cpu_count() or 1)
    limits = QueueLimits(
        batch_size=batch_size,
        new_batch_threshold=_whole_number(section, "newBatchThreshold", threshold, lowest=0),
        max_dequeue_count=_whole_number(section, "maxDequeueCount", 5, lowest=1),
        visibility_timeout=_timespan(section, "visibilityTimeout", timedelta()),
        max_polling_interval=_timespan(section, "maxPollingInterval", LOCAL_POLLING_INTERVAL),
        message_encoding=_message_encoding(section),
    )
    if limits.visibility_timeout > LONGEST_VISIBILITY_TIMEOUT:
        raise _invalid("visibilityTimeout", section, "at most 7 days")
    if limits.max_polling_interval < SHORTEST_POLLING_INTERVAL:
        raise _invalid("maxPollingInterval", section, "at least 100 ms")
    return limits


def _section(
    extensions: Mapping[str, object],
    name: str,
    known: tuple[str, ...],
    settings: Mapping[str, str],
) -> dict[str, object]:
    section = dict(_object(extensions, name))
    _require_known(f"{FILE}: extensions.{name}", section, known)
    for key in known:
        override = settings.get(f"AzureFunctionsJobHost__extensions__{name}__{key}")
        if override is not None:
            section[key] = int(override) if override.isdecimal() else override
    return section


def _object(parent: Mapping[str, object], name: str) -> dict[str, object]:
    value = parent.get(name, {})
    if not isinstance(value, dict):
        raise StartupError(f"{FILE}: {name} must be an object, not {value!r}")
    return value


def _require_known(
    where: str, content: Mapping[str, object], known: frozenset[str] | tuple[str, ...]
) -> None:
    if unknown := sorted(set(content) - set(known)):
        raise StartupError(
            f"{where}: {', '.join(unknown)} is not supported; supported: {', '.join(sorted(known))}"
        )


def _whole_number(
    section: Mapping[str, object],
    key: str,
    default: int,
    *,
    lowest: int,
    highest: int | None = None,
) -> int:
    value = section.get(key, default)
    # Not isinstance: JSON true would pass as the integer 1.
    if type(value) is not int or value < lowest or (highest is not None and value > highest):
        bounds = f"of {lowest} or more" if highest is None else f"from {lowest} to {highest}"
        raise _invalid(key, section, f"a whole number {bounds}")
    return value


def _timespan(section: Mapping[str, object], key: str, default: timedelta) -> timedelta:
    if key not in section:
        return default
    found = TIMESPAN.fullmatch(str(section[key]))
    if found is None:
        raise _invalid(key, section, "a time span such as 00:00:15")
    days, hours, minutes, seconds = found.groups()
    return timedelta(
        days=int(days or 0), hours=int(hours), minutes=int(minutes), seconds=float(seconds)
    )


def _message_encoding(section: Mapping[str, object]) -> Literal["base64", "none"]:
    match section.get("messageEncoding", "base64"):
        case "base64":
            return "base64"
        case "none":
            return "none"
    raise _invalid("messageEncoding", section, "base64 or none")


def _route_prefix(section: Mapping[str, object]) -> str:
    prefix = section.get("routePrefix", "api")
    if not isinstance(prefix, str):
        raise _invalid("routePrefix", section, "a string")
    return prefix.strip("/")


def _invalid(key: str, section: Mapping[str, object], expected: str) -> StartupError:
    return StartupError(f"{FILE}: {key} must be {expected}, not {section.get(key)!r}")
