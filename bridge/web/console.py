"""The operators' console as one Flask app, for a port of its own: who may come in, and the pages.

Pages only look; whatever changes something is a form with the session's token. Every answer forbids foreign content.

Must not know: SOAP, SQL.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, abort, render_template, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.wrappers import Response

from bridge.web import (
    application_pages,
    audit_pages,
    binding_pages,
    error_pages,
    message_pages,
    overview_pages,
    schedule_pages,
    words,
)
from bridge.web.access import Access, protect
from bridge.web.desk import GROUPS, Desk
from bridge.web.signing_in import Entrance, add_sign_in

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def create_console(desk: Desk) -> Flask:
    """Return the console. A page of it needs a rule in `bridge.web.access.RULES`."""
    app = Flask(__name__)
    host = urlsplit(desk.door.origin).hostname or "127.0.0.1"
    # Names of this console only: a foreign page could otherwise read it, and its token, by a name of its own for it.
    app.config.update(MAX_CONTENT_LENGTH=512 * 1024, TRUSTED_HOSTS=[host, "127.0.0.1", "localhost"])
    app.config.update(MAX_FORM_PARTS=12_000, MAX_FORM_MEMORY_SIZE=512 * 1024)
    app.jinja_env.filters.update(
        {
            name: getattr(words, name)
            for name in ("ago", "count", "field", "moment", "money", "obj", "shown", "span", "sums")
        }
    )
    app.jinja_env.globals.update(environment=desk.environment, groups=GROUPS)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    access = Access(
        desk.engine.ledger,
        origin=desk.door.origin,
        may_be_open=desk.door.may_be_open,
        has_provider=desk.door.oidc is not None,
    )
    app.before_request(_text_only)
    protect(app, access)
    add_sign_in(app, Entrance(access, desk.engine.ledger, desk.door.oidc, desk.door.asks_code))
    for pages in (
        overview_pages, error_pages, message_pages, application_pages, schedule_pages, binding_pages, audit_pages,
    ):  # fmt: skip
        pages.add(app, desk)

    @app.after_request
    def _safe(answer: Response) -> Response:
        answer.headers.update(HEADERS)
        if access.is_secure:
            answer.headers["Strict-Transport-Security"] = "max-age=31536000"
        # What is shown is nobody else's, and must not come back with the browser's button after signing out.
        kept = "public, max-age=3600" if request.endpoint == "static" else "no-store"
        answer.headers["Cache-Control"] = kept
        return answer

    @app.errorhandler(HTTPException)
    def _refused(error: HTTPException) -> tuple[str, int] | Response:
        status = error.code or 500
        if isinstance(error, SecurityError):  # under a name that is not ours there are no pages
            return Response("This is not the console's address.\n", 400, mimetype="text/plain")
        return render_template("refused.html", status=status, sentence=_sentence(error)), status

    @app.errorhandler(SQLAlchemyError)
    def _no_ledger(error: SQLAlchemyError) -> tuple[str, int]:
        app.logger.error("A page could not be read from the database: %s", type(error).__name__)
        return render_template("refused.html", status=503, sentence="The database does not answer just now."), 503

    return app


def _text_only() -> None:
    """Refuse the one sign that is in no text, and that PostgreSQL does not take."""
    given = [*(request.view_args or {}).values(), *request.values.values()]
    if any("\x00" in str(it) for it in given):
        abort(400)


def _sentence(error: HTTPException) -> str:
    told = {400: "The request cannot be understood.", 401: "Sign in first.", 404: "There is no such page.",
            405: "This address only takes a form.", 413: "The form is too large."}  # fmt: skip
    return told.get(error.code or 500) or error.description or error.name
