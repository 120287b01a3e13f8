"""The pages of signing in and out: at the provider, or with a local account (password and code) for when it is away.

Must not know: what the other pages do.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING

from flask import Flask, abort, g, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from bridge.ledger import Ledger, accounts, incidents, people, second_factor
from bridge.ledger.incidents import Incident
from bridge.ledger.people import Session
from bridge.web.access import Access
from bridge.web.provider import Leaving, NotSignedIn

if TYPE_CHECKING:
    from bridge.web.oidc import Oidc

LOG = logging.getLogger("bridge.console")
TRIES, WINDOW_S, ADDRESSES = 30, 300.0, 2_000  # from one address; and how many addresses are remembered
LOCAL, PROVIDER = "local", "oidc"  # ways to come in
LATE = "This sign-in was not begun here, or it took too long. Try again."
WAIT = "There were too many wrong tries. Wait a while and try again."
UNREADABLE = (
    "The second factor cannot be read: the audit key was changed since it was set up. On the machine that runs the "
    "bridge, an administrator gives the account another password."
)


class Tries:
    """How often each address tried lately, in bounded memory."""

    def __init__(self, most: int = TRIES, window_s: float = WINDOW_S) -> None:
        self._most, self._window_s = most, window_s
        self._seen: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = Lock()

    def are_too_many(self, address: str) -> bool:
        """Count one more try of *address*."""
        now = time.monotonic()
        with self._lock:
            recent = [at for at in self._seen.pop(address, []) if now - at < self._window_s][-self._most :]
            recent.append(now)
            self._seen[address] = recent
            while len(self._seen) > ADDRESSES:
                self._seen.popitem(last=False)
            return len(recent) > self._most

    def came_in(self, address: str) -> None:
        """Take the last try of *address* back: it was a right one, and an office may share one address."""
        with self._lock:
            if self._seen.get(address):
                self._seen[address].pop()


@dataclass(frozen=True, slots=True)
class Entrance:
    """What all ways of coming in share. *asks_code*: a local account needs a second factor here."""

    access: Access
    ledger: Ledger
    oidc: Oidc | None
    asks_code: bool
    tries: Tries = field(default_factory=Tries)

    @property
    def form_cookie(self) -> str:
        """Return the cookie that a form of this page must fit; another host of the same domain cannot set it."""
        return f"{self.access.cookie}-form"

    def page(self, sentence: str = "", status: int = 200) -> Response:
        """Return the page that offers every way there is."""
        word = secrets.token_urlsafe(24)
        with self.ledger.read() as connection:
            has_account = accounts.any_account(connection)
        text = render_template(
            "sign_in.html",
            sentence=sentence,
            provider=self.oidc.title if self.oidc else None,
            form_word=word,
            onward=_onward(request.values.get("next")),
            has_account=has_account,
            awaits_first=not has_account and accounts.awaits_first(self.ledger),
            shortest=accounts.SHORTEST_PASSWORD,
            again=bool(request.values.get("again")),
        )
        answer = make_response(text, status)
        secure = self.access.is_secure
        answer.set_cookie(
            self.form_cookie, word, max_age=3600, secure=secure, httponly=True, samesite="Strict", path="/"
        )
        return answer

    def refusal(self) -> Response | None:
        """Return what is said to a form that is not ours or comes too often."""
        word = request.cookies.get(self.form_cookie, "")
        if not word or not hmac.compare_digest(request.form.get("form", "").encode(), word.encode()):
            return self.page("The page was too old. Try again.", 403)
        return self.flood()

    def flood(self) -> Response | None:
        too_many = self.tries.are_too_many(request.remote_addr or "")
        return self.page("There were too many tries from your address. Wait five minutes.", 429) if too_many else None

    def begun(self, way: str) -> tuple[Session, dict[str, str]] | None:
        """Return what is remembered of a sign-in of this kind that is on its way."""
        session = self.access.on_the_way()
        if session is None or session.way != way or not session.data:
            return None
        return session, json.loads(session.data)

    def let_in(self, name: str, onward: str) -> Response:
        """Begin the session of a local account."""
        self.tries.came_in(request.remote_addr or "")
        with self.ledger.write() as writing:
            row = accounts.came_in(writing, name)
            if row is None:
                return self.page("Name or password is wrong.", 403)
            # An earlier use is over: this one is told anew.
            incidents.end(writing, ["local"], [f"local:{it}" for it in people.in_use(writing.connection) - {name}])
            told = f"The local account {name} was used to sign in to the console."
            incidents.report(writing, [Incident(f"local:{name}", "LOCAL_SIGN_IN", told)])
        return self.access.begin(
            redirect(onward, code=303), name=name, role=row.role, way=LOCAL, detail=_where(), asked_at=datetime.now(UTC)
        )


def add_sign_in(app: Flask, entrance: Entrance) -> None:
    """Add the routes to *app*."""

    @app.get("/sign-in")
    def sign_in() -> Response:
        if g.session is not None and not request.args.get("again"):
            return redirect(url_for("overview"), code=303)
        return entrance.page()

    @app.post("/sign-out")
    def sign_out() -> Response:
        return entrance.access.end(redirect(url_for("sign_in"), code=303))

    _add_local(app, entrance)
    _add_provider(app, entrance)


def _add_local(app: Flask, entrance: Entrance) -> None:
    ledger, access = entrance.ledger, entrance.access

    @app.post("/sign-in/local")
    def sign_in_local() -> Response:
        if (refusal := entrance.refusal()) is not None:
            return refusal
        name, password = request.form.get("name", "")[:40].strip(), request.form.get("password", "")[:200]
        found = accounts.check_password(ledger, name, password)
        if isinstance(found, timedelta):
            return entrance.page(WAIT, 429)
        if found is None:
            LOG.warning("A local sign-in was refused.")
            return entrance.page("Name or password is wrong.", 403)
        onward = _onward(request.form.get("next"))
        if found.factor is None and not entrance.asks_code:
            return entrance.let_in(name, onward)
        begun = {"name": name, "next": onward, "mark": accounts.mark(found)}
        if found.factor is None:
            begun["fresh"] = second_factor.sealed(ledger.audit_key, name)
        answer = redirect(url_for("sign_in_code"), code=303)
        return access.set_out(answer, way=LOCAL, data=json.dumps(begun))

    @app.get("/sign-in/code")
    def sign_in_code() -> Response:
        found = entrance.begun(LOCAL)
        return entrance.page(LATE, 403) if found is None else _code_page(ledger, *found)

    @app.post("/sign-in/code")
    def sign_in_code_given() -> Response:
        remembered = entrance.begun(LOCAL)
        if remembered is None:
            return entrance.page(LATE, 403)
        session, begun = remembered
        if not hmac.compare_digest(request.form.get("token", "").encode(), session.token.encode()):
            return entrance.page(LATE, 403)
        if (refusal := entrance.flood()) is not None:
            return refusal
        name, marked, code = begun["name"], begun["mark"], request.form.get("code", "")[:20]
        try:
            if "fresh" in begun:
                found: object = accounts.set_factor(ledger, name, begun["fresh"], code, marked) or None
            else:
                found = accounts.check_code(ledger, name, code, marked)
        except second_factor.NotReadable:
            return entrance.page(UNREADABLE, 403)
        if isinstance(found, timedelta):
            return _code_page(ledger, session, begun, WAIT, 429)
        if found is None:
            LOG.warning("A second factor was refused.")
            return _code_page(
                ledger,
                session,
                begun,
                "This is not the code of now, or it was used already. Wait for the next one.",
                403,
            )
        return entrance.let_in(name, begun["next"])

    @app.post("/sign-in/first")
    def sign_in_first() -> Response:
        """Make the first account, for who can read what the start printed."""
        if (refusal := entrance.refusal()) is not None:
            return refusal
        form = request.form
        name, password = form.get("name", ""), form.get("password", "")[:200]
        wrong = accounts.wrong_name(name) or accounts.wrong_password(password)
        if wrong is None and password != form.get("once_more"):
            wrong = "The two passwords are not the same."
        if wrong is not None:
            return entrance.page(wrong, 400)
        if not accounts.make_first(ledger, form.get("word", "")[:100].strip(), name, password):
            LOG.warning("A first account was refused.")
            return entrance.page("This word does not count, or not any more. The start prints another one.", 403)
        entrance.tries.came_in(request.remote_addr or "")
        return redirect(url_for("sign_in", said=f"{name} is made. Sign in."), code=303)


def _code_page(
    ledger: Ledger, session: Session, begun: dict[str, str], sentence: str = "", status: int = 200
) -> Response:
    shown: dict[str, str] = {}
    if "fresh" in begun:
        try:
            secret = second_factor.opened(ledger.audit_key, begun["name"], begun["fresh"])
        except second_factor.NotReadable:
            return make_response(render_template("refused.html", status=403, sentence=UNREADABLE), 403)
        shown = {
            "typed": second_factor.to_type(secret),
            "address": second_factor.address(secret, begun["name"], "Bridge console"),
        }
    text = render_template("code.html", sentence=sentence, begun_token=session.token, **shown)
    return make_response(text, status)


def _add_provider(app: Flask, entrance: Entrance) -> None:
    ledger, access, oidc = entrance.ledger, entrance.access, entrance.oidc

    @app.get("/sign-in/there")
    def sign_in_there() -> Response:
        if oidc is None:
            abort(404)
        if (refusal := entrance.flood()) is not None:
            return refusal
        try:
            leaving = oidc.leave(again=bool(request.args.get("again")))
        except NotSignedIn as error:
            return entrance.page(str(error), 502)
        data = json.dumps({**asdict(leaving), "next": _onward(request.args.get("next"))})
        return access.set_out(redirect(leaving.url, code=303), way=PROVIDER, data=data)

    @app.get("/sign-in/back")
    def sign_in_back() -> Response:
        remembered = entrance.begun(PROVIDER)
        if oidc is None or remembered is None:
            return entrance.page(LATE, 403)
        session, begun = remembered
        onward = begun.pop("next")
        try:
            who = oidc.arrive(request.args, Leaving(**begun))  # type: ignore[arg-type]  # as we kept it
        except NotSignedIn as error:
            LOG.warning("A sign-in at the provider was refused: %s", error)
            with ledger.write() as writing:  # what was begun can be tried once
                people.end_session(writing, session.key)
                writing.say("not_signed_in", "oidc", code="PROVIDER")
            return entrance.page(str(error), 403)
        entrance.tries.came_in(request.remote_addr or "")
        with ledger.write() as writing:
            name = people.called(writing, who.subject, who.name)
        asked_at = datetime.fromtimestamp(who.asked_at, UTC) if who.asked_at is not None else None
        return access.begin(
            redirect(onward, code=303), name=name, role=who.role, way=PROVIDER, detail=_where(), asked_at=asked_at
        )


def _onward(wanted: str | None) -> str:
    """Return the page somebody wanted to see: one of ours, for an address elsewhere could be a trap."""
    is_ours = bool(wanted) and wanted is not None and wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return wanted if is_ours and wanted and len(wanted) < 500 and wanted.isprintable() else url_for("overview")


def _where() -> str:
    return f"from {request.remote_addr}"
