"""The two ways to a fake carry the same bytes, on a socket and inside requests."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
import requests

from bridge.sandbox.answers import Answer, Cut, read_body
from bridge.sandbox.wsgi import SandboxServer, WsgiAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/cut":
        raise Cut
    if path == "/stream":
        return Answer(200, iter([b"a" * 10, b"", b"b" * 10]), content_type="text/plain")(environ, start_response)
    if path == "/teapot":
        return Answer(418, b"", headers=(("X-Kind", "tea"), ("Set-Cookie", "a=1")))(environ, start_response)
    text = f"{environ['REQUEST_METHOD']} {path} {environ['QUERY_STRING']} {environ.get('HTTP_X_ME')} "
    return Answer(200, text.encode() + read_body(environ))(environ, start_response)


@pytest.fixture(params=["mounted", "socket"])
def session(request: pytest.FixtureRequest) -> Iterator[tuple[requests.Session, str]]:
    with requests.Session() as session, SandboxServer(app) as server:
        session.trust_env = False
        if request.param == "mounted":
            session.mount(server.url, WsgiAdapter(app))
        yield session, server.url


def test_a_request_and_its_answer_arrive_whole(session: tuple[requests.Session, str]) -> None:
    client, url = session

    answer = client.post(url + "/pa%20th?q=1", data=b"\x00body", headers={"X-Me": "me"}, timeout=5)

    assert answer.content == b"POST /pa th q=1 me \x00body"
    assert client.head(url + "/x", timeout=5).content == b""


def test_chunks_go_both_ways(session: tuple[requests.Session, str]) -> None:
    client, url = session

    answer = client.post(url + "/up", data=iter([b"one", b"two"]), timeout=5)

    assert answer.content.endswith(b"onetwo")
    assert client.get(url + "/stream", timeout=5).content == b"a" * 10 + b"b" * 10


def test_status_headers_and_cookies_arrive(session: tuple[requests.Session, str]) -> None:
    client, url = session

    answer = client.get(url + "/teapot", timeout=5)

    assert (answer.status_code, answer.headers["X-Kind"]) == (418, "tea")
    assert client.cookies["a"] == "1"


def test_a_cut_is_an_error_of_the_connection_and_the_next_call_works(session: tuple[requests.Session, str]) -> None:
    client, url = session

    with pytest.raises(requests.ConnectionError):
        client.get(url + "/cut", timeout=5)

    assert client.get(url + "/x", timeout=5).status_code == 200


def test_one_connection_carries_many_requests_and_nonsense_gets_400() -> None:
    with SandboxServer(app) as server, socket.create_connection((server.host, server.port), 5) as connection:
        connection.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while b"/b" not in received:
            received += connection.recv(4096)
        connection.sendall(b"NONSENSE\r\n\r\n")
        while b"400" not in received:
            received += connection.recv(4096)

    assert received.count(b"HTTP/1.1 200") == 2
