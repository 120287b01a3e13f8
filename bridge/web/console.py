"""Pages for operators: the house at a glance, messages, one message with all that happened to it, what runs when.

Bound to this machine until sign-in exists. Pages only look; the two buttons (replay, run now) post with a token that
another site cannot know.

Must not know: SOAP, SQL beyond `bridge.ledger.desk`.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from bridge import operating
from bridge.delivery import Delivery
from bridge.ledger import desk, marks, plain
from bridge.ledger.models import OPEN
from bridge.ports import Ref

Page = str | Response

GROUPS: dict[str, tuple[str, ...]] = {
    "on the way": OPEN,
    "needs a person": ("rejected", "dead"),
    "held": ("held",),
    "done": ("delivered", "unchanged", "superseded", "dismissed"),
}


@dataclass(frozen=True, slots=True)
class JobRow:
    """One scheduled job as the page shows it."""

    name: str
    cadence: str
    next_run: datetime | None


def create_console(
    engine: Delivery,
    *,
    environment: str,
    jobs: Callable[[], Sequence[JobRow]] = lambda: (),
    run_now: Callable[[str], object] | None = None,
) -> Flask:
    """Return the console as a Flask app of its own, for a port of its own."""
    app = Flask(__name__)
    # Names of this machine only: a foreign page could otherwise read the token by a name of its own for 127.0.0.1.
    app.config.update(MAX_CONTENT_LENGTH=64 * 1024, TRUSTED_HOSTS=["127.0.0.1", "localhost"])
    token = secrets.token_urlsafe(24)
    app.jinja_env.filters.update(ago=ago, moment=moment, span=span)
    app.jinja_env.globals.update(environment=environment, form_token=token, groups=GROUPS)

    @app.after_request
    def _safe(answer: Response) -> Response:
        answer.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'; form-action 'self'"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "same-origin"
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @app.before_request
    def _own_forms_only() -> None:
        if request.method == "POST" and not hmac.compare_digest(request.form.get("token", ""), token):
            abort(403)

    @app.get("/")
    def overview() -> Page:
        with engine.ledger.read() as connection:
            now = engine.ledger.now(connection)
            seen = desk.overview(connection, now)
            causes = desk.errors(connection)
            runs = marks.last_runs(connection)
        counts = {name: sum(seen.states.get(state, 0) for state in states) for name, states in GROUPS.items()}
        return render_template(
            "overview.html",
            seen=seen,
            counts=counts,
            causes=causes,
            jobs=jobs(),
            runs=runs,
            can_run=run_now is not None,
        )

    @app.get("/messages")
    def messages() -> Page:
        state, search = request.args.get("state", ""), request.args.get("search", "")[:80]
        before = request.args.get("before", type=int)
        states = GROUPS.get(state, (state,) if state else ())
        with engine.ledger.read() as connection:
            found = desk.page(connection, states=states, search=search, before=before)
        return render_template("messages.html", page=found, state=state, search=search)

    @app.get("/messages/<int:message_id>")
    def message(message_id: int) -> Page:
        with engine.ledger.read() as connection:
            found = desk.history(connection, message_id)
        if found is None:
            abort(404)
        links = [(one, engine.netsuite.url(Ref(one.target_kind, id=one.target_id))) for one in found.links]
        source = plain.loads(found.row.payload)
        to_netsuite = found.row.sync in engine.syncs.pushes
        page = engine.salesforce.url(Ref(found.row.source_kind, id=found.row.source_id)) if to_netsuite else None
        return render_template(
            "message.html",
            found=found,
            links=links,
            fields=sorted((name, shown(value)) for name, value in source.items()),
            page=page,
            kind="Application" if found.row.source_kind == "Opportunity" else found.row.source_kind,
        )

    @app.post("/messages/<int:message_id>/replay")
    def replay(message_id: int) -> Page:
        operating.replay(engine, [message_id], actor="console", reason="by hand")
        return redirect(url_for("message", message_id=message_id), code=303)

    @app.post("/jobs/<name>/run")
    def run(name: str) -> Page:
        if run_now is None or name not in {job.name for job in jobs()}:
            abort(404)
        run_now(name)
        return redirect(url_for("overview"), code=303)

    return app


def shown(value: Any) -> str:
    """Return a stored value as people read it."""
    if isinstance(value, Ref):
        return f"{value.kind} {value.name or value.id or value.external_id}"
    if isinstance(value, list):
        return "; ".join(", ".join(f"{k}: {shown(v)}" for k, v in row.items()) for row in value)
    if isinstance(value, dict):
        return ", ".join(f"{k}: {shown(v)}" for k, v in value.items())
    return "" if value is None else str(value)


def moment(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at else "–"


def span(length: timedelta | float | None) -> str:
    """Return a length of time in the two largest units that say enough."""
    if length is None:
        return "–"
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def ago(at: datetime | None) -> str:
    return "–" if at is None else f"{span(datetime.now(UTC) - at)} ago"
