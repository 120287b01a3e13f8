"""A fake org with our package deployed, a moving clock, and a client that speaks real HTTP bytes without a socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from bridge.sandbox.answers import Environ, json_answer, read_body
from bridge.sandbox.salesforce import FakeSalesforce, User
from bridge.sandbox.wsgi import WsgiAdapter

PACKAGE = Path(__file__).parents[3] / "salesforce_metadata"
HOST = "https://sandbox-org.my.salesforce.com"


class MovingClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        """Go on by a timedelta."""
        self.at += timedelta(**by)


class Listener:
    """The bridge's end of the callouts: keeps what arrives and answers what it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str], bytes]] = []
        self.reply: Callable[[dict[str, Any]], tuple[int, Any]] = lambda body: (
            200,
            {"results": [{"id": one["Id"], "state": "delivered"} for one in body["records"]]},
        )

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        raw = read_body(environ)
        headers = {key: value for key, value in environ.items() if key.startswith("HTTP_")}
        self.calls.append((environ["PATH_INFO"], headers, raw))
        status, answer = self.reply(json.loads(raw))
        return json_answer(status, answer)(environ, start_response)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The bodies of the callouts so far."""
        return [json.loads(raw) for _, _, raw in self.calls]

    @property
    def paths(self) -> list[str]:
        """Where they went."""
        return [path for path, _, _ in self.calls]


class Client:
    """A thin client: a method, a path below the version, and the answer as it came."""

    def __init__(self, fake: FakeSalesforce, user: User, version: str = "65.0") -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.mount("https://", WsgiAdapter(fake))
        self.session.headers["Authorization"] = f"Bearer {fake.login.issue(user)}"
        self.base = f"{HOST}/services/data/v{version}"

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Call *path* below the version, or an absolute path of the host."""
        url = HOST + path if path.startswith("/") else f"{self.base}/{path}"
        return self.session.request(method, url, json=body, timeout=20, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET."""
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any) -> requests.Response:
        """POST."""
        return self.call("POST", path, body)

    def patch(self, path: str, body: Any) -> requests.Response:
        """PATCH."""
        return self.call("PATCH", path, body)

    def query(self, soql: str, *, resource: str = "query", **options: Any) -> requests.Response:
        """Run a query."""
        return self.get(resource, params={"q": soql}, **options)


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def fake(clock: MovingClock, listener: Listener) -> Iterator[FakeSalesforce]:
    """A fake org whose callouts reach *listener* within the saving thread."""
    session = requests.Session()
    session.mount("https://", WsgiAdapter(listener))
    made = FakeSalesforce(
        metadata_dir=PACKAGE,
        callout_url="https://bridge.example",
        callout_session=session,
        inline_callouts=True,
        clock=clock,
    )
    yield made
    made.close()


@pytest.fixture
def client(fake: FakeSalesforce) -> Client:
    """The bridge's own user."""
    return Client(fake, fake.integration_user)


@pytest.fixture
def seller(fake: FakeSalesforce) -> Client:
    """A person in sales."""
    return Client(fake, fake.sales_user)
