"""Schedules with their cadences, the mappings as they are read, and what one catalogue has and the other lacks.

Must not know: SOAP, SQL beyond `bridge.ledger`.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from bridge.errors import BridgeError
from bridge.ledger import marks
from bridge.mapping import tables
from bridge.web.access import person
from bridge.web.desk import Desk

Page = str | Response


def add(app: Flask, desk: Desk) -> None:
    """Add the routes to *app*."""
    engine = desk.engine

    def known(name: str) -> None:
        if name not in {job.name for job in desk.jobs()}:
            abort(404)

    @app.get("/schedules")
    def schedules() -> Page:
        with engine.ledger.read() as connection:
            runs = marks.last_runs(connection)
        return render_template("schedules.html", jobs=desk.jobs(), runs=runs, wrong=request.args.get("wrong", "")[:200])

    @app.post("/jobs/<name>/run")
    def run(name: str) -> Page:
        known(name)
        if desk.run_now is None:
            abort(404)
        begun = desk.run_now(name)
        with engine.ledger.write() as writing:
            writing.say("run", person().name, sync=name, detail="by hand")
        said = f"{name} is running." if begun else f"{name} was running already."
        return redirect(url_for("schedules", said=said), code=303)

    @app.post("/jobs/<name>/cadence")
    def cadence(name: str) -> Page:
        known(name)
        if desk.choose_cadence is None:
            abort(404)
        kind, value = request.form.get("kind", ""), request.form.get("value", "").strip()[:100]
        wishes: dict[str, dict[str, Any]] = {
            "minutes": {"every_minutes": value},
            "cron": {"cron": value},
            "off": {"enabled": False},
        }
        wish = wishes.get(kind)
        if wish is None and kind != "site":
            abort(400)
        wrong = desk.choose_cadence(name, wish, actor=person().name)
        if wrong:
            return redirect(url_for("schedules", wrong=wrong), code=303)
        return redirect(url_for("schedules", said=f"{name} has its new cadence now."), code=303)

    @app.get("/mappings")
    def mappings() -> Page:
        syncs = engine.syncs
        found = [(it, tables.source(it), tables.gates(it), list(tables.rows(it))) for it in syncs.every()]
        return render_template("mappings.html", found=found)

    @app.post("/mappings/catalogue")
    def catalogue() -> Page:
        """Ask both systems what they sell: a form, for it costs calls, which no link of another page may cause."""
        if desk.catalogue is None:
            abort(404)
        try:
            found = desk.catalogue()
        except BridgeError as error:
            return redirect(url_for("mappings", said=error.message[:200]), code=303)
        return render_template("catalogue.html", found=found)
