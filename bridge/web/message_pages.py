"""Messages: the list with its filters, and one message with all that happened to it.

Must not know: SOAP, SQL beyond `bridge.ledger`.
"""

from __future__ import annotations

from flask import Flask, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from bridge import operating
from bridge.ledger import desk as looking
from bridge.ledger import plain
from bridge.web.access import person
from bridge.web.desk import GROUPS, Desk
from bridge.web.words import obj, shown

Page = str | Response


def add(app: Flask, desk: Desk) -> None:
    """Add the routes to *app*."""
    engine = desk.engine

    @app.get("/messages")
    def messages() -> Page:
        state, search = request.args.get("state", ""), request.args.get("search", "")[:80]
        before = request.args.get("before", type=int)
        states = GROUPS.get(state, (state,) if state else ())
        with engine.ledger.read() as connection:
            found = looking.page(connection, states=states, search=search, before=before)
        return render_template("messages.html", page=found, state=state, search=search)

    @app.get("/messages/<int(max=999999999999999):message_id>")
    def message(message_id: int) -> Page:
        with engine.ledger.read() as connection:
            found = looking.history(connection, message_id)
        if found is None:
            abort(404)
        links = [(one, desk.netsuite_page(one.target_kind, one.target_id)) for one in found.links]
        source = plain.loads(found.row.payload)
        to_netsuite = found.row.sync in engine.syncs.pushes
        page = desk.salesforce_page(found.row.source_kind, found.row.source_id) if to_netsuite else None
        return render_template(
            "message.html",
            found=found,
            links=links,
            fields=sorted((name, shown(value)) for name, value in source.items()),
            page=page,
            kind=obj(found.row.source_kind),
        )

    @app.post("/messages/<int(max=999999999999999):message_id>/replay")
    def replay(message_id: int) -> Page:
        operating.replay(engine, [message_id], actor=person().name, reason="by hand")
        return redirect(url_for("message", message_id=message_id), code=303)
