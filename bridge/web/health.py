"""``/healthz`` the process lives, ``/readyz`` it can do its work, ``/metrics`` for Prometheus, ``/openapi.json``.

Must not know: SOAP.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from flask import Flask
from sqlalchemy.exc import DBAPIError
from werkzeug.wrappers import Response

from bridge.delivery import Delivery
from bridge.ledger import backlog, desk, retention
from bridge.ledger.incidents import open_ones

DOCUMENT = Path(__file__).parent / "openapi.json"  # what this port answers, in the words of OpenAPI
WINDOW = timedelta(hours=1)
ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def add_health(
    app: Flask,
    engine: Delivery,
    is_stopping: Callable[[], bool] = lambda: False,
    usage: Callable[[], tuple[int, int] | None] = lambda: None,
) -> None:
    """Add the four routes to *app*. Once *is_stopping*, it is not ready, so that callouts go to other instances.

    *usage* tells Salesforce's calls of a day, used and allowed, once it has told of them.
    """

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
        return Response(exposition(engine, usage()), mimetype="text/plain; version=0.0.4")

    @app.get("/openapi.json")
    def openapi() -> Response:
        return Response(DOCUMENT.read_bytes(), mimetype="application/json")


def exposition(engine: Delivery, usage: tuple[int, int] | None = None) -> str:
    """Return what Prometheus reads. No name of a person, a record or a company is in it."""
    money = [it.name for it in engine.syncs.pushes.values() if it.numbered]
    money += [it.name for it in engine.syncs.pulls.values() if it.totals is not None]
    with engine.ledger.read() as connection:
        now = engine.ledger.now(connection)
        seen = desk.overview(connection, now)
        oldest = desk.money_waiting(connection, money)
        ended = desk.outcomes(connection, now - WINDOW)
        taken, slots = desk.slots(connection, now)
        due, incidents = desk.due_lanes(connection, now), open_ones(connection)
        waits = backlog.read(connection, now)
        sizes, rows = retention.sizes(connection), retention.audit_rows(connection)
    told: list[tuple[str, str, str, float]] = []
    told += [
        (
            "messages",
            "Messages by state, up to 10,001 of each; held records of the newest 2,000.",
            _label(state=it),
            n,
        )
        for it, n in sorted(seen.states.items())
    ]
    told.append(("lag_seconds", "Age of the oldest open message.", "", _seconds(seen.lag)))
    told.append(
        ("money_age_seconds", "Age of the oldest money that is not where it belongs.", "",
         _seconds(now - oldest if oldest else None))
    )  # fmt: skip
    told.append(("lanes_due", "Accounts with work that could be done now.", "", due))
    told.append(("late_records", "Changes of the last day that only the sweep found.", "", seen.late))
    told.append(("paused", "Syncs or systems that are paused.", "", len(seen.pauses)))
    told.append(("incidents", "Incidents that are open.", "", len(incidents)))
    told.append(("slots", "Calls that NetSuite may have at once, all instances.", "", slots))
    told.append(("slots_taken", "Of these held by calls, or for 20 seconds after one, all instances.", "", taken))
    for name, words, n in zip(
        ("salesforce_calls", "salesforce_calls_allowed"),
        ("Calls of the last 24 hours that Salesforce has counted.", "Calls that Salesforce allows in 24 hours."),
        usage or (),
        strict=False,
    ):
        told.append((name, words, "", n))
    told += [
        ("bytes", "What the ledger takes on disk; free is for reuse.", _label(of=it), n) for it, n in sizes.items()
    ]
    told.append(("audit_rows", "Rows of the audit.", "", rows))
    told += [
        ("attempts_last_hour", "Attempts of the last hour, by how they ended.", _label(outcome=outcome, code=code), n)
        for (outcome, code), n in sorted(ended.items())
    ]
    told += [
        ("waiting", "Messages that wait to be sent, counted every minute.", _label(sync=it.sync), it.waiting)
        for it in waits
    ]
    told += [
        ("pace_per_second", "Messages done in a second, by the last five minutes; absent where that is not known.",
         _label(sync=it.sync), it.pace_s)
        for it in waits if it.pace_s is not None
    ]  # fmt: skip
    told += [
        ("eta_seconds", "Until what waits is done, at that pace; absent where that is not known.",
         _label(sync=it.sync), it.left.total_seconds())
        for it in waits if it.left is not None
    ]  # fmt: skip
    for sync, quantiles in seen.latency.items():
        told += [
            ("latency_seconds", "From the save in Salesforce to the record in NetSuite.",
             _label(sync=sync, quantile=quantile), seconds)
            for quantile, seconds in zip(("0.5", "0.95"), quantiles, strict=True)
        ]  # fmt: skip
    lines, named = [], set()
    for name, words, label, value in told:
        if name not in named:
            named.add(name)
            lines += [f"# HELP bridge_{name} {words}", f"# TYPE bridge_{name} gauge"]
        lines.append(f"bridge_{name}{label} {round(value, 3)}")
    return "\n".join(lines) + "\n"


def _seconds(span: timedelta | None) -> float:
    return span.total_seconds() if span else 0.0


def _label(**labels: str) -> str:
    """Write labels as Prometheus's text format wants them escaped."""
    said = (f'{name}="{value.translate(ESCAPED)}"' for name, value in labels.items())
    return "{" + ",".join(said) + "}"
