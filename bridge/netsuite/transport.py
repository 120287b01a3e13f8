"""Bytes to NetSuite and back, hardened: one session, caps on size and time, and the knowledge of what was sent.

``Transport.post`` opens an ``Answer``, which is read once, whole or in pieces. ``NotSent`` means that not one byte of
the request left; ``Broken`` that the answer is missing or damaged; ``TooLarge`` that it exceeds its cap.

Must not know: SOAP, what the bytes mean.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

MEBIBYTE = 1 << 20
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes. A list call may take longer, a streamed page may be larger, than a single answer."""

    connect_s: float = 10.0
    single_s: float = 60.0
    list_s: float = 120.0
    names_s: float = 30.0  # for looking names up before a write, which is then put off
    answer_bytes: int = 32 * MEBIBYTE
    page_bytes: int = 128 * MEBIBYTE  # streamed: never in memory at once
    ratio: int = 100  # decoded : encoded; SuiteTalk pages compress about 30 : 1


class NotSent(Exception):
    """Not one byte of the request was written."""


class Broken(Exception):
    """The request was written, and no whole answer came back."""


class TooLarge(Broken):
    """The answer exceeds its cap."""


class _Progress(threading.local):
    """What became of this thread's current request. *known* is False with a foreign adapter (tests, proxies)."""

    known = False
    written = False
    deadline: float | None = None  # monotonic; while it is set no read may last beyond it


_progress = _Progress()


class _Timed(io.RawIOBase):
    """A socket's bytes up to the deadline: a timeout alone begins anew with every byte of a sender that drips."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock = sock
        self._inner = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if _progress.deadline is not None:
            left = _progress.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the answer takes too long")
            self._sock.settimeout(left)
        count: int | None = self._inner.readinto(buffer)
        return count

    def close(self) -> None:
        self._inner.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer that is read through ``_Timed``, its head included."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_Timed(sock))


class _Marking:
    """Notes the first byte that is handed to a connected socket: before it a failure is harmless."""

    def send(self, data: Any) -> None:
        if getattr(self, "sock", None) is None:
            self.connect()  # type: ignore[attr-defined]  # http.client would do so itself, after the note
        _progress.written = True
        super().send(data)  # type: ignore[misc]  # of the connection class it is mixed into


class _Plain(_Marking, HTTPConnection):
    response_class = _Response


class _Secure(_Marking, HTTPSConnection):
    response_class = _Response


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Secure


class _Adapter(HTTPAdapter):
    """requests' own adapter with connections that note the first byte."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        _progress.known = True
        return super().send(*args, **kwargs)


def new_session(pool_size: int) -> requests.Session:
    """A session for *pool_size* calls at once: a new TLS connection costs 17 ms of CPU, so connections are kept."""
    session = requests.Session()
    adapter = _Adapter(pool_connections=2, pool_maxsize=pool_size, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class Transport:
    """Posts SOAP messages to one address."""

    def __init__(self, session: requests.Session, url: str, limits: Limits) -> None:
        self.url = url
        self.limits = limits
        self._session = session
        session.trust_env = False  # no proxy and no .netrc unless a setting says so
        # A session cookie next to a token passport is "ambiguous authentication" (NetSuite Help section_1509544929).
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._request = session.prepare_request(
            requests.Request(
                "POST",
                url,
                headers={
                    "Content-Type": "text/xml; charset=utf-8",
                    "Accept": "text/xml",
                    "Accept-Encoding": "gzip",
                    "User-Agent": "salesforce-netsuite-bridge",
                },
            )
        )

    def beside(self, name: str) -> Transport:
        """Return the way to the address beside this one, over the same connections."""
        return Transport(self._session, f"{self.url.rpartition('/')[0]}/{name}", self.limits)

    def post(self, action: str, body: bytes, *, timeout_s: float) -> Answer:
        """Send *body* and return the answer as soon as its head is here. Raises NotSent or Broken."""
        _progress.known = _progress.written = False
        started = time.monotonic()
        _progress.deadline = started + self.limits.connect_s + timeout_s
        try:
            request = self._request.copy()
            request.headers["SOAPAction"] = f'"{action}"'
            request.headers["Content-Length"] = str(len(body))
            request.body = body
            # By the adapter itself: what a session adds (cookies, redirects, the environment) is what we do not want.
            response = self._session.get_adapter(self.url).send(
                request,
                stream=True,
                timeout=(self.limits.connect_s, timeout_s),
                verify=True if self._session.verify is None else self._session.verify,
                cert=self._session.cert,
                proxies=self._session.proxies,
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if not _progress.written and (_progress.known or _refused(error)):
                raise NotSent(_words(error)) from error
            raise Broken(_words(error)) from error
        finally:
            _progress.deadline = None
        return Answer(response, self.limits, timeout_s - (time.monotonic() - started))


def _refused(error: BaseException) -> bool:
    """Say whether *error* can only happen before a connection stands."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ConnectTimeoutError | NewConnectionError | requests.ConnectTimeout):
            return True
        reason = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
        seen = reason if isinstance(reason, BaseException) else seen.__cause__
    return False


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


class Answer:
    """One HTTP answer whose body has not been read yet."""

    def __init__(self, response: requests.Response, limits: Limits, left_s: float) -> None:
        self.status = response.status_code
        self.content_type = response.headers.get("Content-Type", "").lower()
        self.retry_after = response.headers.get("Retry-After")
        self._encoding = response.headers.get("Content-Encoding", "").strip().lower()
        self._response = response
        self._limits = limits
        self._left_s = left_s

    @property
    def is_xml(self) -> bool:
        """Whether the content type is one that SOAP 1.1 uses."""
        return self.content_type.partition(";")[0].strip() in ("text/xml", "application/xml", "application/soap+xml")

    def close(self) -> None:
        """Give the connection back, or drop it when the body was not read to its end."""
        self._response.close()

    def read(self) -> bytes:
        """Read the whole body. Raises Broken, or TooLarge above the cap for one answer."""
        return b"".join(self.pieces(self._limits.answer_bytes))

    def pieces(self, cap: int) -> Iterator[bytes]:
        """Yield the decoded body piece by piece, at most *cap* bytes of it.

        Only waiting for NetSuite counts against the deadline, not what the reader does in between. A body in gzip must
        end with its trailer: the check sum in it is the only proof that nothing is missing.
        """
        decoder = zlib.decompressobj(31) if self._encoding in ("gzip", "x-gzip") else None
        if decoder is None and self._encoding not in ("", "identity"):
            raise Broken(f"an encoding that was not asked for: {self._encoding}")
        encoded = decoded = 0
        try:
            while data := self._piece():
                encoded += len(data)
                for piece in _decode(decoder, data):
                    decoded += len(piece)
                    if decoded > cap:
                        raise TooLarge(f"more than {cap} bytes")
                    if decoded > MEBIBYTE and decoded > self._limits.ratio * encoded:
                        raise TooLarge(f"{decoded} bytes out of {encoded}")
                    yield piece
            if decoder is not None and not decoder.eof:
                raise Broken("the compressed answer ends before its trailer")
        except (urllib3.exceptions.HTTPError, requests.RequestException, http.client.HTTPException) as error:
            raise Broken(_words(error)) from error
        except (OSError, ValueError, zlib.error) as error:
            raise Broken(_words(error)) from error
        finally:
            self.close()

    def _piece(self) -> bytes:
        if self._left_s <= 0:
            raise Broken("the answer takes too long")
        started = time.monotonic()
        _progress.deadline = started + self._left_s
        try:
            # read1 returns what one receive brings, so that records are handed on while the rest is on its way.
            data: bytes = self._response.raw.read1(_PIECE, decode_content=False)
        finally:
            _progress.deadline = None
            self._left_s -= time.monotonic() - started
        return data


def _decode(decoder: Any, data: bytes) -> Iterator[bytes]:
    if decoder is None:
        yield data
        return
    while data:
        if decoder.eof:
            raise Broken("bytes after the end of the compressed answer")
        piece = decoder.decompress(data, _PIECE * 4)
        data = decoder.unconsumed_tail or decoder.unused_data
        if piece:
            yield piece
