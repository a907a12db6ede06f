"""Entra ID: OpenID metadata, signing keys and the token endpoint of the partner tenants."""

import hmac
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.simulator.calls import Notes
from local.simulator.identity.entra_error import EntraError, error_response
from local.simulator.identity.interactive import Interactive, SignedIn
from local.simulator.identity.managed_identity import PRINCIPAL_ID, TOKEN_EXCHANGE
from local.simulator.identity.tokens import AUDIENCE, issue, public_keys, read
from local.simulator.state.accounts import Account
from local.simulator.state.world import World

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_OPENID_SCOPES = {"openid", "profile", "offline_access"}


class Entra:
    """The two partner tenants and their app registrations."""

    def __init__(self, world: World, url: str, sandbox: Account, production: Account) -> None:
        self._world = world
        self._url = url
        self._interactive = Interactive(world, url, self._account)
        self._accounts = {
            sandbox.tenant_id: sandbox,
            production.tenant_id: production,
        }

    def routes(self) -> list[Route]:
        """Return the routes for Starlette."""
        return [
            Route("/{tenant}/v2.0/.well-known/openid-configuration", self._metadata),
            Route("/{tenant}/discovery/v2.0/keys", self._keys),
            Route("/{tenant}/oauth2/v2.0/token", self._token, methods=["POST"]),
            *self._interactive.routes(),
        ]

    async def _metadata(self, request: Request) -> Response:
        try:
            tenant = self._account(request).tenant_id
        except EntraError as error:
            return error_response(error, request)
        base = f"{self._url}/{tenant}"
        return JSONResponse(
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_types_supported": ["code", "id_token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def _keys(self, _request: Request) -> Response:
        return JSONResponse(public_keys())

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        with self._world.lock:
            try:
                account = self._account(request)
                return JSONResponse(
                    self._grant(account, form, request.scope["notes"]),
                    headers={"Cache-Control": "no-store"},
                )
            except EntraError as error:
                return error_response(error, request)

    def _account(self, request: Request) -> Account:
        tenant = request.path_params["tenant"]
        account = self._accounts.get(tenant.lower())
        if account is None:
            raise EntraError(400, "invalid_request", 90002, f"Tenant {tenant!r} not found.")
        return account

    def _grant(self, account: Account, form: Mapping[str, str], notes: Notes) -> dict[str, Any]:
        grant = form.get("grant_type")
        if grant not in {"client_credentials", "refresh_token", *Interactive.GRANTS}:
            raise EntraError(400, "unsupported_grant_type", 70003, f"Grant {grant!r} unsupported.")
        self._check_client(account, form)
        notes.partner_tenant_id = account.tenant_id
        notes.app_only = grant == "client_credentials"
        if notes.app_only:
            _check_scopes(form, {f"{AUDIENCE}/.default"})
            return self._token_response(account, {"idtyp": "app", "sub": account.client_id})
        if grant in Interactive.GRANTS:
            signed_in = self._interactive.redeem(account, form)
            return {**self._user_response(account, signed_in), **signed_in.identity()}
        self._check_refresh_token(account, form)
        _check_scopes(form, {f"{AUDIENCE}/.default", f"{AUDIENCE}/user_impersonation"})
        return self._user_response(account, self._interactive.user(account))

    def _user_response(self, account: Account, signed_in: SignedIn) -> dict[str, Any]:
        user = {"scp": "user_impersonation", **signed_in.claims()}
        return {
            **self._token_response(account, user),
            "scope": f"{AUDIENCE}/user_impersonation",
            "refresh_token": account.new_refresh_token(),
        }

    def _token_response(self, account: Account, claims: Mapping[str, object]) -> dict[str, Any]:
        lifetime = self._world.behaviour.token_lifetime_seconds
        token = issue(
            {
                "aud": AUDIENCE,
                "iss": f"{self._url}/{account.tenant_id}/",
                "tid": account.tenant_id,
                "appid": account.client_id,
                "ver": "1.0",
                **claims,
            },
            lifetime,
        )
        return {
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": token,
        }

    def _check_client(self, account: Account, form: Mapping[str, str]) -> None:
        client_id = form.get("client_id", "")
        if client_id.lower() != account.client_id:
            raise EntraError(
                400,
                "unauthorized_client",
                700016,
                f"Application {client_id!r} not found in this tenant.",
            )
        if "client_assertion" in form:
            self._check_assertion(account, form)
        elif not hmac.compare_digest(form.get("client_secret", ""), account.client_secret):
            raise EntraError(401, "invalid_client", 7000215, "Invalid client secret provided.")

    def _check_assertion(self, account: Account, form: Mapping[str, str]) -> None:
        if form.get("client_assertion_type") != _ASSERTION_TYPE:
            raise EntraError(400, "invalid_request", 900144, "client_assertion_type is missing.")
        assertion = form["client_assertion"]
        try:
            if "x5t" in (header := jwt.get_unverified_header(assertion)) or "x5t#S256" in header:
                self._check_signed_by_certificate(account, assertion)
            else:
                _check_federated(assertion)
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
            raise EntraError(
                401, "invalid_client", 700024, f"The client assertion is out of time: {error}."
            ) from error
        except jwt.InvalidTokenError as error:
            raise EntraError(
                401, "invalid_client", 700027, f"The client assertion is invalid: {error}."
            ) from error

    def _check_signed_by_certificate(self, account: Account, assertion: str) -> None:
        claims = jwt.decode(
            assertion,
            account.app_certificate.key.public_key(),
            algorithms=["RS256", "PS256"],
            audience=f"{self._url}/{account.tenant_id}/oauth2/v2.0/token",
            options={"require": ["exp", "aud", "iss", "sub"]},
        )
        if not claims["iss"] == claims["sub"] == account.client_id:
            raise EntraError(
                401, "invalid_client", 700021, "The assertion is for another application."
            )

    def _check_refresh_token(self, account: Account, form: Mapping[str, str]) -> None:
        age = account.refresh_token_age(form.get("refresh_token", ""))
        lifetime = timedelta(days=self._world.behaviour.refresh_token_lifetime_days)
        if age is None:
            raise EntraError(400, "invalid_grant", 9002313, "The refresh token is unknown.")
        if age > lifetime:
            raise EntraError(
                400, "invalid_grant", 700082, "The refresh token has expired due to inactivity."
            )


def _check_federated(assertion: str) -> None:
    claims = read(assertion, TOKEN_EXCHANGE)
    if claims.get("sub") != PRINCIPAL_ID:
        raise EntraError(
            401, "invalid_client", 700213, "No matching federated identity record found."
        )


def _check_scopes(form: Mapping[str, str], accepted: set[str]) -> None:
    scopes = set(form.get("scope", "").split()) - _OPENID_SCOPES
    foreign = [scope for scope in scopes if not scope.startswith(f"{AUDIENCE}/")]
    if foreign:
        raise EntraError(
            400, "invalid_resource", 500011, f"The resource of {foreign[0]!r} was not found."
        )
    if not scopes or not scopes <= accepted:
        raise EntraError(
            400, "invalid_scope", 70011, f"The scope {form.get('scope')!r} is not valid."
        )
