"""Over real sockets: what was sent, what was not, and how long and how much is too much."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bridge.netsuite.transport import Broken, Limits, NotSent, TooLarge, Transport, new_session

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n"


class Script:
    """A server on loopback that plays one list of byte strings or pauses (seconds) for each request."""

    def __init__(self, *answers: list[bytes | float], keep: bool = False) -> None:
        self.answers = list(answers)
        self.keep = keep
        self.requests: list[bytes] = []
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.close()
        self._thread.join(3)

    def _serve(self) -> None:
        while self.answers:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                connection.settimeout(1.5)
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        while self.answers:
            request = self._request(connection)
            if not request:
                return
            self.requests.append(request)
            for step in self.answers.pop(0):
                if isinstance(step, float):
                    time.sleep(step)
                    continue
                try:
                    connection.sendall(step)
                except OSError:
                    return
            if not self.keep:
                return

    def _request(self, connection: socket.socket) -> bytes:
        data = b""
        try:
            while b"\r\n\r\n" not in data:
                piece = connection.recv(65536)
                if not piece:
                    return b""
                data += piece
            head, _, body = data.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            while len(body) < length:
                body += connection.recv(65536)
        except OSError:
            return b""
        return head + b"\r\n\r\n" + body


@contextmanager
def serving(*answers: list[bytes | float], keep: bool = False, **limits: float) -> Iterator[tuple[Script, Transport]]:
    script = Script(*answers, keep=keep)
    session = new_session(4)
    options = {"connect_s": 2.0, "single_s": 2.0, **limits}
    try:
        yield script, Transport(session, script.url + "/services/NetSuitePort_2025_2", Limits(**options))
    finally:
        session.close()
        script.close()


def ask(transport: Transport, timeout_s: float = 2.0) -> bytes:
    return transport.post("upsert", b"<request/>", timeout_s=timeout_s).read()


def whole(body: bytes, *headers: bytes) -> list[bytes | float]:
    more = b"".join(one + b"\r\n" for one in headers)
    return [OK + more + b"Content-Length: %d\r\n\r\n" % len(body) + body]


def test_a_request_says_what_soap_1_1_wants():
    with serving(whole(b"<a/>")) as (script, transport):
        body = ask(transport)

    head, _, sent = script.requests[0].partition(b"\r\n\r\n")
    assert body == b"<a/>"
    assert sent == b"<request/>"
    assert head.startswith(b"POST /services/NetSuitePort_2025_2 HTTP/1.1")
    for line in (b'SOAPAction: "upsert"', b"Content-Type: text/xml; charset=utf-8", b"Accept-Encoding: gzip"):
        assert line in head


def test_connections_are_used_again_and_cookies_are_not():
    answer = whole(b"<a/>", b"Set-Cookie: JSESSIONID=1; Path=/")
    with serving(answer, answer, answer, keep=True) as (script, transport):
        for _ in range(3):
            ask(transport)

    assert script.connections == 1
    assert not any(b"ookie" in request for request in script.requests)


def test_a_chunked_compressed_answer_is_read_and_its_connection_kept():
    packed = gzip.compress(b"<a>" + b"x" * 100 + b"</a>")
    chunks = b"".join(b"1\r\n%c\r\n" % one for one in packed) + b"0\r\n\r\n"
    answer: list[bytes | float] = [OK + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks]
    with serving(answer, answer, keep=True) as (script, transport):
        first, second = ask(transport), ask(transport)

    assert first == second == b"<a>" + b"x" * 100 + b"</a>"
    assert script.connections == 1


def test_a_redirect_is_not_followed():
    with serving([b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"]) as (
        _,
        transport,
    ):
        answer = transport.post("upsert", b"<request/>", timeout_s=2)
        answer.close()

    assert answer.status == 302


def test_a_refused_connection_means_not_sent():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with pytest.raises(NotSent):
        ask(Transport(new_session(1), f"http://127.0.0.1:{port}/", Limits()))


def test_a_name_without_an_address_means_not_sent():
    with pytest.raises(NotSent):
        ask(Transport(new_session(1), "http://nowhere.invalid/", Limits()))


def test_a_failed_tls_handshake_means_not_sent():
    with serving(whole(b"<a/>")) as (script, plain):
        secure = Transport(new_session(1), plain.url.replace("http://", "https://"), Limits(connect_s=0.5))

        with pytest.raises(NotSent):
            ask(secure)

    assert script.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        [],  # closed without a word
        [b"rubbish\r\n\r\n"],
        [OK + b"Content-Length: 10\r\n\r\n<a/>"],
        [OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\n<a/>\r\n"],
        [OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"],
        [1.5, OK],
        [OK + b"Content-Length: 10\r\n\r\n", 1.5],
    ],
)
def test_whatever_goes_wrong_after_the_request_was_written_is_broken(answer):
    with serving(answer) as (script, transport), pytest.raises(Broken):
        ask(transport, timeout_s=0.5)

    assert len(script.requests) == 1


def test_an_answer_that_drips_is_given_up_in_time():
    drips: list[bytes | float] = [OK + b"Content-Length: 1000\r\n\r\n"]
    for _ in range(40):
        drips += [b"x", 0.1]
    started = time.monotonic()

    with serving(drips) as (_, transport), pytest.raises(Broken):
        ask(transport, timeout_s=0.6)

    assert time.monotonic() - started < 3


def test_a_head_that_drips_is_given_up_in_time():
    drips: list[bytes | float] = [b"HTTP/1.1 200 OK\r\n"]
    for n in range(40):
        drips += [b"X-%d: x\r\n" % n, 0.1]
    started = time.monotonic()

    with serving(drips, connect_s=0.2) as (_, transport), pytest.raises(Broken):
        ask(transport, timeout_s=0.6)

    assert time.monotonic() - started < 3


def test_more_than_the_cap_is_too_large():
    with serving(whole(b"x" * 3000), answer_bytes=2000) as (_, transport), pytest.raises(TooLarge):
        ask(transport)


def test_a_bomb_is_too_large_long_before_it_is_unpacked():
    bomb = gzip.compress(b" " * 200_000_000, 9)
    with (
        serving(whole(bomb, b"Content-Encoding: gzip"), answer_bytes=10**9) as (_, transport),
        pytest.raises(TooLarge) as caught,
    ):
        ask(transport)

    assert int(str(caught.value).split()[0]) < 20_000_000


def test_a_reader_who_takes_its_time_is_not_a_slow_answer():
    body = b"x" * 300_000
    with serving([OK + b"Content-Length: 300000\r\n\r\n" + body[:200_000], body[200_000:]]) as (_, transport):
        answer = transport.post("search", b"<request/>", timeout_s=0.4)
        read = 0
        for piece in answer.pieces(10**6):
            read += len(piece)
            time.sleep(0.1)

    assert read == 300_000
