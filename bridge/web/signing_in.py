"""The pages of signing in and out: at the provider, or with a local account for when the provider is away.

Must not know: what the other pages do.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import time
from collections import OrderedDict
from dataclasses import asdict
from datetime import timedelta
from threading import Lock

from flask import Flask, abort, g, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from bridge.ledger import Ledger, incidents, people
from bridge.ledger.incidents import Incident
from bridge.web.access import Access
from bridge.web.oidc import Leaving, NotSignedIn, Oidc

LOG = logging.getLogger("bridge.console")
TRIES, WINDOW_S, ADDRESSES = 30, 300.0, 2_000  # from one address; and how many addresses are remembered
FORM = "bridge-form"


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


def add_sign_in(app: Flask, access: Access, ledger: Ledger, oidc: Oidc | None) -> None:
    """Add the routes to *app*."""
    tries = Tries()

    def page(sentence: str = "", status: int = 200) -> Response:
        word = secrets.token_urlsafe(24)
        with ledger.read() as connection:
            has_account = people.any_account(connection)
        there = oidc.title if oidc else None
        onward, again = _onward(request.values.get("next")), bool(request.values.get("again"))
        text = render_template(
            "sign_in.html", sentence=sentence, provider=there, form_word=word, onward=onward, has_account=has_account,
            again=again,
        )  # fmt: skip
        answer = make_response(text, status)
        answer.set_cookie(FORM, word, max_age=3600, secure=access.is_secure, httponly=True, samesite="Strict", path="/")
        return answer

    @app.get("/sign-in")
    def sign_in() -> Response:
        if g.session is not None and g.session.name and not request.args.get("again"):
            return redirect(url_for("overview"), code=303)
        return page()

    @app.post("/sign-in/local")
    def sign_in_local() -> Response:
        word = request.cookies.get(FORM, "")
        if not word or not hmac.compare_digest(request.form.get("form", "").encode(), word.encode()):
            return page("The page was too old. Try again.", 403)
        if tries.are_too_many(request.remote_addr or ""):
            return page("There were too many tries from your address. Wait five minutes.", 429)
        name, password = request.form.get("name", "")[:40].strip(), request.form.get("password", "")[:200]
        found = people.check_password(ledger, name, password)
        if isinstance(found, timedelta):
            return page("There were too many wrong passwords. Wait a while and try again.", 429)
        if found is None:
            LOG.warning("A local sign-in was refused.")
            return page("Name or password is wrong.", 403)
        tries.came_in(request.remote_addr or "")
        with ledger.write() as writing:
            # An earlier use is over: this one is told anew.
            incidents.end(writing, ["local"], [f"local:{it}" for it in people.in_use(writing.connection) - {name}])
            told = f"The local account {name} was used to sign in to the console."
            incidents.report(writing, [Incident(f"local:{name}", "LOCAL_SIGN_IN", told)])
        answer = redirect(_onward(request.form.get("next")), code=303)
        return access.begin(answer, name=name, role=found, way="local", detail=_where())

    @app.get("/sign-in/there")
    def sign_in_there() -> Response:
        if oidc is None:
            abort(404)
        if tries.are_too_many(request.remote_addr or ""):
            return page("There were too many tries from your address. Wait five minutes.", 429)
        try:
            leaving = oidc.leave(again=bool(request.args.get("again")))
        except NotSignedIn as error:
            return page(str(error), 502)
        data = json.dumps({**asdict(leaving), "next": _onward(request.args.get("next"))})
        return access.begin(redirect(leaving.url, code=303), name="", role="", way="oidc", data=data)

    @app.get("/sign-in/back")
    def sign_in_back() -> Response:
        begun = g.session
        if oidc is None or begun is None or begun.name or not begun.data:
            return page("This sign-in was not begun here, or it took too long. Try again.", 403)
        kept = json.loads(begun.data)
        onward = kept.pop("next")
        try:
            who = oidc.arrive(request.args, Leaving(**kept))
        except NotSignedIn as error:
            LOG.warning("A sign-in at the provider was refused: %s", error)
            with ledger.write() as writing:  # what was begun can be tried once
                people.end_session(writing, begun.key)
                writing.say("not_signed_in", "oidc", code="PROVIDER")
            return page(str(error), 403)
        tries.came_in(request.remote_addr or "")
        return access.begin(redirect(onward, code=303), name=who.name, role=who.role, way="oidc", detail=_where())

    @app.post("/sign-out")
    def sign_out() -> Response:
        return access.end(redirect(url_for("sign_in"), code=303))


def _onward(wanted: str | None) -> str:
    """Return the page somebody wanted to see: one of ours, for an address elsewhere could be a trap."""
    is_ours = bool(wanted) and wanted is not None and wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return wanted if is_ours and wanted and len(wanted) < 500 and wanted.isprintable() else url_for("overview")


def _where() -> str:
    return f"from {request.remote_addr}"
