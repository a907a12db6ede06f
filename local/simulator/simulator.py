"""The simulator as one object: a world, the services in front of it, a server."""

import tempfile
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from local.simulator.calls import Call, CallLog
from local.simulator.certificates import authority
from local.simulator.control import Control
from local.simulator.exchange import Exchange
from local.simulator.faults import Fault, FaultQueue
from local.simulator.identity.entra import Entra
from local.simulator.identity.key_vault import KeyVault
from local.simulator.identity.managed_identity import ManagedIdentity
from local.simulator.identity.tokens import AUDIENCE
from local.simulator.partner_center.errors import GatewayError, gateway_response
from local.simulator.partner_center.gateway import PartnerCenter
from local.simulator.seeds import plant, planting
from local.simulator.server import Server, loopback_socket
from local.simulator.state.accounts import Account
from local.simulator.state.behaviour import Behaviour
from local.simulator.state.clock import Clock
from local.simulator.state.world import World


class Simulator:
    """Partner Center, Entra ID, a managed identity and a vault on one port of localhost.

    Make one with `start`; it is a context manager that stops at the end.
    """

    def __init__(self, port: int, behaviour: Behaviour) -> None:
        self._socket = loopback_socket(port)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"https://localhost:{self.port}"
        self._directory = tempfile.TemporaryDirectory(prefix="tipsweep-simulator-")
        self.ca_file = Path(self._directory.name) / "ca.pem"
        self.ca_file.write_bytes(authority().cert_pem.bytes())
        self._world = World(behaviour)
        self._initial_behaviour = behaviour
        self.sandbox = Account(self._world, "sandbox", sandbox=True)
        self.production = Account(self._world, "production", sandbox=False)
        self.key_vault = KeyVault(self._world, self.port, self.sandbox.tenant_id)
        self.managed_identity = ManagedIdentity(self.url, self.key_vault.resource)
        self._partner_center = PartnerCenter(self._world, self.sandbox, self.production)
        self._faults = FaultQueue()
        self._log = CallLog()
        self._server = Server(self._app(), self._socket)

    @classmethod
    def start(
        cls, port: int = 0, *, behaviour: Behaviour | None = None, seed: str = "empty"
    ) -> Self:
        """Return a simulator that listens; port 0 lets the system choose.

        Raises ValueError for an unknown seed, OSError when the port is taken.
        """
        planting(seed)  # an unknown seed must not leave a bound socket behind
        simulator = cls(port, behaviour or Behaviour())
        simulator.reset(seed)
        simulator._server.start()
        return simulator

    def stop(self) -> None:
        """Stop to listen and remove the CA file."""
        self._server.stop()
        self._directory.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def authority(self) -> str:
        """The login authority, without a tenant."""
        return self.url

    @property
    def scope(self) -> str:
        """The scope of tokens for Partner Center."""
        return f"{AUDIENCE}/.default"

    @property
    def key_vault_url(self) -> str:
        """The URL of the vault; it differs from the others so that SecretClient accepts it."""
        return self.key_vault.url

    @property
    def identity_endpoint(self) -> str:
        """The value of IDENTITY_ENDPOINT."""
        return f"{self.url}/msi/token"

    @property
    def identity_header(self) -> str:
        """The value of IDENTITY_HEADER."""
        return self.managed_identity.header

    @property
    def clock(self) -> Clock:
        """The simulator's own time."""
        return self._world.clock

    @property
    def behaviour(self) -> Behaviour:
        """The behaviour in force; another one takes effect at once."""
        return self._world.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        with self._world.lock:
            self._world.behaviour = behaviour

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls of Partner Center and the requests for tokens, in order."""
        return self.calls_since(0)

    def calls_since(self, sequence: int) -> tuple[Call, ...]:
        """Return the calls with a higher sequence number."""
        return self._log.since(sequence)

    def clear_calls(self) -> None:
        """Forget the calls so far; their numbers go on."""
        self._log.clear()

    def add_fault(self, fault: Fault) -> None:
        """Queue trouble for the next calls that match."""
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Drop the faults that have not struck yet."""
        self._faults.clear()

    def advance(self, seconds: float) -> None:
        """Move the simulator's clock on: order ages, delays, the throttling window."""
        with self._world.lock:
            self._world.clock.advance(seconds)

    def reset(self, seed: str) -> None:
        """Start anew with the customers of a seed; credentials and URL stay.

        Raises ValueError for an unknown seed.
        """
        customers = planting(seed)
        with self._world.lock:
            self._world.clock.reset()
            self._world.behaviour = self._initial_behaviour
            self.sandbox.clear_customers()
            self.production.clear_customers()
            plant(customers, self._world, self.sandbox, self.production)
            self.key_vault.fill(self.sandbox, self.production)
            self._partner_center.reset()
        self._faults.clear()
        self._log.clear()

    def environment(self, account: Account | None = None, auth: str = "secret") -> dict[str, str]:
        """Return the app settings that point tipsweep at an account, the sandbox by default.

        `auth` is one of secret, certificate, federated, user; raises ValueError for another.
        """
        account = account or self.sandbox
        return {
            "PARTNER_TENANT_ID": account.tenant_id,
            "SANDBOX_TENANT_CONFIRMATION": account.tenant_id,
            "PARTNER_CENTER_CLIENT_ID": account.client_id,
            "PARTNER_CENTER_AUTH": auth,
            "PARTNER_CENTER_BASE_URL": self.url,
            "PARTNER_CENTER_AUTHORITY": self.authority,
            "PARTNER_CENTER_SCOPE": self.scope,
            "REQUESTS_CA_BUNDLE": str(self.ca_file),
            **self._credentials(account, auth),
        }

    def _credentials(self, account: Account, auth: str) -> dict[str, str]:
        secret = {"PARTNER_CENTER_CLIENT_SECRET": account.client_secret}
        vault = {"KEY_VAULT_URI": self.key_vault_url}
        identity = {
            "IDENTITY_ENDPOINT": self.identity_endpoint,
            "IDENTITY_HEADER": self.identity_header,
            "AZURE_CLIENT_ID": self.managed_identity.client_id,
        }
        certificate = {"PARTNER_CENTER_CERTIFICATE_NAME": account.certificate_name}
        refresh_token = {"REFRESH_TOKEN_SECRET_NAME": account.refresh_token_name}
        by_auth = {
            "secret": secret,
            "certificate": vault | identity | certificate,
            "federated": identity,
            "user": secret | vault | identity | refresh_token,
        }
        if auth not in by_auth:
            message = f"unknown auth {auth!r}: expected one of {', '.join(by_auth)}"
            raise ValueError(message)
        return by_auth[auth]

    def _app(self) -> Starlette:
        app = Starlette(
            routes=[
                *Control(self).routes(),
                *self._partner_center.routes(),
                *self.managed_identity.routes(),
                *self.key_vault.routes(),
                *Entra(self._world, self.url, self.sandbox, self.production).routes(),
            ],
            middleware=[
                Middleware(partial(Exchange, world=self._world, faults=self._faults, log=self._log))
            ],
            exception_handlers={HTTPException: _unmapped},
        )
        app.router.redirect_slashes = False
        return app


async def _unmapped(_request: Request, error: Exception) -> Response:
    """Answer an unknown route or a wrong method as the gateway does."""
    if not isinstance(error, HTTPException):
        raise error
    return gateway_response(GatewayError(error.status_code, error.detail, headers=error.headers))
