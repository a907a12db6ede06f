"""The sign-in of a person: the authorization code with PKCE, and the device code.

The page signs in whoever `Behaviour.signs_in` names, with or without MFA, and asks nothing.
"""

import base64
import hashlib
import html
import json
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from local.simulator.identity.entra_error import EntraError, error_response
from local.simulator.identity.tokens import issue
from local.simulator.state.accounts import Account
from local.simulator.state.behaviour import SignsIn
from local.simulator.state.world import World

USER_ID: Final = str(uuid.uuid4())
HOME_OF_GUESTS: Final = str(uuid.uuid4())
REDIRECT_URI: Final = "http://localhost"
_CODE_GRANT: Final = "authorization_code"
_DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_LIFETIME: Final = timedelta(minutes=10)
_DEVICE_LIFETIME: Final = timedelta(minutes=15)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1"})


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person who has signed in to an app."""

    account: Account
    url: str
    who: SignsIn
    methods: tuple[str, ...]
    nonce: str | None = None

    @property
    def home(self) -> str:
        """The tenant that the person belongs to."""
        return HOME_OF_GUESTS if self.who is SignsIn.GUEST else self.account.tenant_id

    def claims(self) -> dict[str, object]:
        """Return the claims about the person in an access token."""
        guest = self.who is SignsIn.GUEST
        domain = f"{self.account.name}.onmicrosoft.com"
        claims: dict[str, object] = {
            "oid": USER_ID,
            "amr": list(self.methods),
            "upn": f"ann_example.com#EXT#@{domain}" if guest else f"admin@{domain}",
        }
        return {**claims, "idp": f"https://sts.windows.net/{self.home}/"} if guest else claims

    def identity(self) -> dict[str, str]:
        """Return the members of a token response that say who signed in."""
        claims = {
            "aud": self.account.client_id,
            "iss": f"{self.url}/{self.account.tenant_id}/v2.0",
            "tid": self.account.tenant_id,
            "oid": USER_ID,
            "sub": USER_ID,
            "preferred_username": str(self.claims()["upn"]),
            **({"nonce": self.nonce} if self.nonce else {}),
        }
        client_info = json.dumps({"uid": USER_ID, "utid": self.home}).encode()
        return {
            "id_token": issue(claims, 3600),
            "client_info": base64.urlsafe_b64encode(client_info).rstrip(b"=").decode(),
        }


@dataclass(frozen=True, slots=True)
class _Code:
    """An authorization code that was issued and not redeemed."""

    signed_in: SignedIn
    redirect_uri: str
    challenge: str
    issued: datetime


@dataclass(frozen=True, slots=True)
class _Device:
    """A device code, and who has approved it."""

    account: Account
    issued: datetime
    signed_in: SignedIn | None = None
    declined: bool = False


class Interactive:
    """The pages that a person opens, and the grants that follow."""

    GRANTS: Final = frozenset({_CODE_GRANT, _DEVICE_GRANT})

    def __init__(self, world: World, url: str, account_of: Callable[[Request], Account]) -> None:
        self._world = world
        self._url = url
        self._account_of = account_of
        self._codes: dict[str, _Code] = {}
        self._devices: dict[str, _Device] = {}
        self._user_codes: dict[str, str] = {}

    def routes(self) -> list[Route]:
        """Return the routes for Starlette."""
        return [
            Route("/{tenant}/oauth2/v2.0/authorize", self._authorize),
            Route("/{tenant}/oauth2/v2.0/devicecode", self._start_device, methods=["POST"]),
            Route("/devicelogin", self._approve_device),
        ]

    def user(self, account: Account, nonce: str | None = None) -> SignedIn:
        """Return the person that the behaviour names."""
        behaviour = self._world.behaviour
        methods = ("pwd", "mfa") if behaviour.user_tokens_have_mfa else ("pwd",)
        return SignedIn(account, self._url, behaviour.signs_in, methods, nonce)

    def redeem(self, account: Account, form: Mapping[str, str]) -> SignedIn:
        """Return who signed in for a code; raises EntraError."""
        if form["grant_type"] == _CODE_GRANT:
            return self._redeem_code(account, form)
        return self._redeem_device(account, form)

    def _redeem_code(self, account: Account, form: Mapping[str, str]) -> SignedIn:
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.signed_in.account is not account:
            raise EntraError(400, "invalid_grant", 54005, "The code was already redeemed.")
        if self._world.clock.now() > code.issued + _LIFETIME:
            raise EntraError(400, "invalid_grant", 70008, "The authorization code has expired.")
        if form.get("redirect_uri") != code.redirect_uri:
            raise EntraError(400, "invalid_client", 500112, "The reply address does not match.")
        if _challenge(form.get("code_verifier", "")) != code.challenge:
            raise EntraError(400, "invalid_grant", 501481, "The Code_Verifier does not match.")
        return code.signed_in

    def _redeem_device(self, account: Account, form: Mapping[str, str]) -> SignedIn:
        device = self._devices.get(form.get("device_code", ""))
        if device is None or device.account is not account:
            raise EntraError(400, "invalid_grant", 70018, "The verification code is not valid.")
        if self._world.clock.now() > device.issued + _DEVICE_LIFETIME:
            raise EntraError(400, "expired_token", 70019, "The verification code has expired.")
        if device.declined:
            raise EntraError(400, "authorization_declined", 65004, "The user declined to consent.")
        if device.signed_in is None:
            raise EntraError(400, "authorization_pending", 70016, "Authorization is pending.")
        del self._devices[form["device_code"]]
        return device.signed_in

    async def _authorize(self, request: Request) -> Response:
        query = request.query_params
        try:
            account = self._account_of(request)
            _check_request(account, query)
        except EntraError as error:
            return HTMLResponse(f"<h1>AADSTS{error.number}: {html.escape(error.text)}</h1>", 400)
        with self._world.lock:
            members = self._authorized(account, query)
        members["state"] = query.get("state", "")
        return HTMLResponse(_form(query["redirect_uri"], members))

    def _authorized(self, account: Account, query: Mapping[str, str]) -> dict[str, str]:
        signed_in = self.user(account, query.get("nonce"))
        if signed_in.who is SignsIn.NOBODY:
            text = "AADSTS65004: User declined to consent to access the app."
            return {"error": "access_denied", "error_description": text}
        code = secrets.token_urlsafe(40)
        challenge, now = query["code_challenge"], self._world.clock.now()
        self._codes[code] = _Code(signed_in, query["redirect_uri"], challenge, now)
        return {"code": code}

    async def _start_device(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        try:
            account = self._account_of(request)
            _check_client(account, form.get("client_id", ""))
        except EntraError as error:
            return error_response(error, request)
        code, user_code = secrets.token_urlsafe(40), secrets.token_hex(4).upper()
        with self._world.lock:
            self._devices[code] = _Device(account, self._world.clock.now())
            self._user_codes[user_code] = code
        address = f"{self._url}/devicelogin"
        return JSONResponse(
            {
                "device_code": code,
                "user_code": user_code,
                "verification_uri": address,
                "expires_in": int(_DEVICE_LIFETIME.total_seconds()),
                "interval": 1,
                "message": f"Open the page {address} and enter the code {user_code}.",
            }
        )

    async def _approve_device(self, request: Request) -> Response:
        user_code = request.query_params.get("otc", "").strip().upper()
        with self._world.lock:
            code = self._user_codes.pop(user_code, "")
            device = self._devices.get(code)
            if device is None:
                return HTMLResponse(_ENTER_CODE, 400 if user_code else 200)
            user = self.user(device.account)
            declined = user.who is SignsIn.NOBODY
            approved = None if declined else user
            self._devices[code] = replace(device, signed_in=approved, declined=declined)
        return HTMLResponse("<p>You have signed in. You may close this window.</p>")


_ENTER_CODE: Final = """<form><label>Code <input name="otc"></label><button>Next</button></form>"""


def _check_request(account: Account, query: Mapping[str, str]) -> None:
    _check_client(account, query.get("client_id", ""))
    if not _is_registered(query.get("redirect_uri", "")):
        raise EntraError(400, "invalid_request", 50011, "The reply address is not registered.")
    if query.get("response_type") != "code":
        raise EntraError(400, "invalid_request", 70005, "The response type is not supported.")
    if query.get("response_mode") != "form_post":
        raise EntraError(400, "invalid_request", 70007, "Only form_post is simulated.")
    if query.get("code_challenge_method") != "S256" or not query.get("code_challenge"):
        raise EntraError(400, "invalid_request", 50147, "The code challenge is not valid.")


def _check_client(account: Account, client_id: str) -> None:
    if client_id.lower() != account.client_id:
        text = f"Application {client_id!r} not found in this tenant."
        raise EntraError(400, "unauthorized_client", 700016, text)


def _is_registered(uri: str) -> bool:
    """Compare with the registered URI; the port of a loopback address does not count."""
    parts, registered = urlsplit(uri), urlsplit(REDIRECT_URI)
    return (
        parts.scheme == registered.scheme
        and parts.hostname == registered.hostname
        and parts.hostname in _LOOPBACK
        and parts.path in {"", "/"}
    )


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _form(action: str, members: Mapping[str, str]) -> str:
    inputs = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in members.items()
    )
    return (
        f'<form method="post" action="{html.escape(action)}">{inputs}</form>'
        "<script>document.forms[0].submit()</script>"
    )
