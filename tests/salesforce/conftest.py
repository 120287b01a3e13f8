"""A bridge's Salesforce over real HTTP bytes without a socket: against the fake org, or against a scripted answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bridge.salesforce import ClientCredentials, RestSalesforce
from bridge.salesforce.transport import Limits
from bridge.sandbox.salesforce import FakeSalesforce
from bridge.sandbox.wsgi import WsgiAdapter

PACKAGE = Path(__file__).parents[2] / "salesforce_metadata"
ORG = "00D5e0000000001EAA"
DOMAIN = "sandbox-org.my.salesforce.com"
HOST = f"https://{DOMAIN}"
NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def private_pem(rsa_key: rsa.RSAPrivateKey) -> str:
    made = rsa_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.decode()


@pytest.fixture(scope="session")
def public_pem(rsa_key: rsa.RSAPrivateKey) -> bytes:
    return rsa_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


class Recorded:
    """A WSGI app before the fake: keeps what was asked, and adds the Date header that every web server sends."""

    def __init__(self, app: Callable[..., Iterable[bytes]], clock: Callable[[], datetime]) -> None:
        self.app, self.clock = app, clock
        self.calls: list[tuple[str, str, bytes]] = []
        self.headers: list[dict[str, str]] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raw = environ["wsgi.input"].read()
        environ["wsgi.input"].seek(0)
        query = environ.get("QUERY_STRING", "")
        target = environ["PATH_INFO"] + (f"?{query}" if query else "")
        self.calls.append((environ["REQUEST_METHOD"], target, raw))
        self.headers.append({key: value for key, value in environ.items() if key.startswith("HTTP_")})

        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            dated = headers if any(name.lower() == "date" for name, _ in headers) else [*headers, self._date()]
            return start_response(status, dated, exc_info)

        return self.app(environ, started)

    def _date(self) -> tuple[str, str]:
        return "Date", format_datetime(self.clock(), usegmt=True)

    def paths(self, part: str) -> list[str]:
        """The addresses asked that contain *part*."""
        return [target for _, target, _ in self.calls if part in target]

    def bodies(self, part: str) -> list[Any]:
        """The JSON bodies sent to addresses that contain *part*."""
        return [json.loads(raw) for _, target, raw in self.calls if part in target and raw]


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeSalesforce]:
    made = FakeSalesforce(metadata_dir=PACKAGE, org_id=ORG, clock=clock)
    yield made
    made.close()


@pytest.fixture
def wire(fake: FakeSalesforce, clock: Clock) -> Recorded:
    return Recorded(fake, clock)


@pytest.fixture
def salesforce(wire: Recorded, clock: Clock) -> Iterator[RestSalesforce]:
    made = RestSalesforce(
        auth=ClientCredentials(DOMAIN, "sandbox-consumer-key", "sandbox-consumer-secret"),
        org_id=ORG,
        mount={HOST: WsgiAdapter(wire)},
        clock=clock,
        sleep=lambda seconds: None,
    )
    yield made
    made.close()


class Script:
    """A Salesforce that logs anybody in and answers data calls as told: *answers* by part of the address."""

    def __init__(self) -> None:
        self.token: dict[str, Any] = {
            "access_token": "sandbox-token",
            "instance_url": HOST,
            "id": f"https://login.salesforce.com/id/{ORG}/0055e0000000001AAA",
        }
        self.token_status = 200
        self.answers: list[tuple[str, Callable[[dict[str, Any]], Any]]] = []
        self.calls: list[tuple[str, str, bytes]] = []
        self.limit = "api-usage=10/1000"
        self.headers: list[tuple[str, str]] = []

    def on(self, part: str, status: int, body: Any, content_type: str = "application/json;charset=UTF-8") -> None:
        """Answer every call whose address contains *part*. *body* may be a function of the environ, an error raised."""

        def answer(environ: dict[str, Any]) -> Any:
            got = body(environ) if callable(body) else body
            return status, got if isinstance(got, bytes) else json.dumps(got).encode(), content_type

        self.answers.insert(0, (part, answer))

    def count(self, part: str) -> int:
        return sum(part in target for _, target, _ in self.calls)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        environ["raw"] = environ["wsgi.input"].read()
        self.calls.append((environ["REQUEST_METHOD"], path, environ["raw"]))
        if path == "/services/oauth2/token":
            status, body, kind = self.token_status, json.dumps(self.token).encode(), "application/json"
        else:
            found = next((answer for part, answer in self.answers if part in path), None)
            status, body, kind = found(environ) if found else (200, b'{"DailyApiRequests":{}}', "application/json")
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), *self.headers]
        if path != "/services/oauth2/token":
            headers.append(("Sforce-Limit-Info", self.limit))
        start_response(f"{status} Scripted", headers)
        return [body]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def scripted(script: Script) -> Iterator[RestSalesforce]:
    made = RestSalesforce(
        auth=ClientCredentials(DOMAIN, "sandbox-consumer-key", "sandbox-consumer-secret"),
        org_id=ORG,
        mount={"https://": WsgiAdapter(script)},
        sleep=lambda seconds: None,
        limits=Limits(connect_s=0.5, read_s=0.5),
    )
    yield made
    made.close()
