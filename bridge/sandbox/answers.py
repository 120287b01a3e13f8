"""What a fake answers: ``Answer`` is a finished response and a small WSGI app; ``Cut`` is no answer at all.

Must not know: how it travels, NetSuite, Salesforce.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Environ = dict[str, Any]
REASONS = http.client.responses


class Cut(Exception):
    """Cut the connection here: the client gets a reset, never another byte. Raised by an app or by its body."""


@dataclass(frozen=True)
class Answer:
    """A finished response. *then_cut* resets the connection after *body*, as a dying server does."""

    status: int
    body: bytes | Iterator[bytes] = b""
    content_type: str = "text/html; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    then_cut: bool = False
    length: int | None = None

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        headers = [("Content-Type", self.content_type), *self.headers]
        if isinstance(self.body, bytes):
            length = len(self.body) if self.length is None else self.length
            headers.append(("Content-Length", str(length)))
        start_response(f"{self.status} {REASONS.get(self.status, 'Unknown')}", headers)
        return self._chunks()

    def _chunks(self) -> Iterator[bytes]:
        if isinstance(self.body, bytes):
            yield self.body
        else:
            yield from self.body
        if self.then_cut:
            raise Cut


def json_answer(status: int, value: Any) -> Answer:
    """*value* as a JSON answer, readable by people too."""
    body = json.dumps(value, indent=1, default=str).encode()
    return Answer(status, body, content_type="application/json; charset=utf-8")


def read_body(environ: Environ) -> bytes:
    """The whole request body."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return cast("bytes", environ["wsgi.input"].read(length)) if length else b""


def base_url(environ: Environ) -> str:
    """The address under which the client reached this server, without a path."""
    return f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST') or environ['SERVER_NAME']}"
