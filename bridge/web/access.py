"""Who may do what on the console: each route with the roles that may use it. A route without a rule is refused to all.

``guard`` is asked before every request: who is it, may they, and did the form come from our own page. ``person`` tells
a page who is looking at it.

Must not know: what the pages do.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast
from urllib.parse import urlsplit

from flask import Flask, abort, g, redirect, request, url_for
from werkzeug.wrappers import Response

from bridge.ledger import Ledger, accounts, incidents, people
from bridge.ledger.people import Session

PUBLIC: Final = frozenset({"public"})
EVERYONE: Final = frozenset(people.ROLES)
HANDS: Final = frozenset({"operator", "accountant", "administrator"})  # may change what becomes of messages
OPERATORS: Final = frozenset({"operator", "administrator"})
BOOKKEEPERS: Final = frozenset({"accountant", "administrator"})
ADMINISTRATORS: Final = frozenset({"administrator"})
AUDITORS: Final = frozenset({"auditor", "administrator"})
EXPORTERS: Final = HANDS | AUDITORS

RULES: Final[Mapping[str, frozenset[str]]] = {
    "static": PUBLIC,
    "sign_in": PUBLIC,
    "sign_in_local": PUBLIC,
    "sign_in_code": PUBLIC,
    "sign_in_code_given": PUBLIC,
    "sign_in_first": PUBLIC,
    "sign_in_there": PUBLIC,
    "sign_in_back": PUBLIC,
    "sign_out": EVERYONE,
    "overview": EVERYONE,
    "figures": EVERYONE,
    "errors": EVERYONE,
    "messages": EVERYONE,
    "message": EVERYONE,
    "edit": HANDS,
    "adopt": HANDS,
    "export": EXPORTERS,
    "new_plan": HANDS,
    "plan": EVERYONE,
    "confirm": HANDS,
    "decide": HANDS,
    "approvals": EVERYONE,
    "applications": EVERYONE,
    "application": EVERYONE,
    "schedules": EVERYONE,
    "run": OPERATORS,
    "cadence": ADMINISTRATORS,
    "mappings": EVERYONE,
    "catalogue": BOOKKEEPERS,
    "bindings": EVERYONE,
    "audit_trail": AUDITORS,
    "audit_export": AUDITORS,
    "audit_verify": AUDITORS,
}


FOREIGN: Final = "This form did not come from the console's own page, or it is too old. Load the page anew."


class Access:
    """Sessions and rules of one console.

    *is_open*: no sign-in is configured, and only this machine reaches the console: whoever does is its administrator.
    """

    def __init__(self, ledger: Ledger, *, origin: str | None, may_be_open: bool, has_provider: bool) -> None:
        self._ledger, self._may_be_open, self._has_provider = ledger, may_be_open, has_provider
        self._has_account = False
        self._own_token = secrets.token_urlsafe(24)
        self.is_secure = bool(origin and origin.startswith("https://"))
        # "__Host-" has the browser refuse the cookie unless it is Secure, for this host alone and for every path.
        self.cookie = "__Host-bridge" if self.is_secure else "bridge"
        self.way_cookie = f"{self.cookie}-way"  # of a sign-in that is on its way: a link of another site may begin one

    @property
    def is_open(self) -> bool:
        if not self._may_be_open or self._has_provider:
            return False
        if not self._has_account:
            with self._ledger.read() as connection:
                self._has_account = accounts.any_account(connection)
        return not self._has_account

    def current(self) -> Session | None:
        """Return whose request this is."""
        if self.is_open:
            return Session("", "console", "administrator", "open", self._own_token)
        return self._of(self.cookie)

    def on_the_way(self) -> Session | None:
        """Return what is remembered of a sign-in that this browser has begun."""
        return self._of(self.way_cookie)

    def _of(self, cookie: str) -> Session | None:
        word = request.cookies.get(cookie, "")
        found = people.find_session(self._ledger, word) if 20 <= len(word) <= 100 else None
        # Either is no more than it is, whichever cookie its word stands in.
        return found if found is not None and bool(found.name) == (cookie == self.cookie) else None

    def set_out(self, answer: Response, *, way: str, data: str) -> Response:
        """Remember a sign-in that is on its way; whoever is signed in stays so until it is done."""
        before = self.on_the_way()
        with self._ledger.write() as writing:
            if before is not None:
                people.end_session(writing, before.key)
            word, _ = people.open_session(writing, name="", role="", way=way, data=data, until=people.ON_THE_WAY)
        answer.set_cookie(self.way_cookie, word, **self._for_us())
        return answer

    def begin(
        self, answer: Response, *, name: str, role: str, way: str, detail: str, asked_at: datetime | None
    ) -> Response:
        """Open a session under a new word, in place of the one there was, and give its cookie to *answer*.

        *asked_at*: when they were asked for their password.
        """
        with self._ledger.write() as writing:
            for before in (g.get("session"), self.on_the_way()):
                if before is not None:
                    people.end_session(writing, before.key)
            word, _ = people.open_session(writing, name=name, role=role, way=way, asked_at=asked_at)
            writing.say("signed_in", name, code=way.upper(), detail=detail)
        answer.set_cookie(self.cookie, word, **self._for_us())
        answer.delete_cookie(self.way_cookie, **self._for_us())
        return answer

    def _for_us(self) -> dict[str, Any]:
        return {"secure": self.is_secure, "httponly": True, "samesite": "Lax", "path": "/"}

    def end(self, answer: Response) -> Response:
        """End the session, and take its cookie back."""
        mine = person()
        with self._ledger.write() as writing:
            people.end_session(writing, mine.key)
            writing.say("signed_out", mine.name)
            incidents.end(writing, ["local"], [f"local:{it}" for it in people.in_use(writing.connection)])
        answer.delete_cookie(self.cookie, **self._for_us())
        return answer

    def guard(self) -> Response | None:
        """Let the request pass, or say why not."""
        g.session = self.current()
        if request.endpoint is None:
            return None  # there is no such page, which is no secret
        rule = RULES.get(request.endpoint, frozenset())
        session: Session | None = g.session
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            self._own_site_only()
        if rule is PUBLIC:
            return None
        if session is None:
            if request.method == "GET":
                return redirect(url_for("sign_in", next=request.full_path.rstrip("?")), code=303)
            abort(401)
        if session.role not in rule:
            abort(403, description=f"Your role is {session.role}, which may not do this. An administrator can.")
        if request.method == "POST":
            given = request.form.get("token", "")
            if not hmac.compare_digest(given.encode(), session.token.encode()):
                abort(403, description=FOREIGN)
        return None

    def _own_site_only(self) -> None:
        """Refuse what another site has a browser send, before anything is looked at; the form's token comes later."""
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        origin = request.headers.get("Origin")
        if site not in ("same-origin", "none") or (origin is not None and urlsplit(origin).netloc != request.host):
            abort(403, description=FOREIGN)


def person() -> Session:
    """Return who is looking at the page; only where the guard has let somebody in."""
    return cast(Session, g.session)


def may(endpoint: str) -> bool:
    """Say whether the person may use *endpoint*: what they may not is not offered to them."""
    session: Session | None = g.get("session")
    return session is not None and session.role in RULES.get(endpoint, frozenset())


def protect(app: Flask, access: Access) -> None:
    """Put *access* before every route of *app*."""
    app.before_request(access.guard)
    app.jinja_env.globals.update(may=may)

    @app.context_processor
    def _who() -> dict[str, object]:
        session: Session | None = g.get("session")
        return {"me": session, "form_token": session.token if session else ""}
