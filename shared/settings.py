"""The settings: read from the environment once, checked as a whole, and typed."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from functools import cache
from typing import Final

from shared.environment import GERMANY_CLOSED, Reader, SettingsError
from shared.events import Event, emit
from shared.limits import MICROSOFT_CALLS_PER_MINUTE, SANDBOX_CUSTOMERS
from shared.schedules import NotASchedule, require_schedule
from shared.tenants import TenantId

SWEEP_SCHEDULE: Final = "SWEEP_SCHEDULE"
DEFAULT_SWEEP_SCHEDULE: Final = "0 0 3 * * *"

NO_PROTECTION: Final = "none"
_WEEK_SECONDS: Final = 604_800
# A name that begins like ours but is unknown may be one of a later version.
OUR_PREFIXES: Final = (
    "PARTNER_CENTER_",
    "SWEEP_",
    "CHECK_",
    "PROTECTED_",
    "DELETION_",
    "HISTORY_",
    "SANDBOX_",
)
_LONGEST_HISTORY_DAYS: Final = 3_650


class Cloud(StrEnum):
    """The national clouds that Partner Center is offered in."""

    GLOBAL = "global"
    USGOV = "usgov"
    CHINA = "china"


class Auth(StrEnum):
    """The ways to obtain a token for Partner Center."""

    SECRET = "secret"  # noqa: S105 - the name of a way to sign in, not a secret
    CERTIFICATE = "certificate"
    FEDERATED = "federated"
    USER = "user"


class SweepMode(StrEnum):
    """What the timer sweep does with the customers it finds."""

    OFF = "off"
    REPORT = "report"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses of a cloud's Partner Center and of its sign-in."""

    base_url: str
    authority: str
    scope: str


# The authority of 21Vianet is uncertain: newer pages name login.partner.microsoftonline.cn.
ENDPOINTS: Final[Mapping[Cloud, Endpoints]] = {
    Cloud.GLOBAL: Endpoints(
        base_url="https://api.partnercenter.microsoft.com",
        authority="https://login.microsoftonline.com",
        scope="https://api.partnercenter.microsoft.com/.default",
    ),
    Cloud.USGOV: Endpoints(
        base_url="https://api.partnercenter.microsoft.com",
        authority="https://login.microsoftonline.us",
        scope="https://api.partnercenter.microsoft.com/.default",
    ),
    Cloud.CHINA: Endpoints(
        base_url="https://partner.partnercenterapi.microsoftonline.cn",
        authority="https://login.chinacloudapi.cn",
        scope="https://partner.partnercenterapi.microsoftonline.cn/.default",
    ),
}


@dataclass(frozen=True, slots=True)
class PartnerCenterSettings:
    """How to reach Partner Center and sign in there."""

    tenant_id: TenantId
    client_id: str
    auth: Auth
    endpoints: Endpoints
    rate_limit_per_minute: int
    client_secret: str | None = field(repr=False)
    key_vault_uri: str | None
    certificate_name: str | None
    refresh_token_secret_name: str | None
    managed_identity: bool
    managed_identity_client_id: str | None


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """The storage account of queues and tables: a connection string or two service URIs."""

    connection_string: str | None = field(repr=False)
    queue_service_uri: str | None
    table_service_uri: str | None
    managed_identity: bool
    managed_identity_client_id: str | None


@dataclass(frozen=True, slots=True)
class ProtectionSettings:
    """The customers that are never deleted, whoever asks; domains are patterns in one form."""

    tenants: frozenset[TenantId]
    domains: tuple[str, ...]
    waived: bool

    @property
    def decided(self) -> bool:
        """Whether somebody has decided what to protect, or to protect nothing."""
        return bool(self.tenants or self.domains or self.waived)


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """How long to wait between two checks of a customer, and in total."""

    first_delay: timedelta
    max_delay: timedelta
    deadline: timedelta


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """Which customers the sweep deletes, and how many."""

    mode: SweepMode
    include_domains: tuple[str, ...]
    min_age: timedelta
    max_deletions: int
    keep_free_slots: int | None


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How callers reach the HTTP functions."""

    public_base_url: str | None
    require_client_principal: bool
    easy_auth: bool


@dataclass(frozen=True, slots=True)
class BasicSettings:
    """What queues and records need, so that nothing is lost while other settings are wrong."""

    storage: StorageSettings
    checks: CheckSettings
    history_kept: timedelta


@dataclass(frozen=True, slots=True)
class Settings(BasicSettings):
    """Every setting of tipsweep; `unknown` names those that look like ours and are not."""

    partner_center: PartnerCenterSettings
    sandbox_tenant_confirmation: TenantId
    protection: ProtectionSettings
    sweep: SweepSettings
    http: HttpSettings
    unknown: tuple[str, ...] = ()


@cache
def settings() -> Settings:
    """Return the settings of this process; raises SettingsError on first use."""
    read = read_settings(os.environ)
    if read.unknown:
        emit(Event.SETTINGS_UNKNOWN, names=", ".join(read.unknown))
    return read


def sweep_schedule() -> str:
    """Return the NCRONTAB expression of the sweep, which the host needs at load time.

    One that the host cannot read would drop the function in silence, so that the default takes its
    place: each run then fails with the error about the setting, before it does anything.
    """
    return _schedule(Reader(os.environ))


def require_trigger_settings(environment: Mapping[str, str]) -> None:
    """Raise SettingsError if a setting that a trigger names is given and wrong."""
    reader = Reader(environment)
    _schedule(reader)
    # Without any of them there is no host, only somebody who imports the app.
    if any(name.startswith("AzureWebJobsStorage") for name in environment):
        _storage(reader)
    reader.raise_problems()


def _schedule(reader: Reader) -> str:
    expression = reader.text(SWEEP_SCHEDULE) or DEFAULT_SWEEP_SCHEDULE
    try:
        require_schedule(expression)
    except NotASchedule as error:
        reader.problem(f"{SWEEP_SCHEDULE}: {error}")
        return DEFAULT_SWEEP_SCHEDULE
    return expression


def easy_auth_guards_http() -> bool:
    """Whether Easy Auth signs callers in, without keys; the host needs to know at load time.

    Azure itself sets WEBSITE_AUTH_ENABLED if Easy Auth is on.
    """
    names = ("REQUIRE_CLIENT_PRINCIPAL", "WEBSITE_AUTH_ENABLED")
    return all(os.environ.get(name, "").strip().lower() == "true" for name in names)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read every setting; raises one SettingsError that names everything missing or wrong."""
    reader = Reader(environment)
    # Only the host uses it, and drops the sweep if it cannot read it.
    _schedule(reader)
    protection = _protection(reader)
    result = Settings(
        partner_center=_partner_center(reader),
        sandbox_tenant_confirmation=reader.tenant("SANDBOX_TENANT_CONFIRMATION"),
        storage=_storage(reader),
        protection=protection,
        checks=_checks(reader),
        sweep=_sweep(reader, protection),
        http=HttpSettings(
            public_base_url=reader.https_url("PUBLIC_BASE_URL"),
            require_client_principal=reader.flag("REQUIRE_CLIENT_PRINCIPAL"),
            easy_auth=reader.flag("WEBSITE_AUTH_ENABLED"),
        ),
        history_kept=_history_kept(reader),
    )
    unknown = reader.unknown(OUR_PREFIXES)
    reader.raise_problems()
    return replace(result, unknown=unknown)


def read_basic_settings(environment: Mapping[str, str]) -> BasicSettings:
    """Read what queues need; raises SettingsError about the storage account alone.

    A wrong delay counts as its default here: `read_settings` reports it.
    """
    reader = Reader(environment)
    storage = _storage(reader)
    reader.raise_problems()
    return BasicSettings(storage, _checks(Reader(environment)), _longest_if_wrong(environment))


def read_partner(environment: Mapping[str, str]) -> TenantId:
    """Read the account whose records these are; raises SettingsError."""
    reader = Reader(environment)
    partner = reader.tenant("PARTNER_TENANT_ID")
    reader.raise_problems()
    return partner


def read_partner_center(environment: Mapping[str, str]) -> PartnerCenterSettings:
    """Read how to reach Partner Center; raises SettingsError about these settings alone."""
    reader = Reader(environment)
    read = _partner_center(reader)
    reader.raise_problems()
    return read


def _partner_center(reader: Reader) -> PartnerCenterSettings:
    auth = reader.choice("PARTNER_CENTER_AUTH", Auth.SECRET)
    needs_secret = auth in {Auth.SECRET, Auth.USER}
    needs_vault = auth in {Auth.CERTIFICATE, Auth.USER}
    closed = dict.fromkeys(("germany", "german", "de"), GERMANY_CLOSED)
    cloud = ENDPOINTS[reader.choice("PARTNER_CENTER_CLOUD", Cloud.GLOBAL, closed)]
    scope = reader.text("PARTNER_CENTER_SCOPE")
    reader.require_open_cloud("PARTNER_CENTER_SCOPE", scope)
    return PartnerCenterSettings(
        tenant_id=reader.tenant("PARTNER_TENANT_ID"),
        client_id=reader.tenant("PARTNER_CENTER_CLIENT_ID"),
        auth=auth,
        endpoints=Endpoints(
            base_url=reader.https_url("PARTNER_CENTER_BASE_URL") or cloud.base_url,
            authority=reader.https_url("PARTNER_CENTER_AUTHORITY") or cloud.authority,
            scope=scope or cloud.scope,
        ),
        # Below Microsoft's 500, which the partner tenant's other apps share.
        rate_limit_per_minute=reader.whole(
            "PARTNER_CENTER_RATE_LIMIT_PER_MINUTE", 475, 1, MICROSOFT_CALLS_PER_MINUTE
        ),
        client_secret=reader.secret_for(auth, "PARTNER_CENTER_CLIENT_SECRET", needed=needs_secret),
        key_vault_uri=reader.https_url("KEY_VAULT_URI", needed_for=auth if needs_vault else None),
        certificate_name=reader.text_for(
            auth, "PARTNER_CENTER_CERTIFICATE_NAME", needed=auth is Auth.CERTIFICATE
        ),
        refresh_token_secret_name=reader.text_for(
            auth, "REFRESH_TOKEN_SECRET_NAME", needed=auth is Auth.USER
        ),
        managed_identity=reader.text("IDENTITY_ENDPOINT") is not None,
        managed_identity_client_id=reader.text("AZURE_CLIENT_ID"),
    )


def _storage(reader: Reader) -> StorageSettings:
    connection_string = reader.connection_string("AzureWebJobsStorage")
    queue_uri = reader.service_uri("AzureWebJobsStorage__queueServiceUri")
    table_uri = reader.service_uri("AzureWebJobsStorage__tableServiceUri")
    reader.require_open_cloud("AzureWebJobsStorage__queueServiceUri", queue_uri)
    reader.require_open_cloud("AzureWebJobsStorage__tableServiceUri", table_uri)
    if connection_string and (queue_uri or table_uri):
        reader.problem(
            "AzureWebJobsStorage is set together with AzureWebJobsStorage__queueServiceUri or "
            "AzureWebJobsStorage__tableServiceUri: set one or the other"
        )
    elif not connection_string and not (queue_uri and table_uri):
        reader.problem(
            "AzureWebJobsStorage is missing: set it, or both AzureWebJobsStorage__queueServiceUri "
            "and AzureWebJobsStorage__tableServiceUri"
        )
    credential = reader.text("AzureWebJobsStorage__credential")
    if credential not in {None, "managedidentity"}:
        reader.problem("AzureWebJobsStorage__credential: expected managedidentity or nothing")
    return StorageSettings(
        connection_string=connection_string,
        queue_service_uri=queue_uri,
        table_service_uri=table_uri,
        managed_identity=credential is not None,
        managed_identity_client_id=reader.text("AzureWebJobsStorage__clientId"),
    )


def _protection(reader: Reader) -> ProtectionSettings:
    tenants = reader.words("PROTECTED_TENANTS")
    if reader.text("PARTNER_TENANT_ID") is not None:
        _require_customers(reader, tenants)
    domains = reader.words("PROTECTED_DOMAINS")
    return ProtectionSettings(
        tenants=frozenset(
            reader.listed_tenant("PROTECTED_TENANTS", word)
            for word in tenants
            if word.lower() != NO_PROTECTION
        ),
        domains=tuple(
            reader.listed_domain("PROTECTED_DOMAINS", word)
            for word in domains
            if word.lower() != NO_PROTECTION
        ),
        waived=NO_PROTECTION in {word.lower() for word in (*tenants, *domains)},
    )


def _require_customers(reader: Reader, words: Sequence[str]) -> None:
    """Note a problem if the partner alone is listed: it is no customer, so nothing is protected."""
    partner = reader.tenant("PARTNER_TENANT_ID")
    if partner and words and all(partner in word.lower() for word in words):
        reader.problem(
            f"PROTECTED_TENANTS names only {partner}, which is the partner itself: expected "
            "customers"
        )


def _checks(reader: Reader) -> CheckSettings:
    first = reader.whole("CHECK_FIRST_DELAY_SECONDS", 5, 1, _WEEK_SECONDS)
    longest = reader.whole("CHECK_MAX_DELAY_SECONDS", 300, 1, _WEEK_SECONDS)
    if first > longest:
        reader.problem(
            f"CHECK_FIRST_DELAY_SECONDS is {first}, more than CHECK_MAX_DELAY_SECONDS ({longest})"
        )
    return CheckSettings(
        first_delay=timedelta(seconds=first),
        max_delay=timedelta(seconds=longest),
        deadline=timedelta(hours=reader.whole("DELETION_DEADLINE_HOURS", 48, 1, 24 * 90)),
    )


def _history_kept(reader: Reader) -> timedelta:
    return timedelta(days=reader.whole("HISTORY_DAYS", 400, 1, _LONGEST_HISTORY_DAYS))


def _longest_if_wrong(environment: Mapping[str, str]) -> timedelta:
    """Return how long the history is kept: no mistake in the setting may remove entries."""
    reader = Reader(environment)
    kept = _history_kept(reader)
    try:
        reader.raise_problems()
    except SettingsError:
        return timedelta(days=_LONGEST_HISTORY_DAYS)
    return kept


def _sweep(reader: Reader, protection: ProtectionSettings) -> SweepSettings:
    mode = reader.choice("SWEEP_MODE", SweepMode.REPORT)
    if mode is SweepMode.DELETE and not protection.decided:
        reader.problem(
            "SWEEP_MODE is delete, but nothing is protected: set PROTECTED_TENANTS or "
            f"PROTECTED_DOMAINS, or set one to {NO_PROTECTION} to protect nothing"
        )
    included = tuple(
        reader.listed_domain("SWEEP_INCLUDE_DOMAINS", word)
        for word in reader.words("SWEEP_INCLUDE_DOMAINS")
    )
    keep_free = reader.text("SWEEP_KEEP_FREE_SLOTS")
    return SweepSettings(
        mode=mode,
        include_domains=included or ("*",),
        min_age=timedelta(days=reader.whole("SWEEP_MIN_AGE_DAYS", 7, 0, 3650)),
        max_deletions=reader.whole("SWEEP_MAX_DELETIONS", 25, 1, SANDBOX_CUSTOMERS),
        keep_free_slots=None
        if keep_free is None
        else reader.whole("SWEEP_KEEP_FREE_SLOTS", 0, 0, SANDBOX_CUSTOMERS),
    )
