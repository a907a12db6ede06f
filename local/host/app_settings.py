"""App settings: those in `local.settings.json`, and the names that triggers refer to."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from local.host.errors import StartupError


def read_settings(file: Path) -> dict[str, str]:
    """Return `Values` of a `local.settings.json`.

    Raises StartupError if the file is encrypted or a value is not a string, as `func start`
    does.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StartupError(f"{file} is not valid JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(values := content.get("Values", {}), dict):
        raise StartupError(f'{file} must contain an object with an object "Values"')
    if content.get("IsEncrypted", False) is not False:
        raise StartupError(f"{file} is encrypted; decrypt it with: func settings decrypt")
    for name, value in values.items():
        if not isinstance(value, str):
            kind = type(value).__name__
            raise StartupError(
                f"{file}: Values.{name} must be a string, not {kind}; write it in quotes"
            )
    return values


def expand(text: str, settings: Mapping[str, str], *, where: str) -> str:
    """Replace each `%NAME%` with the app setting of that name; errors start with `where`."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if not settings.get(name):
            raise StartupError(f"{where}: {text} needs the app setting {name}, which is not set")
        return settings[name]

    return re.sub("%([^%]+)%", value, text)


def connection_string(connection: str, settings: Mapping[str, str], *, where: str) -> str:
    """Return the connection string that the app setting `connection` holds."""
    if settings.get(connection):
        return settings[connection]
    if any(name.startswith(f"{connection}__") for name in settings):
        raise StartupError(
            f"{where}: the connection {connection} is identity-based; this host supports "
            f"connection strings only; set {connection}, for example to UseDevelopmentStorage=true"
        )
    raise StartupError(
        f"{where}: the connection {connection} is not set; "
        "set it to the connection string of a storage account"
    )
