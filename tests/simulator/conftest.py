"""One simulator for all tests of the simulator, and a client without any logic of its own."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from local.simulator import Account, Customer, Simulator


@dataclass(frozen=True)
class Response:
    status: int
    json: Any
    headers: "requests.structures.CaseInsensitiveDict[str]"
    content: bytes

    @property
    def code(self) -> Any:
        return self.json["code"]


class Client:
    """Sends requests as given, by default with a token."""

    def __init__(self, simulator: Simulator, token: str) -> None:
        self.url = simulator.url
        self.session = requests.Session()
        self.session.trust_env = False  # otherwise REQUESTS_CA_BUNDLE overrides verify
        self.session.verify = str(simulator.ca_file)
        self.session.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, **options: Any) -> Response:
        response = self.session.request(method, f"{self.url}{path}", timeout=10, **options)
        text = response.content.decode("utf-8-sig")
        is_json = "json" in response.headers.get("Content-Type", "")
        return Response(
            response.status_code,
            json.loads(text) if is_json and text else None,
            response.headers,
            response.content,
        )

    def get(self, path: str, **options: Any) -> Response:
        return self.call("GET", path, **options)

    def delete(self, path: str, **options: Any) -> Response:
        return self.call("DELETE", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Response:
        return self.call("POST", path, json=body, **options)

    def patch(self, path: str, body: Any, **options: Any) -> Response:
        return self.call("PATCH", path, json=body, **options)

    def cancel_order(self, customer: Customer, order_id: str, **options: Any) -> Response:
        body = {"id": order_id, "status": "cancelled"}
        return self.patch(f"{path_of(customer)}/orders/{order_id}", body, **options)

    def set_subscription(
        self, customer: Customer, subscription_id: str, status: str, **options: Any
    ) -> Response:
        path = f"{path_of(customer)}/subscriptions/{subscription_id}"
        return self.patch(path, {**self.get(path).json, "status": status}, **options)


def path_of(customer: Customer) -> str:
    return f"/v1/customers/{customer.tenant_id}"


def token_request(simulator: Simulator, account: Account, **form: str) -> requests.Response:
    members = {
        "grant_type": "client_credentials",
        "client_id": account.client_id,
        "client_secret": account.client_secret,
        "scope": simulator.scope,
        **form,
    }
    return requests.post(
        f"{simulator.authority}/{account.tenant_id}/oauth2/v2.0/token",
        data=members,
        verify=str(simulator.ca_file),
        timeout=10,
    )


def user_token(simulator: Simulator, account: Account) -> str:
    response = token_request(
        simulator, account, grant_type="refresh_token", refresh_token=account.refresh_token
    )
    return str(response.json()["access_token"])


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    with Simulator.start() as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Simulator:
    running.reset("empty")
    return running


@pytest.fixture
def client(simulator: Simulator) -> Iterator[Client]:
    yield from _client(simulator, token_request(simulator, simulator.sandbox))


@pytest.fixture
def production_client(simulator: Simulator) -> Iterator[Client]:
    yield from _client(simulator, token_request(simulator, simulator.production))


@pytest.fixture
def user_client(simulator: Simulator) -> Iterator[Client]:
    client = Client(simulator, user_token(simulator, simulator.sandbox))
    yield client
    client.session.close()


@pytest.fixture
def customer(simulator: Simulator) -> Customer:
    return simulator.sandbox.add_customer("tipdemo001.onmicrosoft.com", "TiP Demo 001")


@pytest.fixture
def stranger() -> str:
    """Return a tenant ID that does not exist."""
    return str(uuid.uuid4())


def _client(simulator: Simulator, response: requests.Response) -> Iterator[Client]:
    client = Client(simulator, response.json()["access_token"])
    simulator.clear_calls()
    yield client
    client.session.close()
