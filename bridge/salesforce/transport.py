"""Bytes to Salesforce and back, hardened: time limits on every call, no redirects, no environment, capped answers.

``Session`` is what simple-salesforce is given; ``never_sent`` tells whether a failed call can have reached Salesforce.

simple-salesforce sets no time limit anywhere and some of its calls take none, so the limits live below it.

Must not know: tokens, what the bytes mean.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

MEBIBYTE = 1 << 20
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes of one call."""

    connect_s: float = 5.0
    read_s: float = 60.0
    answer_bytes: int = 64 * MEBIBYTE  # a page of 2,000 rows is about 2 MB, a bulk job's results about 20


def adapters(pool_size: int, mount: Mapping[str, BaseAdapter] | None, *, plain_http: bool) -> dict[str, BaseAdapter]:
    """Return what carries the calls, shared by all sessions: the pool is safe between threads, a session is not."""
    made: dict[str, BaseAdapter] = {"https://": HTTPAdapter(pool_connections=4, pool_maxsize=pool_size, max_retries=0)}
    if plain_http:
        made["http://"] = HTTPAdapter(pool_connections=4, pool_maxsize=pool_size, max_retries=0)
    return made | dict(mount or {})


class Session(requests.Session):
    """A requests session that can neither wait for ever, nor be led elsewhere, nor be fed without end."""

    def __init__(self, carriers: Mapping[str, BaseAdapter], limits: Limits) -> None:
        super().__init__()
        self.limits = limits
        self.trust_env = False  # no proxy, no .netrc, and REQUESTS_CA_BUNDLE cannot switch verification
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["User-Agent"] = "salesforce-netsuite-bridge"
        self.adapters.clear()
        for prefix, adapter in carriers.items():
            self.mount(prefix, adapter)
        self.answered: requests.Response | None = None

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Follow nothing: a token must not travel to another host."""
        return None

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send one request and read its answer within the limits."""
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = (self.limits.connect_s, self.limits.read_s)
        kwargs["stream"] = True
        self.answered = None
        response = super().send(request, **kwargs)
        try:
            body = self._read(response)
        except urllib3.exceptions.HTTPError as error:
            raise requests.exceptions.ChunkedEncodingError(error, request=request) from error
        except OSError as error:
            raise requests.ConnectionError(error, request=request) from error
        finally:
            response.close()
        response._content = body
        response._content_consumed = True  # type: ignore[attr-defined]
        self.answered = response
        return response

    def _read(self, response: requests.Response) -> bytes:
        ends = time.monotonic() + self.limits.read_s
        pieces: list[bytes] = []
        size = 0
        # read1 returns what one receive brings; read would wait for a full piece from a sender that drips.
        while piece := response.raw.read1(_PIECE, decode_content=True):
            size += len(piece)
            if size > self.limits.answer_bytes:
                raise requests.exceptions.ContentDecodingError(f"more than {self.limits.answer_bytes} bytes")
            if time.monotonic() > ends:
                raise requests.ReadTimeout(f"no whole answer within {self.limits.read_s:g} s")
            pieces.append(piece)
        return b"".join(pieces)


def never_sent(error: BaseException) -> bool:
    """Say whether *error* can only happen before the request was written: no name, refused, no TLS, no connection."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(
            seen,
            ConnectTimeoutError
            | NewConnectionError
            | requests.ConnectTimeout
            | ssl.SSLCertVerificationError
            | requests.exceptions.InvalidSchema
            | requests.exceptions.InvalidURL,
        ):
            return True
        reason = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
        seen = reason if isinstance(reason, BaseException) else seen.__cause__
    return False
