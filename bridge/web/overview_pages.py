"""The overview: the house at a glance.

Must not know: SOAP, SQL beyond `bridge.ledger`.
"""

from __future__ import annotations

from flask import Flask, abort, redirect, render_template, url_for
from werkzeug.wrappers import Response

from bridge.ledger import desk as looking
from bridge.ledger import marks
from bridge.web.desk import GROUPS, Desk

Page = str | Response


def add(app: Flask, desk: Desk) -> None:
    """Add the routes to *app*."""
    engine = desk.engine

    @app.get("/")
    def overview() -> Page:
        with engine.ledger.read() as connection:
            now = engine.ledger.now(connection)
            seen = looking.overview(connection, now)
            causes = looking.errors(connection)
            runs = marks.last_runs(connection)
        counts = {name: sum(seen.states.get(state, 0) for state in states) for name, states in GROUPS.items()}
        return render_template(
            "overview.html",
            seen=seen,
            counts=counts,
            causes=causes,
            jobs=desk.jobs(),
            runs=runs,
            can_run=desk.run_now is not None,
        )

    @app.post("/jobs/<name>/run")
    def run(name: str) -> Page:
        if desk.run_now is None or name not in {job.name for job in desk.jobs()}:
            abort(404)
        desk.run_now(name)
        return redirect(url_for("overview"), code=303)
