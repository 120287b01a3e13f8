"""What people do to messages that wait for them: send again, hold, dismiss, correct, assign, tag; one or many.

Everything is a plan: drafted with its count and its sums, shown, then carried out. Above the site's limits a second
person must approve it first. What is done is audited message by message, with the name of who asked and who approved.

Must not know: any system's protocol, HTTP.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, select

from bridge import adopting, choosing, editing, sharing
from bridge.carrying import Stream
from bridge.delivery import Delivery
from bridge.errors import BridgeError, Rejected
from bridge.ledger import Writing, lanes, messages, plain, triage
from bridge.ledger.models import DEFERRED, DISMISSED, HELD, NEEDS_PERSON, OPEN, PENDING, message
from bridge.ledger.triage import Plan
from bridge.operating import reopen
from bridge.ports import Record, Ref
from bridge.preparing import write_back
from bridge.pulling import Taken, read_one, store
from bridge.receiving import accept, as_received
from bridge.recording import release
from bridge.weighing import sums

ACTIONS: Mapping[str, str] = {
    "retry": "Send again as stored",
    "fresh": "Read anew and send",
    "hold": "Hold",
    "dismiss": "Dismiss",
    "edit": "Correct a value and send",
    "adopt": "Adopt and send",
    "choose": "Choose a side and send",
    "assign": "Assign",
    "tag": "Tag",
}
CONFIRMED = "This was confirmed already."
HARMLESS = ("assign", "tag", "hold")  # they move no money, so nobody else must agree
ONE_BY_ONE = ("edit", "adopt")
MOST = 10_000  # messages in one plan
STEP = 200  # messages in one transaction, so that saves do not wait for a long one

IsNeeded = Callable[[int, dict[str, Decimal]], bool]


def draft(
    engine: Delivery,
    action: str,
    ids: Sequence[int],
    *,
    value: str | None,
    reason: str,
    actor: str,
    guard: IsNeeded,
    way: str | None = None,
) -> int:
    """Keep what somebody means to do to the messages *ids*, with count and sums, and return the plan's number.

    *way*: how they came in, at the provider or with a local account.
    Raises Rejected for what makes no sense; the person changes it.
    """
    if action not in ACTIONS or not ids:
        raise Rejected("Choose messages, and what to do with them.", code="NOTHING_CHOSEN")
    if len(ids) > MOST:
        raise Rejected(f"Choose at most {MOST:,} messages at once.", code="TOO_MANY_CHOSEN")
    if action == "tag" and not triage.TAG.fullmatch((value or "").removeprefix("-")):
        raise Rejected("A tag is one word of letters, digits and hyphens.", code="TAG_NOT_READABLE")
    if action == "choose" and value not in sharing.SIDES:
        raise Rejected("Say whose value counts: salesforce or netsuite.", code="SIDE_NOT_CHOSEN")
    if action == "dismiss" and not reason.strip():
        raise Rejected("Say why it is dismissed: the audit asks for it.", code="REASON_MISSING")
    rows: list[Row[Any]] = []
    with engine.ledger.read() as connection:
        for start in range(0, len(ids), STEP):
            rows += messages.by_ids(connection, ids[start : start + STEP])
    if not rows:
        raise Rejected("None of these messages exists any more.", code="NOTHING_CHOSEN")
    found = sums(engine.syncs, rows)
    if action in ONE_BY_ONE and len(rows) > 1:  # what would be sent is shown of one, and looked at for its limits
        raise Rejected("Correct, or adopt for, one message at a time.", code="TOO_MANY_CHOSEN")
    if action == "choose":
        value = choosing.drafted(value or "", rows)
    if action == "adopt":
        value = adopting.chosen(engine, rows[0], value or "")
    if action == "edit":
        found = _larger(found, _edited_sums(engine, rows[0], value or ""))
    known = [row.id for row in rows]
    is_guarded = action not in HARMLESS and guard(len(known), found)

    def work(writing: Writing) -> int:
        return triage.draft(
            writing, action=action, value=value, reason=reason.strip()[:500], ids=known, sums=found,
            is_guarded=is_guarded, actor=actor, way=way,
        )  # fmt: skip

    return engine.ledger.commit(work)


def _larger(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {it: max(one.get(it, Decimal(0)), other.get(it, Decimal(0)), key=abs) for it in one.keys() | other.keys()}


def _edited_sums(engine: Delivery, row: Row[Any], value: str) -> dict[str, Decimal]:
    changed = edited(engine, row, value)
    sync = engine.syncs.pushes[row.sync]
    amount = sync.worth(changed.source, engine.syncs.context.site) if sync.worth else None
    currency = str(changed.source.get("CurrencyIsoCode") or engine.syncs.context.site.get("currency") or "")
    return {} if amount is None else {currency: amount}


def edited(engine: Delivery, row: Row[Any], value: str) -> editing.Changed:
    """Return what the change *value* (JSON: path and text) does to a message. Raises Rejected."""
    try:
        wish = json.loads(value)
        path, text = str(wish["path"]), str(wish["text"])
    except (ValueError, KeyError, TypeError) as error:
        raise Rejected("Choose a value and say what it becomes.", code="VALUE_NOT_READABLE") from error
    return editing.change(engine.syncs, row.sync, plain.loads(row.payload), path, text)


def confirm(engine: Delivery, plan: Plan, *, actor: str) -> str:
    """Carry a drafted plan out, or hand it to a second person; say which in a sentence."""
    if plan.is_guarded:

        def ask(writing: Writing) -> bool:
            moved = triage.move(writing, plan.id, triage.DRAFTED, triage.WAITING)
            if moved:
                writing.say("asked", actor, detail=_about(plan))
            return moved

        asked = engine.ledger.commit(ask)
        return "A second person must approve this; it stands under Approvals." if asked else CONFIRMED
    if not engine.ledger.commit(lambda writing: triage.move(writing, plan.id, triage.DRAFTED, triage.APPROVED)):
        return CONFIRMED
    return _done(plan, carry_out(engine, plan, actor=actor))


def at_once(engine: Delivery, action: str, ids: Sequence[int], *, value: str, reason: str, actor: str) -> str:
    """Do to messages what whoever sits at this machine says: no second person is asked, as with every command."""
    number = draft(engine, action, ids, value=value, reason=reason, actor=actor, guard=lambda count, sums: False)
    with engine.ledger.read() as connection:
        plan = triage.find(connection, number)
    return confirm(engine, plan, actor=actor) if plan is not None else ""


def decide(engine: Delivery, plan: Plan, *, actor: str, approve: bool, way: str | None = None) -> str:
    """Approve or refuse what somebody else asked for. Raises Rejected where it is one's own."""
    if approve and plan.asked_way not in (None, way):
        # One person may have both, and would be two.
        raise Rejected(
            "Approve this in the way in which it was asked for: both at the provider, or both with local accounts.",
            code="SAME_WAY_NEEDED",
        )
    if approve and plan.asked_by == actor:
        raise Rejected("You asked for this yourself: another person must approve it.", code="SECOND_PERSON_NEEDED")
    after = triage.APPROVED if approve else triage.REFUSED

    def settle(writing: Writing) -> bool:
        moved = triage.move(writing, plan.id, triage.WAITING, after, decider=actor)
        if moved:
            writing.say(after, actor, detail=f"{_about(plan)}, asked by {plan.asked_by}")
        return moved

    if not engine.ledger.commit(settle):
        return "Somebody has decided this already."
    return _done(plan, carry_out(engine, plan, actor=plan.asked_by)) if approve else "Refused; nothing was changed."


def _about(plan: Plan) -> str:
    amounts = " + ".join(f"{amount:,.2f} {currency}" for currency, amount in sorted(plan.sums.items()))
    return f"plan {plan.id}: {plan.action} of {len(plan.ids)} messages{f', {amounts}' if amounts else ''}"


def _done(plan: Plan, count: int) -> str:
    words = {"retry": "on their way again", "fresh": "read anew and on their way", "edit": "corrected and on their way",
             "adopt": "adopted and on their way",
             "choose": "decided and on their way", "hold": "held", "dismiss": "dismissed", "assign": "assigned",
             "tag": "tagged"}  # fmt: skip
    left = len(plan.ids) - count
    more = f" {left} could not be: they are on their way, gone, already so, or do not ask for it." if left else ""
    return f"{count} of {len(plan.ids)} {words[plan.action]}.{more}"


def carry_out(engine: Delivery, plan: Plan, *, actor: str) -> int:
    """Do what an approved plan says, and return to how many messages it was done."""
    count = 0
    try:
        for start in range(0, len(plan.ids), STEP):
            count += _DO[plan.action](engine, plan, plan.ids[start : start + STEP], actor)
    except BridgeError:
        # It did not come to that: whoever confirmed or approved it can do so once more.
        back = triage.WAITING if plan.is_guarded else triage.DRAFTED
        engine.ledger.commit(lambda writing: triage.move(writing, plan.id, triage.APPROVED, back))
        raise

    def work(writing: Writing) -> None:
        triage.finished(writing, plan.id, count)

    engine.ledger.commit(work)
    return count


# --- one step of each action -----------------------------------------------------------------------------------------


def _settled(writing: Writing, ids: Sequence[int]) -> list[Row[Any]]:
    found = messages.by_ids(writing.connection, ids)
    return [row for row in found if row.state not in OPEN]


def _say(writing: Writing, row: Row[Any], action: str, actor: str, plan: Plan, detail: str | None = None) -> None:
    writing.say(
        action, actor, sync=row.sync, source_id=row.source_id, message_id=row.id, correlation=row.correlation,
        code=row.code, detail=detail or plan.reason or None,
    )  # fmt: skip


def _retry(engine: Delivery, plan: Plan, ids: Sequence[int], actor: str) -> int:
    def work(writing: Writing) -> int:
        rows = _settled(writing, ids)
        reopen(writing, rows)
        for row in rows:
            _say(writing, row, "replay", actor, plan)
        return len(rows)

    return engine.ledger.commit(work)


def _edit(engine: Delivery, plan: Plan, ids: Sequence[int], actor: str) -> int:
    def work(writing: Writing) -> int:
        rows = _settled(writing, ids)
        payloads = {}
        for row in rows:
            changed = edited(engine, row, plan.value or "")
            number = triage.note_edit(writing, row.id, actor, changed.path, changed.before, changed.after)
            payloads[row.id] = plain.dumps(changed.source)
            marks = (plain.fingerprint(changed.before), plain.fingerprint(changed.after))
            writing.say(
                "edited", actor, sync=row.sync, source_id=row.source_id, message_id=row.id,
                correlation=row.correlation, detail=f"{changed.path}, edit {number}", before=marks[0], after=marks[1],
            )  # fmt: skip
        reopen(writing, rows, payloads)
        for row in rows:
            _say(writing, row, "replay", actor, plan)
        return len(rows)

    return engine.ledger.commit(work)


def _fresh(engine: Delivery, plan: Plan, ids: Sequence[int], actor: str) -> int:
    with engine.ledger.read() as connection:
        rows = [row for row in messages.by_ids(connection, ids) if row.state not in OPEN]
    pushed = [row for row in rows if row.sync in engine.syncs.pushes]
    count = sum(1 for row in rows if row.sync in engine.syncs.pulls and _fresh_pull(engine, plan, row, actor))
    kinds = dict.fromkeys(row.source_kind for row in pushed)
    for kind in kinds:
        own = [row for row in pushed if row.source_kind == kind]
        asked = list(dict.fromkeys(row.source_id for row in own))
        found = engine.salesforce.get([Ref(kind, id=it) for it in asked], engine.syncs.reads(kind))
        there = {it: as_received(record) for it, record in zip(asked, found, strict=True) if record is not None}
        for row in own:
            if row.source_id in there:
                count += _fresh_push(engine, plan, row, there[row.source_id], actor)
    return count


def _fresh_push(engine: Delivery, plan: Plan, row: Row[Any], received: Any, actor: str) -> int:
    """Send what Salesforce has now: a newer save as a message of its own, the same one in this message."""

    def work(writing: Writing) -> int:
        accept(
            writing, engine.syncs, [received], origin="operator", correlation=uuid.uuid4().hex, only=row.sync,
        )  # fmt: skip
        newest = writing.connection.execute(
            select(message).where(
                message.c.sync == row.sync,
                message.c.source_id == row.source_id,
                message.c.version == received.version,
                message.c.modified_at == received.modified_at,
            )
        ).first()
        if newest is None:
            return 0
        if newest.state not in OPEN:
            reopen(writing, [newest], {newest.id: plain.dumps({**received.fields, "Id": received.id})})
        _say(writing, newest, "replay", actor, plan, "freshly read")
        return 1

    return engine.ledger.commit(work)


def _fresh_pull(engine: Delivery, plan: Plan, row: Row[Any], actor: str) -> bool:
    sync = engine.syncs.pulls[row.sync]
    record = read_one(engine, Ref(sync.source, id=row.source_id))
    if not isinstance(record, Record):
        return False
    taken = Taken(uuid.uuid4().hex)
    with Stream(engine, sync, taken.correlation) as stream:
        store(stream, [record], taken)
    if not taken.stored:
        return _retry(engine, plan, [row.id], actor) == 1

    def work(writing: Writing) -> None:
        _say(writing, row, "replay", actor, plan, "freshly read")

    engine.ledger.commit(work)
    return True


def _hold(engine: Delivery, plan: Plan, ids: Sequence[int], actor: str) -> int:
    """Set messages aside, those on their way too unless they are being sent at this moment."""

    def work(writing: Writing) -> int:
        rows = messages.by_ids(writing.connection, ids)
        waiting = {row.lane for row in rows if row.state in (PENDING, DEFERRED)}
        # With its lane in our hands nobody can choose a message for sending.
        leases = lanes.lease(writing.connection, engine.owner, writing.now, keys=sorted(waiting))
        ours = {it.key for it in leases}
        chosen = [
            row
            for row in messages.by_ids(writing.connection, ids)
            if row.state in NEEDS_PERSON or (row.state in (PENDING, DEFERRED) and row.lane in ours)
        ]
        _settle(engine, writing, chosen, HELD, "HELD_BY_PERSON", plan, actor)
        if leases:
            release(writing, leases, engine.syncs, ())
        return len(chosen)

    return engine.ledger.commit(work)


def _dismiss(engine: Delivery, plan: Plan, ids: Sequence[int], actor: str) -> int:
    def work(writing: Writing) -> int:
        rows = [row for row in messages.by_ids(writing.connection, ids) if row.state in (*NEEDS_PERSON, HELD)]
        _settle(engine, writing, rows, DISMISSED, "DISMISSED_BY_PERSON", plan, actor)
        return len(rows)

    return engine.ledger.commit(work)


def _settle(
    engine: Delivery, writing: Writing, rows: Sequence[Row[Any]], state: str, code: str, plan: Plan, actor: str
) -> None:
    changes = messages.Changes(writing)
    for row in rows:
        words = plan.reason or ("A person holds it." if state == HELD else "A person dismissed it.")
        changes.set(row, state, say=False, code=code, reason=words, who="nobody")
        _say(writing, row, state, actor, plan)
    changes.flush()
    write_back(writing, [(row.source_kind, row.source_id) for row in rows if row.sync in engine.syncs.pushes])


def _assign(engine: Delivery, plan: Plan, ids: Sequence[int], actor: str) -> int:
    def work(writing: Writing) -> int:
        triage.assign(writing, ids, plan.value or None)
        for row in messages.by_ids(writing.connection, ids):
            _say(writing, row, "assigned", actor, plan, f"to {plan.value or 'nobody'}")
        return len(ids)

    return engine.ledger.commit(work)


def _tag(engine: Delivery, plan: Plan, ids: Sequence[int], actor: str) -> int:
    def work(writing: Writing) -> int:
        triage.tag(writing, ids, plan.value or "")
        for row in messages.by_ids(writing.connection, ids):
            _say(writing, row, "tagged", actor, plan, plan.value)
        return len(ids)

    return engine.ledger.commit(work)


_DO: Mapping[str, Callable[[Delivery, Plan, Sequence[int], str], int]] = {
    "retry": _retry,
    "fresh": _fresh,
    "hold": _hold,
    "dismiss": _dismiss,
    "edit": _edit,
    "adopt": adopting.adopt,
    "choose": choosing.choose,
    "assign": _assign,
    "tag": _tag,
}
