"""Messages: the list with its filters, one message with all that happened to it, correcting a value, the export.

Must not know: SOAP, SQL beyond `bridge.ledger`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from flask import Flask, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from bridge import adopting, editing, handling, sharing, weighing
from bridge.errors import BridgeError, Rejected
from bridge.ledger import counting, exchanges, finding, plain, triage
from bridge.ledger import desk as looking
from bridge.ledger.finding import Wanted
from bridge.ledger.models import OPEN
from bridge.spreadsheet import cell
from bridge.web.access import may, person
from bridge.web.desk import GROUPS, Desk
from bridge.web.words import moment, obj, shown

Page = str | Response

EXPORTED = 50_000  # rows in one file
COLUMNS = (
    "number", "sync", "object", "id", "version", "state", "code", "reason", "who", "field", "attempts", "saved",
    "arrived", "settled", "record", "record id", "call", "assignee", "tags",
)  # fmt: skip
MESSAGE = "/messages/<int(max=999999999999999):message_id>"


def wanted() -> Wanted:
    """Return what the page's address asks for."""
    given = {name: request.values.get(name, "").strip()[:80] for name in ("sync", "code", "who", "origin", "assignee",
                                                                          "tag", "search", "state")}  # fmt: skip
    state = given.pop("state")
    states = GROUPS.get(state) or ((state,) if state else ())
    return Wanted(states=states, **given)


def add(app: Flask, desk: Desk) -> None:
    """Add the routes to *app*."""
    engine = desk.engine

    def mine() -> Wanted:
        found = wanted()
        me = person().name
        return found if found.assignee != "me" else Wanted(**{**_asdict(found), "assignee": me})

    @app.get("/messages")
    def messages() -> Page:
        asked = mine()
        if asked.search:
            counting.fold_names(engine.ledger)  # what came within the last minute is found by name too
        with engine.ledger.read() as connection:
            found = finding.page(connection, asked, before=_before())
            names = finding.names(connection, [row.source_id for row in found.rows], of_people=may("edit"))
            notes = triage.of(connection, [row.id for row in found.rows])
        query = {name: value for name, value in request.args.items() if name not in ("before", "said") and value}
        return render_template(
            "messages.html",
            page=found,
            names=names,
            notes=notes,
            words_of=triage.words_of,
            query=query,
            syncs=[*engine.syncs.pushes, *engine.syncs.pulls],
        )

    @app.get(MESSAGE)
    def message(message_id: int) -> Page:
        with engine.ledger.read() as connection:
            found = looking.history(connection, message_id)
            if found is None:
                abort(404)
            note = triage.of(connection, [message_id]).get(message_id)
            names = finding.names(connection, [found.row.source_id], of_people=may("edit"))
            edits = triage.edits(connection, message_id)
            exchange = exchanges.of(connection, message_id)
        row = found.row
        # Values are of people, too: they are for those who may correct one.
        source = plain.loads(row.payload) if may("edit") else {}
        edits, exchange = (edits, exchange) if may("edit") else ([], None)
        push = engine.syncs.pushes.get(row.sync)
        return render_template(
            "message.html",
            found=found,
            row=row,
            name=names.get(found.row.source_id),
            note=note,
            tags=triage.words_of(note),
            links=[(one, desk.netsuite_page(one.target_kind, one.target_id)) for one in found.links],
            fields=sorted((key, shown(value)) for key, value in source.items()),
            values=[(path, shown(value)) for path, value in editing.values(source)] if push else [],
            edits=[(one, shown(plain.loads(one.before)), shown(plain.loads(one.after))) for one in edits],
            exchange=exchange,
            both=_both(row) if may("edit") else [],
            worth=weighing.worth(engine.syncs, row),
            page=desk.salesforce_page(row.source_kind, row.source_id) if push else None,
            there=None if push else desk.netsuite_page(row.source_kind, row.source_id),
            kind=obj(row.source_kind),
            is_settled=row.state not in OPEN,
            is_adoptable=adopting.is_offered(engine, row),
        )

    @app.get(f"{MESSAGE}/adopt")
    def adopt(message_id: int) -> Page:
        """Show who has the name in NetSuite, asked at this moment."""
        with engine.ledger.read() as connection:
            found = looking.history(connection, message_id)
        if found is None:
            abort(404)
        try:
            there = adopting.candidates(engine, found.row)
        except BridgeError as error:
            return redirect(url_for("message", message_id=message_id, said=error.message), code=303)
        pages = [(it, desk.netsuite_page(it.kind, it.id)) for it in there]
        return render_template("adopt.html", row=found.row, there=pages)

    @app.post(f"{MESSAGE}/edit")
    def edit(message_id: int) -> Page:
        """Show what a correction would change; it is made when it is confirmed."""
        value = json.dumps({"path": request.form.get("path", ""), "text": request.form.get("text", "")})
        with engine.ledger.read() as connection:
            found = looking.history(connection, message_id)
        if found is None:
            abort(404)
        try:
            changed = handling.edited(engine, found.row, value)
            number = handling.draft(
                engine, "edit", [message_id], value=value, reason=request.form.get("reason", ""),
                actor=person().name, way=person().way, guard=desk.second_person().is_needed,
            )  # fmt: skip
        except Rejected as error:
            return redirect(url_for("message", message_id=message_id, said=error.message), code=303)
        return redirect(url_for("plan", plan_id=number, path=changed.path), code=303)

    @app.get("/messages.csv")
    def export() -> Response:
        asked = mine()
        with engine.ledger.read() as connection:
            found = finding.ids(connection, asked, EXPORTED)
        with engine.ledger.write() as writing:
            filters = {name: value for name, value in _asdict(asked).items() if value}
            writing.say("exported", person().name, detail=f"{len(found)} messages, {filters}"[:400])
        answer = Response(_rows(desk, found), mimetype="text/csv")
        answer.headers["Content-Disposition"] = 'attachment; filename="messages.csv"'
        return answer


def _both(row: Any) -> list[tuple[str, str, str]]:
    """Return the fields that both sides changed: name, what Salesforce says, what NetSuite says."""
    found = sharing.both(row.code, row.detail) if row.state not in OPEN else {}
    return [(name, shown(said["salesforce"]), shown(said["netsuite"])) for name, said in found.items()]


def _before() -> int | None:
    found = request.args.get("before", type=int)
    return found if found is not None and 0 < found < 10**15 else None


def _asdict(asked: Wanted) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in Wanted.__dataclass_fields__}


def _rows(desk: Desk, ids: list[int]) -> Iterator[bytes]:
    """Yield the export piece by piece, for it may be long."""
    yield _line(COLUMNS)
    for start in range(0, len(ids), 500):
        with desk.engine.ledger.read() as connection:
            page = finding.by_numbers(connection, ids[start : start + 500])
            notes = triage.of(connection, ids[start : start + 500])
        for row in page:
            note = notes.get(row.id)
            yield _line(
                (row.id, row.sync, obj(row.source_kind), row.source_id, row.version, row.state, row.code, row.reason,
                 row.who, row.field, row.attempts, moment(row.modified_at), moment(row.created_at),
                 moment(row.settled_at), row.target_kind, row.target_id, row.correlation,
                 note.assignee if note is not None else None, " ".join(triage.words_of(note)))
            )  # fmt: skip


def _line(values: tuple[Any, ...]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(["" if it is None else cell(it) for it in values])
    return text.getvalue().encode()
