"""Consent for App+User, once: python -m local.consent.

A person of the sandbox tenant signs in with MFA, and the refresh token goes to Key Vault. The
settings are those of the app, read from the environment.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from local.consent.evidence import Consent
from local.consent.sign_in import by_device_code, has_browser, in_browser
from shared.errors import TipsweepError
from shared.partner_center.refresh_tokens import REFRESH_TOKEN_LIFETIME, store_refresh_token
from shared.settings import Auth, PartnerCenterSettings, read_partner_center

_SECRET_NAME: Final = "partner-center-refresh-token"  # noqa: S105 - the name of a secret
_NO_VAULT: Final = "https://vault.invalid"


def main(arguments: Sequence[str] | None = None) -> int:
    """Sign a person in and keep the refresh token; the exit code is 1 if that fails."""
    options = _options(arguments)
    try:
        settings = read_partner_center(_environment(os.environ, to_file=options.file is not None))
        if options.file is not None:
            _require_new(options.file)
        consent = _signed_in(settings, options)
        kept = (
            _in_vault(settings, consent)
            if options.file is None
            else _in_file(settings, consent, options.file)
        )
    except (TipsweepError, OSError) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    print(
        f"{consent.who} has consented to application {settings.client_id} in tenant "
        f"{consent.tenant}.\n{kept}"
    )
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.consent",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--device-code", action="store_true", help="sign in on another device, with a code"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="show the address instead of opening a browser"
    )
    parser.add_argument(
        "--file",
        type=Path,
        metavar="PATH",
        help="write the token to a file that only you can read, instead of to Key Vault",
    )
    parser.add_argument(
        "--port", type=int, default=0, help="for the response; default: 0, which picks a free one"
    )
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS")
    return parser.parse_args(arguments)


def _environment(environment: Mapping[str, str], *, to_file: bool) -> dict[str, str]:
    """Return the settings for user mode; with a file, no vault has to be named."""
    chosen = {**environment, "PARTNER_CENTER_AUTH": Auth.USER.value}
    chosen.setdefault("REFRESH_TOKEN_SECRET_NAME", _SECRET_NAME)
    if to_file:
        chosen.setdefault("KEY_VAULT_URI", _NO_VAULT)
    return chosen


def _signed_in(settings: PartnerCenterSettings, options: argparse.Namespace) -> Consent:
    if options.device_code or not (options.no_browser or has_browser()):
        return by_device_code(settings, _show, seconds=options.timeout)
    return in_browser(
        settings,
        _show,
        port=options.port,
        seconds=options.timeout,
        browser=not options.no_browser,
    )


def _show(text: str) -> None:
    print(text, flush=True)


def _in_vault(settings: PartnerCenterSettings, consent: Consent) -> str:
    try:
        expires = store_refresh_token(settings, consent.refresh_token)
    except TipsweepError as error:
        message = f"The consent is valid, but {error} Run the command again, perhaps with --file."
        raise TipsweepError(message) from error
    return (
        f"The refresh token is in secret {settings.refresh_token_secret_name} of "
        f"{settings.key_vault_uri}, valid until {expires:%Y-%m-%d} unless the app renews it before."
    )


def _require_new(path: Path) -> None:
    if path.exists():
        message = f"{path} exists: name a file that does not exist yet"
        raise TipsweepError(message)


def _in_file(settings: PartnerCenterSettings, consent: Consent, path: Path) -> str:
    expires = datetime.now(UTC) + REFRESH_TOKEN_LIFETIME
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(consent.refresh_token)
    return (
        f"The refresh token is in {path}, valid until {expires:%Y-%m-%d} unless the app renews it "
        "before. Store it, then remove the file:\n"
        f"az keyvault secret set --vault-name <vault> --name {settings.refresh_token_secret_name} "
        f"--file {path} --expires {expires:%Y-%m-%dT%H:%M:%SZ} --output none && rm {path}"
    )


if __name__ == "__main__":
    sys.exit(main())
