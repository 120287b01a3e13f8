"""The audit trail as auditors look at it: of one record, of some days, as an export; and does it hold.

Must not know: SOAP, SQL beyond `bridge.ledger`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from bridge.ledger import Ledger, audit, marks
from bridge.spreadsheet import cell
from bridge.web.access import person
from bridge.web.desk import Desk

Page = str | Response

SHOWN = 100  # rows on the page
PIECE = 500  # rows of an export that are sent together


def add(app: Flask, desk: Desk) -> None:
    """Add the routes to *app*."""
    engine = desk.engine

    @app.get("/audit")
    def audit_trail() -> Page:
        word = request.args.get("search", "").strip()[:80]
        since, until = _period()
        with engine.ledger.read() as connection:
            if word:
                syncs = engine.syncs
                kinds = {it.target for it in syncs.pushes.values()} | {it.target for it in syncs.pulls.values()}
                rows = audit.about(connection, word, SHOWN, sorted(kinds))
            else:
                rows = audit.lately(connection, since, until, SHOWN)
            verified = marks.last_runs(connection).get("verify")
        return render_template(
            "audit.html", rows=rows, search=word, verified=verified, most=SHOWN,
            since=request.args.get("since", "")[:10], until=request.args.get("until", "")[:10],
        )  # fmt: skip

    @app.get("/audit.csv")
    def audit_export() -> Response:
        since, until = _period()
        words = f"{since or 'the beginning'} to {until or 'now'}"
        with engine.ledger.write() as writing:
            writing.say("exported", person().name, detail=f"audit, {words}, at the console")
        answer = Response(_rows(engine.ledger, since, until), mimetype="text/csv")
        answer.headers["Content-Disposition"] = 'attachment; filename="audit.csv"'
        return answer

    @app.post("/audit/verify")
    def audit_verify() -> Page:
        """Begin the daily verification now; it may last minutes, and its report is on the page."""
        if desk.run_now is None:
            abort(404)
        begun = desk.run_now("verify")
        with engine.ledger.write() as writing:
            writing.say("run", person().name, sync="verify", detail="by hand")
        said = "It is being verified; load the page again in a while." if begun else "It is being verified already."
        return redirect(url_for("audit_trail", said=said), code=303)


def _period() -> tuple[datetime | None, datetime | None]:
    """Return from when to when the page's address asks for: days, UTC, the last one included."""
    last = _day("until")
    try:
        return _day("since"), last + timedelta(days=1) if last else None
    except OverflowError:
        abort(400)


def _day(name: str) -> datetime | None:
    text = request.args.get(name, "").strip()
    if not text:
        return None
    try:
        return datetime.strptime(text[:20], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        abort(400)


def _rows(ledger: Ledger, since: datetime | None, until: datetime | None) -> Iterator[bytes]:
    """Yield the export piece by piece, for it may be long."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(audit.EXPORTED)
    with ledger.read() as connection:
        for number, row in enumerate(audit.period(connection, since, until), start=1):
            writer.writerow([cell(_text(getattr(row, name))) for name in audit.EXPORTED])
            if number % PIECE == 0:
                yield text.getvalue().encode()
                text.seek(0)
                text.truncate()
    yield text.getvalue().encode()


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
