"""Tell the current OpenTelemetry span what it is about; nothing happens without the extra ``otel``.

Spans themselves are made by ``opentelemetry-instrument``, for Flask and for requests.

Must not know: anything of the bridge.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

_trace: Any = None
with suppress(ImportError):
    from opentelemetry import trace as _trace


def about(**named: Any) -> None:
    """Set ``bridge.<name>`` on the current span: ids, never values of a record."""
    if _trace is None:
        return
    span = _trace.get_current_span()
    if span.is_recording():
        span.set_attributes({f"bridge.{name}": value for name, value in named.items() if value is not None})
