"""``/healthz`` the process lives, ``/readyz`` it can do its work, ``/metrics`` for Prometheus.

Must not know: SOAP.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask
from sqlalchemy.exc import DBAPIError
from werkzeug.wrappers import Response

from bridge.delivery import Delivery
from bridge.ledger import desk


def add_health(app: Flask, engine: Delivery, is_stopping: Callable[[], bool] = lambda: False) -> None:
    """Add the three routes to *app*. Once *is_stopping*, it is not ready, so that callouts go to other instances."""

    @app.get("/healthz")
    def healthz() -> Response:
        return Response("alive\n", mimetype="text/plain")

    @app.get("/readyz")
    def readyz() -> Response:
        if is_stopping():
            return Response("stopping\n", status=503, mimetype="text/plain")
        try:
            with engine.ledger.read() as connection:
                engine.ledger.now(connection)
                desk.due_lanes(connection, engine.ledger.now(connection))
        except DBAPIError:
            return Response("the database does not answer\n", status=503, mimetype="text/plain")
        return Response("ready\n", mimetype="text/plain")

    @app.get("/metrics")
    def metrics() -> Response:
        with engine.ledger.read() as connection:
            seen = desk.overview(connection, engine.ledger.now(connection))
        lines = ["# TYPE bridge_messages gauge"]
        lines += [f'bridge_messages{{state="{state}"}} {count}' for state, count in sorted(seen.states.items())]
        lag = seen.lag.total_seconds() if seen.lag else 0.0
        lines += ["# TYPE bridge_lag_seconds gauge", f"bridge_lag_seconds {lag:.3f}"]
        lines += ["# TYPE bridge_paused gauge", f"bridge_paused {len(seen.pauses)}"]
        lines.append("# TYPE bridge_latency_seconds gauge")
        for sync, (half, most) in seen.latency.items():
            lines.append(f'bridge_latency_seconds{{sync="{sync}",quantile="0.5"}} {half:.3f}')
            lines.append(f'bridge_latency_seconds{{sync="{sync}",quantile="0.95"}} {most:.3f}')
        return Response("\n".join(lines) + "\n", mimetype="text/plain; version=0.0.4")
