"""The wire itself: nothing waits for ever, nothing grows without end, connections are kept."""

from __future__ import annotations

import gzip
import socket
import threading
import time

import pytest
import requests

from bridge.errors import Deferred
from bridge.salesforce import ClientCredentials, RestSalesforce
from bridge.salesforce.transport import Limits, Session, adapters

ORG = "00D5e0000000001EAA"


class Raw:
    """A server of bytes on loopback: plays one script of byte strings and pauses for each connection."""

    def __init__(self, *script):
        self.script, self.connections = script, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.play, args=(connection,), daemon=True).start()

    def play(self, connection):
        with connection:
            try:
                while connection.recv(65536):
                    for part in self.script:
                        if isinstance(part, bytes):
                            connection.sendall(part)
                        elif self.stopped.wait(part):
                            return
            except OSError:
                return

    def close(self):
        self.stopped.set()
        self.socket.close()


@pytest.fixture
def raw():
    servers = []

    def start(*script):
        servers.append(Raw(*script))
        return servers[-1]

    yield start
    for it in servers:
        it.close()


def session(**limits):
    return Session(adapters(4, None, plain_http=True), Limits(**limits))


def head(length):
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length


def test_a_server_that_says_nothing_is_left(raw):
    started = time.monotonic()

    with pytest.raises(requests.RequestException):
        session(read_s=0.2).get(raw(30.0).url)

    assert time.monotonic() - started < 5


def test_a_server_that_drips_is_left(raw):
    """Each byte comes in time, the whole never would."""
    drip = [part for _ in range(200) for part in (b" ", 0.05)]
    started = time.monotonic()

    with pytest.raises(requests.RequestException):
        session(read_s=0.4).get(raw(head(1000), *drip).url)

    assert time.monotonic() - started < 5


def test_an_endless_answer_is_cut_off(raw):
    with pytest.raises(requests.RequestException):
        session(answer_bytes=100_000).get(raw(head(10**9), *([b"x" * 60_000] * 20), 5.0).url)


def test_a_small_answer_that_unpacks_to_a_huge_one_is_cut_off(raw):
    packed = gzip.compress(b" " * 20_000_000)
    top = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)

    with pytest.raises(requests.RequestException):
        session(answer_bytes=1_000_000).get(raw(top, packed).url)


def test_an_answer_shorter_than_it_says_is_broken(raw):
    server = raw(head(100) + b"{}", 0.05)
    server.play = lambda connection: (connection.recv(65536), connection.sendall(head(100) + b"{}"), connection.close())

    with pytest.raises(requests.RequestException):
        session().get(server.url)


def test_connections_are_kept(raw):
    server = raw(head(2) + b"{}")
    line = session()

    for _ in range(5):
        assert line.get(server.url).json() == {}

    assert server.connections == 1


def test_the_environment_changes_nothing(raw, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "nonsense")

    assert session().get(raw(head(2) + b"{}").url).status_code == 200


def test_a_cookie_is_not_kept(raw):
    server = raw(b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=1\r\nContent-Length: 2\r\n\r\n{}")
    line = session()

    line.get(server.url)

    assert not line.cookies


def test_a_redirect_stays_where_it_is(raw):
    server = raw(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")

    assert session().get(server.url).status_code == 302


def test_plain_http_is_not_even_possible_without_permission(raw):
    line = Session(adapters(4, None, plain_http=False), Limits())

    with pytest.raises(requests.exceptions.InvalidSchema):
        line.get(raw(head(2) + b"{}").url)


def test_a_black_hole_ends_as_deferred(raw):
    system = RestSalesforce(
        auth=ClientCredentials(raw(30.0).url, "key", "secret"),
        org_id=ORG,
        allow_loopback=True,
        limits=Limits(connect_s=0.2, read_s=0.2),
    )

    with pytest.raises(Deferred):
        system.now()
