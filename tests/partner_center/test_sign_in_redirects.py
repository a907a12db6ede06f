"""Nothing that signs in follows a response to another place, so that no credential goes there."""

from collections.abc import Iterator

import pytest
import requests

from local.simulator import Fault, Simulator
from shared.partner_center.credentials import TokenSource
from shared.partner_center.deadline import Deadline
from shared.partner_center.errors import SignInMisconfigured, SignInUnavailable
from shared.partner_center.refresh_tokens import refresh_token_age_days
from shared.partner_center.sign_in_responses import leads_elsewhere
from shared.settings import Auth
from tests.partner_center.test_credentials import Read

ELSEWHERE = "/elsewhere"
DISCOVERY = "*/.well-known/openid-configuration"
# With a federated credential, azure-identity asks for no discovery document.
DISCOVERING = [Auth.SECRET, Auth.CERTIFICATE, Auth.USER]
URL = "https://login.microsoftonline.com/t/v2.0/.well-known/openid-configuration"


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note each request that leaves."""
    urls: list[str] = []
    send = requests.Session.send

    def noting(
        self: requests.Session, request: requests.PreparedRequest, **options: object
    ) -> requests.Response:
        urls.append(str(request.url))
        return send(self, request, **options)  # type: ignore[arg-type] # options of any kind

    monkeypatch.setattr(requests.Session, "send", noting)
    yield urls
    assert not [url for url in urls if ELSEWHERE in url]


def redirect(simulator: Simulator, method: str, path: str, status: int) -> None:
    headers = {"Location": f"https://127.0.0.1:{simulator.port}{ELSEWHERE}"}
    fault = Fault(method=method, path=path, status=status, body="", headers=headers, times=None)
    simulator.add_fault(fault)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("auth", "call"),
    [
        *((auth, ("POST", "*/oauth2/v2.0/token")) for auth in Auth),
        *((auth, ("GET", DISCOVERY)) for auth in DISCOVERING),
        (Auth.CERTIFICATE, ("GET", "/secrets/*")),
        (Auth.USER, ("GET", "/secrets/*")),
    ],
)
def test_a_redirection_is_a_wrong_host(
    partner_settings: Read, simulator: Simulator, auth: Auth, call: tuple[str, str], status: int
) -> None:
    redirect(simulator, *call, status)

    with pytest.raises(SignInMisconfigured, match=str(status)) as caught:
        TokenSource(partner_settings(auth)).token(Deadline.after())

    setting = "KEY_VAULT_URI" if call[1] == "/secrets/*" else "PARTNER_CENTER_AUTHORITY"
    assert caught.value.refusal is not None
    assert caught.value.refusal.settings == (setting,)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("auth", [Auth.FEDERATED, Auth.CERTIFICATE])
def test_a_redirection_of_the_managed_identity_is_an_outage(
    partner_settings: Read, simulator: Simulator, auth: Auth, status: int
) -> None:
    redirect(simulator, "GET", "/msi/token", status)

    with pytest.raises(SignInUnavailable, match=str(status)):
        TokenSource(partner_settings(auth)).token(Deadline.after())


@pytest.mark.parametrize(
    "location", ["https://\xff\xfe/", "\x80", "https://[", "//", "https://e:x/"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "*/oauth2/v2.0/token"),
        ("GET", DISCOVERY),
        ("GET", "/secrets/*"),
        ("GET", "/msi/token"),
    ],
)
def test_a_redirection_with_odd_bytes_is_not_followed_and_no_flaw_of_the_certificate(
    partner_settings: Read, simulator: Simulator, method: str, path: str, location: str
) -> None:
    headers = {"Location": location}
    fault = Fault(method=method, path=path, status=307, body="", headers=headers, times=None)
    simulator.add_fault(fault)

    either = (SignInUnavailable, SignInMisconfigured)
    with pytest.raises(either, match="a redirection is not followed") as caught:
        TokenSource(partner_settings(Auth.CERTIFICATE)).token(Deadline.after())

    assert "PFX" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_refresh_token_is_kept_in_memory_if_the_vault_redirects_its_write(
    partner_settings: Read,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    redirect(simulator, "PUT", "/secrets/*", status)

    assert TokenSource(partner_settings(Auth.USER)).token(Deadline.after())

    assert f"responded with {status}: a redirection is not followed" in caplog.text


def test_the_age_of_the_refresh_token_is_not_read_elsewhere(
    partner_settings: Read, simulator: Simulator
) -> None:
    redirect(simulator, "GET", "/secrets/*", 307)

    with pytest.raises(SignInMisconfigured, match="a redirection is not followed"):
        refresh_token_age_days(partner_settings(Auth.USER), simulator.clock.now())


@pytest.mark.parametrize("auth", DISCOVERING)
@pytest.mark.parametrize(
    "endpoint",
    [
        "https://127.0.0.1:{port}/elsewhere",
        "https://evil.example/elsewhere",
        "http://localhost:{port}/elsewhere",
        "//evil.example/elsewhere",
        "/elsewhere",
        "https://127.0.0.1@evil.example/elsewhere",
        "https://[/elsewhere",
        7,
        None,
    ],
)
def test_an_endpoint_on_another_host_is_refused(
    partner_settings: Read, simulator: Simulator, auth: Auth, endpoint: object
) -> None:
    named = endpoint.format(port=simulator.port) if isinstance(endpoint, str) else endpoint
    body = {"issuer": simulator.url, "authorization_endpoint": "x", "token_endpoint": named}
    simulator.add_fault(Fault(path=DISCOVERY, status=200, body=body, times=None))

    with pytest.raises(SignInMisconfigured, match=r"token_endpoint.*PARTNER_CENTER_AUTHORITY"):
        TokenSource(partner_settings(auth)).token(Deadline.after())


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ("login.microsoftonline.com", "https://LOGIN.microsoftonline.com:443/t/oauth2/v2.0/token"),
        ("login.chinacloudapi.cn", "https://login.partner.microsoftonline.cn/t/oauth2/v2.0/token"),
        ("login.partner.microsoftonline.cn", "https://login.chinacloudapi.cn/t/oauth2/v2.0/token"),
    ],
)
def test_the_same_host_in_another_form_is_accepted(host: str, endpoint: str) -> None:
    url = URL.replace("login.microsoftonline.com", host)

    assert not leads_elsewhere(url, 200, lambda: f'{{"token_endpoint": "{endpoint}"}}')
