"""Partner accounts: a tenant, its app registration and its customers."""

import secrets
from datetime import datetime, timedelta

from local.simulator.certificates import AppCertificate, app_certificate
from local.simulator.state.purchases import Customer
from local.simulator.state.world import World


class Account:
    """A partner account; only the tenant of the token tells one from another."""

    def __init__(self, world: World, name: str, *, sandbox: bool) -> None:
        self._world = world
        self._customers: list[Customer] = []
        self._refresh_tokens: dict[str, datetime] = {}
        self._revoked: set[str] = set()
        self.name = name
        self.sandbox = sandbox
        self.tenant_id = world.guid()
        self.client_id = world.guid()
        self.client_secret = secrets.token_urlsafe(30)
        self.app_certificate: AppCertificate = app_certificate(f"tipsweep-{name}")
        self.refresh_token = self.new_refresh_token()

    @property
    def certificate(self) -> bytes:
        """The certificate of the app registration with its key, in PEM."""
        return self.app_certificate.pem

    @property
    def certificate_name(self) -> str:
        """The name of the certificate in the vault."""
        return f"{self.name}-partner-center-certificate"

    @property
    def refresh_token_name(self) -> str:
        """The name of the vault's secret that holds the refresh token."""
        return f"{self.name}-refresh-token"

    @property
    def customers(self) -> tuple[Customer, ...]:
        """Every customer since the last reset, deleted ones included."""
        with self._world.lock:
            return tuple(self._customers)

    def add_customer(
        self,
        domain: str,
        company_name: str | None = None,
        tenant_id: str | None = None,
        *,
        label: str = "",
    ) -> Customer:
        """Create a customer without orders."""
        with self._world.lock:
            customer = Customer(
                self._world,
                tenant_id=tenant_id or self._world.guid(),
                domain=domain,
                company_name=company_name or domain.partition(".")[0],
                label=label,
            )
            self._customers.append(customer)
            return customer

    def clear_customers(self) -> None:
        """Remove every customer."""
        with self._world.lock:
            self._customers.clear()

    def customer(self, tenant_id: str) -> Customer | None:
        """Return the customer with this ID, or None if it is unknown or deleted."""
        wanted = tenant_id.lower()
        return next(
            (one for one in self._customers if one.tenant_id == wanted and not one.deleted), None
        )

    def new_refresh_token(self) -> str:
        """Issue a refresh token; earlier ones stay valid."""
        token = secrets.token_urlsafe(60)
        self._refresh_tokens[token] = self._world.clock.now()
        return token

    def revoke_refresh_token(self, token: str) -> None:
        """Refuse a refresh token until the next reset."""
        self._revoked.add(token)

    def clear_revocations(self) -> None:
        """Accept every refresh token that was ever issued."""
        self._revoked.clear()

    def refresh_token_age(self, token: str) -> timedelta | None:
        """Return the age of a refresh token, or None if it was never issued here or is revoked."""
        issued = None if token in self._revoked else self._refresh_tokens.get(token)
        return None if issued is None else self._world.clock.now() - issued
