"""Partner Center, Entra ID, a managed identity and a vault in memory, as one ASGI app."""

from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from local.simulator.calls import Call, CallLog
from local.simulator.control import Control
from local.simulator.exchange import Exchange
from local.simulator.faults import Fault, FaultQueue
from local.simulator.identity.entra import Entra
from local.simulator.identity.key_vault import KeyVault
from local.simulator.identity.managed_identity import ManagedIdentity
from local.simulator.identity.tokens import AUDIENCE
from local.simulator.partner_center.errors import GatewayError, gateway_response
from local.simulator.partner_center.gateway import PartnerCenter
from local.simulator.seeds import create_customers, seed_named
from local.simulator.state.accounts import Account
from local.simulator.state.behaviour import Behaviour
from local.simulator.state.clock import Clock
from local.simulator.state.world import World


class SimulatedCloud:
    """The services that Microsoft runs, without a socket or a thread; `app` is the ASGI app.

    `port` only appears in URLs. An ASGI scope may carry `abort`, a function that closes the
    connection; without it a dropped call ends without a response.
    """

    def __init__(
        self,
        port: int = 443,
        *,
        behaviour: Behaviour | None = None,
        seed: str = "empty",
        clock: Clock | None = None,
    ) -> None:
        """Raise ValueError for an unknown seed."""
        self.url = f"https://localhost:{port}"
        self.world = World(behaviour or Behaviour(), clock or Clock())
        self.sandbox = Account(self.world, "sandbox", sandbox=True)
        self.production = Account(self.world, "production", sandbox=False)
        self.key_vault = KeyVault(self.world, port, self.sandbox.tenant_id)
        self.managed_identity = ManagedIdentity(self.url, self.key_vault.resource)
        self._initial_behaviour = self.world.behaviour
        self._partner_center = PartnerCenter(self.world, self.sandbox, self.production)
        self._faults = FaultQueue()
        self._log = CallLog()
        self.app = self._app()
        self.reset(seed)

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
        """The simulated time."""
        return self.world.clock

    @property
    def behaviour(self) -> Behaviour:
        """The current behaviour; a change takes effect from the next call."""
        return self.world.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self.world.use(behaviour)

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls to Partner Center and the token requests, in order."""
        return self._log.since(0)

    def clear_calls(self) -> None:
        """Clear the call log; sequence numbers keep counting."""
        self._log.clear()

    def add_fault(self, fault: Fault) -> None:
        """Queue a fault for the next calls that match."""
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Remove the faults that have not been injected yet."""
        self._faults.clear()

    def advance(self, seconds: float) -> None:
        """Advance the simulated clock, which drives order ages, delays and throttling."""
        self.world.advance(seconds)

    def reset(self, seed: str = "empty") -> None:
        """Restore the initial behaviour and the customers of a seed; keep credentials and URL.

        Raises ValueError for an unknown seed.
        """
        chosen = seed_named(seed)
        with self.world.lock:
            self.world.clock.reset()
            self.world.use(self._initial_behaviour)
            self.sandbox.clear_customers()
            self.production.clear_customers()
            self.sandbox.clear_revocations()
            self.production.clear_revocations()
            create_customers(chosen, self.world, self.sandbox, self.production)
            self.key_vault.fill(self.sandbox, self.production)
            self._partner_center.reset()
        self._faults.clear()
        self._log.clear()

    def _app(self) -> Starlette:
        accounts = (self.sandbox, self.production)
        control = Control(self.world, accounts, self._log, self._faults, self.reset)
        app = Starlette(
            routes=[
                *control.routes(),
                *self._partner_center.routes(),
                *self.managed_identity.routes(),
                *self.key_vault.routes(),
                *Entra(self.world, self.url, *accounts).routes(),
            ],
            middleware=[
                Middleware(partial(Exchange, world=self.world, faults=self._faults, log=self._log))
            ],
            exception_handlers={HTTPException: _unmapped},
        )
        # A trailing slash is a 404 in Partner Center, not a redirect.
        app.router.redirect_slashes = False
        return app


async def _unmapped(_request: Request, error: Exception) -> Response:
    """Respond to an unknown route or a wrong method as the gateway does."""
    if not isinstance(error, HTTPException):
        raise error
    return gateway_response(GatewayError(error.status_code, error.detail, headers=error.headers))
