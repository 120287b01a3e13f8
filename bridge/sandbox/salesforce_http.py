"""A request and a reply of the data API, as the routes see them.

``Request`` knows its user and refuses options nobody asked for; ``Reply`` is a JSON value or text.

Must not know: records, SOQL, WSGI.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.sandbox.salesforce_tables import User
from bridge.sandbox.salesforce_values import NotImitated, Refused, from_json, to_json


@dataclass(frozen=True)
class Reply:
    """What a route answers. *body* is None for 204, text for CSV, else a JSON value."""

    status: int
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json;charset=UTF-8"

    def raw(self) -> bytes:
        """The bytes of the body."""
        if self.body is None:
            return b""
        return (self.body if isinstance(self.body, str) else to_json(self.body)).encode()


@dataclass(frozen=True)
class Request:
    """One call of the data API. *steps* are the path after ``/services/data/vXX.0``."""

    method: str
    steps: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes
    version: str
    user: User
    parsed: Any = field(default=None)

    def only(self, *names: str) -> None:
        """Refuse query options other than *names*, loudly: a real org may give them a meaning."""
        for name in self.query:
            if name not in names:
                raise NotImitated(f"query option {name!r} of {'/'.join(self.steps)}")

    def json(self) -> Any:
        """The body. Raises ``Refused`` for what is not JSON."""
        if self.parsed is not None:
            return self.parsed
        kind = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if self.raw and kind != "application/json":
            message = f"Content type '{kind}' is not supported for this resource"
            raise Refused("UNSUPPORTED_MEDIA_TYPE", message, status=415)
        return from_json(self.raw)

    def fields(self) -> dict[str, Any]:
        """The body as one record's values."""
        body = self.json()
        if not isinstance(body, dict):
            raise Refused("JSON_PARSER_ERROR", "Can not deserialize SObject out of this body at [line:1, column:1]")
        return body

    def refuse_method(self, *allowed: str) -> Refused:
        """405 in Salesforce's words."""
        message = f"HTTP Method '{self.method}' not allowed. Allowed are {','.join(allowed)}"
        return Refused("METHOD_NOT_ALLOWED", message, status=405)

    def version_url(self) -> str:
        """``/services/data/v65.0``."""
        return f"/services/data/v{self.version}"
