"""The app settings that point tipsweep at a simulated partner account."""

from local.simulator.cloud import SimulatedCloud
from local.simulator.state.accounts import Account


def app_settings(
    cloud: SimulatedCloud, account: Account | None = None, auth: str = "secret"
) -> dict[str, str]:
    """Return the settings for an account, the sandbox by default.

    `auth` is one of secret, certificate, federated, user; raises ValueError for another.
    """
    account = account or cloud.sandbox
    return {
        "PARTNER_TENANT_ID": account.tenant_id,
        "SANDBOX_TENANT_CONFIRMATION": account.tenant_id,
        "PARTNER_CENTER_CLIENT_ID": account.client_id,
        "PARTNER_CENTER_AUTH": auth,
        "PARTNER_CENTER_BASE_URL": cloud.url,
        "PARTNER_CENTER_AUTHORITY": cloud.authority,
        "PARTNER_CENTER_SCOPE": cloud.scope,
        **_credentials(cloud, account, auth),
    }


def _credentials(cloud: SimulatedCloud, account: Account, auth: str) -> dict[str, str]:
    secret = {"PARTNER_CENTER_CLIENT_SECRET": account.client_secret}
    vault = {"KEY_VAULT_URI": cloud.key_vault_url}
    identity = {
        "IDENTITY_ENDPOINT": cloud.identity_endpoint,
        "IDENTITY_HEADER": cloud.identity_header,
        "AZURE_CLIENT_ID": cloud.managed_identity.client_id,
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
