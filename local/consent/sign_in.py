"""The two ways for a person to sign in: in a browser on this machine, or on another device."""

import webbrowser
from collections.abc import Callable
from typing import Any, Final

import msal
from azure.core.exceptions import ClientAuthenticationError

from local.consent.evidence import Consent, accepted
from local.consent.loopback import listening
from shared.partner_center.sign_in_clients import SIGN_IN_ERRORS, entra_app
from shared.partner_center.sign_in_failure import failure
from shared.partner_center.verdicts import said, verdict_on
from shared.settings import PartnerCenterSettings

_DEFAULT: Final = "/.default"
_PERMISSION: Final = "/user_impersonation"
_CODES: Final = frozenset({"code", "code_verifier", "device_code"})

Show = Callable[[str], None]


class _Cache(msal.TokenCache):  # type: ignore[misc] # msal ships no types
    """Keeps what a code was redeemed with to itself; msal writes it to its log at level DEBUG."""

    def add(self, event: dict[str, Any], now: float | None = None) -> None:
        data = {name: each for name, each in event.get("data", {}).items() if name not in _CODES}
        super().add({**event, "data": data}, now=now)


class _App(msal.ConfidentialClientApplication):  # type: ignore[misc] # msal ships no types
    """A web app that can use device codes too; msal offers them to public clients only.

    A token that a public client obtains could not be redeemed with the app's secret later.
    """

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, token_cache=_Cache(), **options)

    DEVICE_FLOW_CORRELATION_ID = msal.PublicClientApplication.DEVICE_FLOW_CORRELATION_ID
    initiate_device_flow = msal.PublicClientApplication.initiate_device_flow
    acquire_token_by_device_flow = msal.PublicClientApplication.acquire_token_by_device_flow


def in_browser(
    settings: PartnerCenterSettings, show: Show, *, port: int, seconds: float, browser: bool
) -> Consent:
    """Sign in with an authorization code and PKCE; `browser` says whether to open one.

    Raises NotAcceptable, NoResponseArrived, SignInFailed or SignInUnavailable, and OSError if the
    port is taken.
    """
    with listening(port) as loopback:
        app = _app(settings)
        flow = app.initiate_auth_code_flow(
            [_scope(settings)],
            redirect_uri=loopback.redirect_uri,
            prompt="select_account",
            response_mode="form_post",
        )
        loopback.expect(flow["state"])
        show(f"Sign in as an Admin agent of the sandbox tenant, with MFA: {flow['auth_uri']}")
        if browser:
            webbrowser.open(flow["auth_uri"])
        received = loopback.wait(seconds)
        return _consent(app, settings, lambda: app.acquire_token_by_auth_code_flow(flow, received))


def by_device_code(settings: PartnerCenterSettings, show: Show, *, seconds: float) -> Consent:
    """Sign in on any device with a code that is shown here.

    Raises NotAcceptable, SignInFailed or SignInUnavailable.
    """
    app = _app(settings)
    flow = _asked(settings, lambda: app.initiate_device_flow([_scope(settings)]))
    flow["expires_at"] = min(flow["expires_at"], flow["expires_at"] - flow["expires_in"] + seconds)
    show(f"As an Admin agent of the sandbox tenant, with MFA: {flow['message']}")
    return _consent(app, settings, lambda: app.acquire_token_by_device_flow(flow))


def has_browser() -> bool:
    """Whether a browser can be opened on this machine."""
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def _app(settings: PartnerCenterSettings) -> Any:  # noqa: ANN401 - msal ships no types
    try:
        return entra_app(settings, _App)
    except SIGN_IN_ERRORS as error:
        raise failure(f"No sign-in: {said(error)}", verdict_on(error, settings)) from error


def _scope(settings: PartnerCenterSettings) -> str:
    """Return the permission to ask for: that of the app's scope, for a person."""
    scope = settings.endpoints.scope
    return scope.removesuffix(_DEFAULT) + _PERMISSION if scope.endswith(_DEFAULT) else scope


def _consent(
    app: Any,  # noqa: ANN401 - msal ships no types
    settings: PartnerCenterSettings,
    redeem: Callable[[], dict[str, Any]],
) -> Consent:
    response = _asked(settings, redeem)
    accounts = app.get_accounts()
    home = accounts[0]["home_account_id"].rpartition(".")[2] if accounts else ""
    return accepted(response, home, settings)


def _asked(settings: PartnerCenterSettings, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a response of Entra ID; raises the error that it means."""
    try:
        response = ask()
        if "error" in response:
            text = f"{response['error']}: {response.get('error_description')}"
            raise ClientAuthenticationError(message=text)
    except SIGN_IN_ERRORS as error:
        raise failure(f"No sign-in: {said(error)}", verdict_on(error, settings)) from error
    return response
