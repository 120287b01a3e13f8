"""How a fake reaches its clients: on a socket (``SandboxServer``) or mounted in ``requests`` (``WsgiAdapter``).

Both carry real HTTP bytes and both can cut a connection: an app raises ``Cut`` before it answers, or while its body
is being read.

Must not know: NetSuite, Salesforce, what an app does.
"""

from __future__ import annotations

import http.client
import io
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from email.utils import formatdate
from typing import Any, BinaryIO, Self, cast
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter

from bridge.sandbox.answers import Cut, Environ

Headers = list[tuple[str, str]]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

MAX_HEADER_LINES = 200


def make_environ(
    method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes, *, scheme: str, server: tuple[str, int]
) -> Environ:
    """A WSGI environ for one request whose body is already in memory (PEP 3333)."""
    path, _, query = target.partition("?")
    environ: Environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, "latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        key = name.upper().replace("-", "_")
        if key == "CONTENT_TYPE":
            environ[key] = value
        elif key != "CONTENT_LENGTH":
            key = "HTTP_" + key
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    environ["CONTENT_LENGTH"] = str(len(body))
    return environ


class _Started:
    """``start_response``: remembers what the app said."""

    def __init__(self) -> None:
        self.status = "500 Internal Server Error"
        self.headers: Headers = []

    def __call__(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], None]:
        self.status, self.headers = status, headers
        return lambda _data: None

    def head(self, *, chunked: bool, close: bool) -> bytes:
        lines = [f"HTTP/1.1 {self.status}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if not self.has("date"):  # every HTTP server tells its time, and clients go by it
            lines.append(f"Date: {formatdate(usegmt=True)}")
        if chunked:
            lines.append("Transfer-Encoding: chunked")
        lines.append("Connection: close" if close else "Connection: keep-alive")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def has(self, name: str) -> bool:
        return any(key.lower() == name for key, _ in self.headers)


def http_bytes(app: WsgiApp, environ: Environ, *, close: bool = False) -> Iterator[bytes]:
    """Run *app* and yield its response as the bytes of one HTTP/1.1 answer. ``Cut`` passes through."""
    started = _Started()
    body = app(environ, started)
    try:
        chunks = iter(body)
        first = next(chunks, b"")
        bodiless = environ["REQUEST_METHOD"] == "HEAD" or started.status[:3] in ("204", "304")
        if bodiless or started.has("content-length"):
            yield started.head(chunked=False, close=close) + (b"" if bodiless else first)
            if not bodiless:
                yield from chunks
            return
        if isinstance(body, list | tuple) and len(body) <= 1:
            started.headers = [*started.headers, ("Content-Length", str(len(first)))]
            yield started.head(chunked=False, close=close) + first
            return
        yield started.head(chunked=True, close=close) + _chunk(first)
        for data in chunks:
            yield _chunk(data)
        yield b"0\r\n\r\n"
    finally:
        if hasattr(body, "close"):
            body.close()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


class _Connection(socketserver.StreamRequestHandler):
    """One client connection: parses requests with as little as HTTP/1.1 needs, which keeps the fakes quick."""

    disable_nagle_algorithm = True  # a 40 ms delayed acknowledgement would drown every measurement
    rbufsize = 1 << 16
    server: _ThreadedServer

    def handle(self) -> None:
        self.server.live.add(self.connection)
        try:
            while self._serve_one():
                pass
        except Cut:
            # Linger 0 turns close into a reset, as when the far process dies.
            with suppress(OSError):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
        except OSError:
            pass  # the client went away; the work it asked for is done all the same
        finally:
            self.server.live.discard(self.connection)

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()

    def _serve_one(self) -> bool:
        line = self.rfile.readline(65537)
        if not line.strip():
            return False
        try:
            method, target, version = line.decode("latin-1").split()
            headers = self._read_headers()
            fields = {name.lower(): value for name, value in headers}
            body = self._read_body(fields)
        except ValueError:
            self.connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return False
        close = version == "HTTP/1.0" or fields.get("connection", "").lower() == "close"
        address = cast("tuple[str, int]", self.server.server_address)
        environ = make_environ(method, target, headers, body, scheme="http", server=address)
        environ["REMOTE_ADDR"] = self.client_address[0]
        for data in http_bytes(self.server.app, environ, close=close):
            self.connection.sendall(data)
        return not close

    def _read_headers(self) -> Headers:
        headers: Headers = []
        for _ in range(MAX_HEADER_LINES):
            line = self.rfile.readline(65537)
            if line in (b"\r\n", b"\n", b""):
                return headers
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon:
                raise ValueError("header without a colon")
            headers.append((name.strip(), value.strip()))
        raise ValueError("too many header lines")

    def _read_body(self, fields: Mapping[str, str]) -> bytes:
        if "100-continue" in fields.get("expect", "").lower():
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in fields.get("transfer-encoding", "").lower():
            return b"".join(self._read_chunks())
        length = int(fields.get("content-length") or 0)
        body = self.rfile.read(length) if length else b""
        if len(body) < length:
            raise ConnectionResetError("the request was cut short")
        return body

    def _read_chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(65537).split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline(65537) not in (b"\r\n", b"\n", b""):
            pass


class _ThreadedServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256
    block_on_close = False

    def __init__(self, address: tuple[str, int], app: WsgiApp) -> None:
        self.app = app
        self.live: set[socket.socket] = set()
        super().__init__(address, _Connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if isinstance(sys.exc_info()[1], OSError | Cut):
            return
        super().handle_error(request, client_address)


class SandboxServer:
    """A WSGI app on a loopback port: threads, keep-alive, and able to cut a connection.

    >>> with SandboxServer(app) as server: requests.get(server.url)
    """

    def __init__(self, app: WsgiApp, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = _ThreadedServer((host, port), app)
        self.host, self.port = cast("tuple[str, int]", self._server.server_address)
        self.url = f"http://{self.host}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sandbox", daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and reset what is still connected."""
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._server.live):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Pipe(io.RawIOBase):
    """The byte stream of an answer that is read while it is made, so that an endless body stays endless."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                data = next(self._chunks, None)
            except Cut:
                raise ConnectionResetError(104, "Connection reset by peer") from None
            if data is None:
                return 0
            self._rest = data
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class _Wire:
    """What ``http.client`` needs of a socket to read an answer."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe

    def makefile(self, _mode: str, *_: Any) -> BinaryIO:
        return cast("BinaryIO", io.BufferedReader(self._pipe))


class WsgiAdapter(BaseAdapter):
    """A ``requests`` transport that hands the real bytes of a request to a WSGI app and reads its real bytes back.

    A cut raises what a cut raises over a socket; a read timeout leaves the app at work, as a server does.

    >>> session.mount("https://1234567.suitetalk.api.netsuite.com", WsgiAdapter(fake))
    """

    def __init__(self, app: WsgiApp) -> None:
        super().__init__()
        self.app = app

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        parts = urlsplit(cast("str", request.url))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        body = _bytes(request.body)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        headers = [("Host", parts.netloc), *((str(k), _text(v)) for k, v in request.headers.items())]
        environ = make_environ(
            cast("str", request.method), target, headers, body, scheme=parts.scheme, server=(parts.hostname or "", port)
        )
        read_timeout = timeout[1] if isinstance(timeout, tuple) else getattr(timeout, "read_timeout", timeout)
        try:
            head, rest = self._first_bytes(environ, read_timeout, request)
            pipe = _Pipe(_joined(head, rest))
            parsed = http.client.HTTPResponse(cast("Any", _Wire(pipe)), method=request.method)
            parsed.begin()
        except (Cut, ConnectionError, http.client.HTTPException) as error:
            cause = urllib3.exceptions.ProtocolError("Connection aborted.", error)
            raise requests.ConnectionError(cause, request=request) from error
        raw = urllib3.HTTPResponse(
            body=cast("Any", parsed),
            headers=urllib3.HTTPHeaderDict(parsed.getheaders()),
            status=parsed.status,
            reason=parsed.reason,
            version=parsed.version,
            preload_content=False,
            decode_content=False,
            request_method=request.method,
            original_response=cast("Any", parsed),
        )
        return self._response(request, raw, stream=stream)

    def close(self) -> None:
        """Nothing is held open."""

    def _first_bytes(
        self, environ: Environ, timeout_s: float | None, request: requests.PreparedRequest
    ) -> tuple[bytes, Iterator[bytes]]:
        """Run the app up to its first bytes, in a thread of its own when the caller would stop waiting."""
        chunks = http_bytes(self.app, environ)
        if timeout_s is None:
            return next(chunks, b""), chunks
        box: list[bytes | BaseException] = []
        done = threading.Event()

        def run() -> None:
            try:
                box.append(next(chunks, b""))
            except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
                box.append(error)
            done.set()

        threading.Thread(target=run, daemon=True).start()
        if not done.wait(timeout_s):
            raise requests.ReadTimeout(f"Read timed out. (read timeout={timeout_s})", request=request)
        if isinstance(box[0], BaseException):
            raise box[0]
        return box[0], chunks

    def _response(
        self, request: requests.PreparedRequest, raw: urllib3.HTTPResponse, *, stream: bool
    ) -> requests.Response:
        response = requests.Response()
        response.status_code = raw.status
        response.headers = requests.structures.CaseInsensitiveDict(raw.headers)
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
        response.raw = raw
        response.reason = raw.reason or ""
        response.url = cast("str", request.url)
        response.request = request
        requests.cookies.extract_cookies_to_jar(response.cookies, request, raw)  # type: ignore[no-untyped-call]
        if not stream:
            _ = response.content
        return response


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _bytes(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes):
        return body
    return body.read() if hasattr(body, "read") else b"".join(body)
