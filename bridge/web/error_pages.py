"""The error desk: what needs a person by cause, decisions about many messages with a preview, approvals.

Must not know: SOAP, SQL beyond `bridge.ledger`.
"""

from __future__ import annotations

import json

from flask import Flask, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from bridge import choosing, handling, weighing
from bridge.errors import BridgeError
from bridge.ledger import differences, finding, messages, triage
from bridge.ledger.triage import Plan
from bridge.web.access import may, person
from bridge.web.desk import Desk
from bridge.web.message_pages import wanted

Page = str | Response

MASS = 20  # messages in a plan from which on a recent sign-in is asked for
SHOWN = 20  # messages of a plan, and differences, that a page lists


def add(app: Flask, desk: Desk) -> None:
    """Add the routes to *app*."""
    engine = desk.engine

    def found(plan_id: int) -> Plan:
        with engine.ledger.read() as connection:
            one = triage.find(connection, plan_id)
        if one is None:
            abort(404)
        return one

    @app.get("/errors")
    def errors() -> Page:
        with engine.ledger.read() as connection:
            causes, differing = finding.causes(connection), differences.page(connection, most=SHOWN + 1)
        return render_template(
            "errors.html", causes=causes, labels=_labels(desk), differing=differing[:SHOWN], most=SHOWN,
            are_more=len(differing) > SHOWN,
        )  # fmt: skip

    @app.post("/plans")
    def new_plan() -> Page:
        """Draft a decision about the marked messages, or about all that the filter finds."""
        form, me = request.form, person()
        ids = [int(it) for it in form.getlist("message") if it.isdigit() and len(it) < 16]
        if form.get("all"):
            with engine.ledger.read() as connection:
                ids = finding.ids(connection, wanted(), handling.MOST)
        action, value = form.get("action", ""), form.get("value", "").strip()[:80] or None
        if action == "assign" and value in (None, "me"):
            value = me.name
        try:
            number = handling.draft(
                engine, action, ids, value=value, reason=form.get("reason", ""), actor=me.name, way=me.way,
                guard=desk.second_person().is_needed,
            )  # fmt: skip
        except BridgeError as error:
            return redirect(_back(error.message), code=303)
        if action in ("assign", "tag"):
            return redirect(_back(handling.confirm(engine, found(number), actor=me.name)), code=303)
        return redirect(url_for("plan", plan_id=number), code=303)

    @app.get("/plans/<int(max=999999999999999):plan_id>")
    def plan(plan_id: int) -> Page:
        one = found(plan_id)
        with engine.ledger.read() as connection:
            rows = messages.by_ids(connection, one.ids[:SHOWN])
            names = finding.names(connection, [row.source_id for row in rows], of_people=may("edit"))
        changed = None
        if one.action == "edit" and rows and one.state != triage.DONE and may("edit"):
            try:
                changed = handling.edited(engine, rows[0], one.value or json.dumps({}))
            except BridgeError:
                changed = None
        adopted = json.loads(one.value or "{}") if one.action == "adopt" else None
        there = adopted and desk.netsuite_page(adopted["kind"], adopted["id"])
        return render_template(
            "plan.html", side=choosing.side(one) if one.action == "choose" else None,
            adopted=adopted, adopted_page=there, plan=one, rows=rows, names=names,
            actions=handling.ACTIONS, changed=changed, is_mine=one.asked_by == person().name,
            worth=lambda row: weighing.worth(engine.syncs, row),
        )  # fmt: skip

    @app.post("/plans/<int(max=999999999999999):plan_id>/confirm")
    def confirm(plan_id: int) -> Page:
        one = found(plan_id)
        if one.asked_by != person().name:
            abort(403, description="Only who chose these messages can confirm them.")
        if (one.is_guarded or len(one.ids) > MASS) and not person().is_fresh:
            return _again(plan_id)
        return _done(lambda: handling.confirm(engine, one, actor=person().name), plan_id)

    @app.post("/plans/<int(max=999999999999999):plan_id>/decide")
    def decide(plan_id: int) -> Page:
        one, approve, me = found(plan_id), request.form.get("answer") == "approve", person()
        if approve and not me.is_fresh:
            return _again(plan_id)
        return _done(lambda: handling.decide(engine, one, actor=me.name, approve=approve, way=me.way), plan_id)

    @app.get("/approvals")
    def approvals() -> Page:
        with engine.ledger.read() as connection:
            waiting = triage.plans(connection, [triage.WAITING])
            past = triage.plans(connection, [triage.DONE, triage.REFUSED])
        return render_template("approvals.html", waiting=waiting, past=past, actions=handling.ACTIONS)


def _again(plan_id: int) -> Response:
    """Have the person sign in once more, so that an unattended desk confirms and approves nothing."""
    return redirect(url_for("sign_in", again=1, next=url_for("plan", plan_id=plan_id)), code=303)


def _done(work: object, plan_id: int) -> Response:
    try:
        said = work()  # type: ignore[operator]  # a sentence about what was done
    except BridgeError as error:
        said = error.message
    return redirect(url_for("plan", plan_id=plan_id, said=said), code=303)


def _back(said: str) -> str:
    """Return the page that the form came from, with what became of it."""
    number = request.form.get("message", "")
    if request.form.get("page") == "message" and number.isdigit() and len(number) < 16:
        return url_for("message", message_id=int(number), said=said)
    kept = {
        name: request.form[name] for name in ("state", "sync", "code", "who", "search", "tag") if request.form.get(name)
    }
    return url_for("messages", **kept, said=said)  # type: ignore[arg-type]  # all are words


def _labels(desk: Desk) -> dict[str, str]:
    return {it.name: it.label or it.name for it in desk.engine.syncs.every()}
