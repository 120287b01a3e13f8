"""Record what became of sent work: states, links, retries, pauses, wake-ups, audit: one transaction, fenced.

Must not know: any system, HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select

from bridge import confirming, periods, rereading, totals
from bridge.errors import BridgeError, Deferred, Misconfigured, Rejected, Uncertain
from bridge.ledger import Ledger, Writing, counting, exchanges, lanes, links, marks, messages, plain, waits
from bridge.ledger.closing import close_older
from bridge.ledger.lanes import Lease
from bridge.ledger.links import Link
from bridge.ledger.models import DEAD, DEFERRED, DELIVERED, PENDING, REJECTED, SENDING, UNCERTAIN, message
from bridge.mapping import Pull, Push, Syncs
from bridge.matching import in_suspense
from bridge.mirroring import made_name
from bridge.noting import learn_shared, remember_numbers
from bridge.outcome import HORIZON, TRIES, resolve_after, retry_after, throttle_after
from bridge.ports import Ref, Written
from bridge.preparing import write_back
from bridge.sending import Sent
from bridge.standing import covered
from bridge.work import Work

_PROMISED = select(message.c.id).where(message.c.id.in_(bindparam("ids", expanding=True)), message.c.write_back)
# These say that one kind of record cannot be written; every other misconfiguration concerns the whole system.
ONE_SYNC = (
    "INSUFFICIENT_PERMISSION",
    "WS_PERMISSION_REQD",
    "PERMISSION_VIOLATION",
    "WS_FEATURE_REQD",
    "CUSTOM_RECORD_TYPE_UNKNOWN",
    "KIND_UNKNOWN",
    "FIELD_UNKNOWN",
    "BINDINGS_INCOMPLETE",
    "EXTERNAL_ID_MISSING",
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What recording led to: pauses it started (for the alert), and whether a released lane has more to do now."""

    paused: list[str]
    more: bool


def record(
    writing: Writing, sent: Sequence[Sent], leases: Sequence[Lease], syncs: Syncs, shut: Iterable[str]
) -> Recorded:
    """Record outcomes and release *leases*. *shut* are the pauses known when the work was chosen.

    A lane that somebody else has taken over in the meantime is left alone: what we learned about it may be stale, and
    its new holder looks the records up.
    """
    shut = set(shut)
    held = lanes.still_held(writing.connection, leases)
    paused = settle(writing, sent, held, syncs)
    shut -= _resumed(writing, sent, held, shut, syncs)
    keep = [it for it in leases if it.key in held]
    # A pause that has ended since made its lanes due; they must stay so.
    still = {it.scope for it in marks.pauses(writing.connection)} if shut else set()
    return Recorded(paused, release(writing, keep, syncs, {*still, *paused}))


def settle(writing: Writing, sent: Sequence[Sent], held: set[str], syncs: Syncs) -> list[str]:
    """Record outcomes in the lanes that are still *held*, and return the scopes of pauses that failures started."""
    promised = _promised(writing, sent)
    changes, new, made = messages.Changes(writing), [], []
    paused: list[str] = []
    back: list[tuple[str, str]] = []
    owed: list[tuple[str, str]] = []
    straight: list[Sent] = []
    for it in sent:
        row = it.work.row
        if row.lane not in held:
            writing.say("fenced", "bridge", sync=row.sync, source_id=row.source_id, message_id=row.id)
            _doubt_what_was_fenced(writing, it)
            continue
        if it.work.resolve and not it.adopted and isinstance(it.work.sync, Push) and row.sent_at is not None:
            # It was sent again, and the first request may still be on its way.
            may_land = row.sent_at + confirming.LATE
            if may_land > writing.now:
                confirming.later(writing, row, may_land)
        if isinstance(it.outcome, Written):
            if _is_straight(it):
                straight.append(it)
            else:
                new += _delivered(writing, changes, it)
            made.append(it.work.name)
            if isinstance(it.work.sync, Push):
                made.append(made_name(it.work.sync.name, str(it.outcome.ref.id)))
        else:
            scope = _failed(writing, changes, it.work, it.outcome)
            paused += [scope] if scope else []
        if isinstance(it.work.sync, Push) and not it.work.leaves and (row.write_back or row.id in promised):
            back.append((row.source_kind, row.source_id))
        if isinstance(it.outcome, Written):
            owed += _balances_to_renew(it.work)
    changes.flush()
    links.save(writing, new)
    _arrived(writing, straight)
    counting.remit(
        writing,
        [
            one
            for it in sent
            if it.work.row.lane in held and isinstance(it.outcome, Written) and it.work.row.sync != totals.SYNC
            for one in totals.remitted(it.work.sync, it.work.row.source_id, it.work.records)
        ],
    )
    told = [it for it in sent if it.work.row.lane in held]
    close_older(writing, [it.work.row for it in told if isinstance(it.outcome, Written)])
    exchanges.keep(writing, list(_exchanges(told)))
    back += remember_numbers(writing, [it for it in sent if it.work.row.lane in held], syncs)
    learn_shared(writing, told, syncs)
    waits.free(writing, made)
    write_back(writing, back)
    write_back(writing, owed, totals.SYNC)
    return paused


def _is_straight(it: Sent) -> bool:
    """Say whether this is a pulled record that was written at its first attempt, with nothing else to note."""
    work = it.work
    is_mirror = isinstance(work.sync, Pull) and work.sync.owned is None
    return is_mirror and work.row.state == SENDING and work.row.attempts == 0 and bool(work.keys)


def _arrived(writing: Writing, sent: Sequence[Sent]) -> None:
    """Record all of *sent* in a few statements."""
    new = []
    by_kind: dict[tuple[int, str], list[int]] = {}
    for it in sent:
        work, row = it.work, it.work.row
        kind, key = work.records[0].ref.kind, str(work.records[0].ref.external_id)
        new.append(
            Link(
                row.sync, row.source_id, kind, key, row.version, row.modified_at, work.fingerprint, key,
                work.link.number if work.link else None, {"keys": work.keys, "rows": work.rows, "parents": []},
            )
        )  # fmt: skip
        by_kind.setdefault((work.lease.epoch, kind), []).append(row.id)
        writing.say(
            DELIVERED, row.origin, sync=row.sync, source_id=row.source_id, target=f"{kind}/{key}", message_id=row.id,
            correlation=row.correlation, before=work.link.fingerprint if work.link else None, after=work.fingerprint,
        )  # fmt: skip
    links.save(writing, new)
    for (epoch, kind), ids in by_kind.items():
        messages.delivered(writing, ids, epoch, kind)


def _resumed(writing: Writing, sent: Sequence[Sent], held: set[str], shut: set[str], syncs: Syncs) -> set[str]:
    """End the pauses of which a trial arrived. A person's pause is for a person to end."""
    tried = {
        it.work.row.sync
        for it in sent
        if it.work.row.sync in shut and it.work.row.lane in held and isinstance(it.outcome, Written)
    }
    if not tried:
        return set()
    own = {it.scope for it in marks.pauses(writing.connection) if it.probe_at is not None}
    for scope in sorted(tried & own):
        marks.end_pause(writing, scope, actor="probe")
        lanes.reopen(writing.connection, covered(scope, syncs), writing.now)
        writing.wakes.add("*")
    return tried & own


def _doubt_what_was_fenced(writing: Writing, it: Sent) -> None:
    """Whoever took the lane may have delivered a newer save before this one landed."""
    if not isinstance(it.work.sync, Push):
        return
    if isinstance(it.outcome, Written):
        confirming.later(writing, it.work.row, writing.now)
    elif isinstance(it.outcome, Uncertain):
        confirming.later(writing, it.work.row, writing.now + confirming.LATE)


def release(writing: Writing, leases: Sequence[Lease], syncs: Syncs, shut: Iterable[str]) -> bool:
    """Give *leases* back, and wake the carrier for what is due already. True if anything is."""
    stopped = {name for scope in shut for name in (scope, *covered(scope, syncs))}
    due = lanes.release(writing.connection, leases, stopped, writing.now)
    writing.wakes.update(due)
    return bool(due)


def are_paused(ledger: Ledger, syncs: Syncs, names: set[str]) -> bool:
    """Say whether all syncs of *names* are paused now, each by itself or with its system."""
    with ledger.read() as connection:
        shut = {name for it in marks.pauses(connection) for name in covered(it.scope, syncs)}
    return names <= shut


def _delivered(writing: Writing, changes: messages.Changes, it: Sent) -> list[Link]:
    work, row = it.work, it.work.row
    assert isinstance(it.outcome, Written)  # noqa: S101  # narrows the type; the caller has just looked
    ref = it.outcome.ref
    target_id = ref.id if isinstance(work.sync, Push) else (ref.external_id or ref.id)
    known = work.link
    how = "adopted" if it.adopted else DELIVERED
    if isinstance(work.sync, Push) and known is not None and known.target_id != target_id:
        how = "recreated"  # somebody deleted it in NetSuite: the audit must say so
    elif row.code == confirming.CODE and not it.adopted:
        how = "reasserted"  # an older save had landed after it
    warnings = "; ".join(it.outcome.warnings) or None
    changes.attempted(row, work.lease.epoch, how, detail=warnings, sent_at=work.sent_at)
    changes.set(
        row, DELIVERED, action=how, target_kind=ref.kind, target_id=str(target_id), waits_for=work.unled,
        **_notice(writing, work, how), attempts=row.attempts + 1, sent_at=work.sent_at,
        before=known.fingerprint if known else None, after=work.fingerprint or None,
    )  # fmt: skip
    if work.sync is None or row.sync == totals.SYNC:
        return []
    parts: dict[str, Any] = work.parts or (known.parts if known else {})
    if isinstance(work.sync, Pull):
        parts = {"keys": work.keys, "rows": work.rows, "parents": _parents(work), **_amounts(writing, work)}
    parts = {name: it for name, it in parts.items() if name != "dated"}
    if work.dated:
        parts["dated"] = dict(work.dated)
    shared = work.shared if work.shared is not None else known.parts.get("shared") if known else None
    if shared:
        parts = {**parts, "shared": shared}
    return [
        Link(
            row.sync,
            row.source_id,
            ref.kind,
            str(target_id),
            row.version,
            row.modified_at,
            work.fingerprint,
            work.records[0].ref.external_id,
            work.number or (known.number if known else None),
            parts,
        )
    ]


def _notice(writing: Writing, work: Work, how: str) -> dict[str, Any]:
    """Return what is told of a write that came to something else than was asked for; a new day is audited too."""
    if how == "recreated":
        return {"code": "RECREATED"}
    if not work.dated:
        return {}
    row, words = work.row, periods.sentence(work.dated)
    if work.link is None or work.link.parts.get("dated") != work.dated:
        writing.say(
            "redated", "bridge", sync=row.sync, source_id=row.source_id, message_id=row.id, correlation=row.correlation,
            code=periods.CODE, detail=words,
        )  # fmt: skip
    return {"code": periods.CODE, "reason": words, "who": "accounting"}


def _parents(work: Work) -> list[str]:
    """Return the ids of the records whose totals these rows count towards."""
    if not isinstance(work.sync, Pull) or work.sync.totals is None:
        return []
    found = (it.fields.get(work.sync.totals.parent) for it in work.records)
    return list(dict.fromkeys(str(ref.id) for ref in found if isinstance(ref, Ref)))


def _amounts(writing: Writing, work: Work) -> dict[str, Any]:
    """Return what is kept of amounts that belong to an Application; a change of one is told in the audit."""
    if not isinstance(work.sync, Pull) or work.sync.owned is None:
        return {}
    name = work.sync.owned.amount
    amounts = {str(it.ref.external_id): str(it.fields[name]) for it in work.records if it.fields.get(name) is not None}
    known = work.link.parts if work.link else {}
    for key, old in known.get("amounts", {}).items():
        if key in amounts and amounts[key] != old:
            row = work.row
            detail = f"{key}: {old} before, {amounts[key]} now"
            writing.say("amended", "bridge", sync=row.sync, source_id=row.source_id, message_id=row.id, detail=detail)
    waiting = in_suspense(work.sync, work.records)
    since = known.get("suspended_at") or writing.now
    return {"amounts": amounts, **({"suspense": waiting, "suspended_at": since} if waiting else {})}


def _balances_to_renew(work: Work) -> list[tuple[str, str]]:
    """Return the parents whose balance this write moved: those of the new rows and those the old ones had."""
    if not isinstance(work.sync, Pull) or work.sync.totals is None or work.row.sync == totals.SYNC:
        return []
    before = work.link.parts.get("parents", []) if work.link else []
    return [(work.sync.totals.parent_kind, it) for it in dict.fromkeys([*before, *_parents(work)])]


def _exchanges(sent: Iterable[Sent]) -> Iterator[tuple[int, str, str]]:
    """Yield what was asked and answered where it went wrong; what only waits its turn is no riddle."""
    for it in sent:
        if isinstance(it.outcome, Rejected | Uncertain | Misconfigured):
            asked = it.outcome.exchange
            if asked is None:
                fields = [{"record": one.ref, "fields": dict(one.fields)} for one in it.work.records]
                asked = (plain.dumps(fields), it.outcome.detail or it.outcome.code)
            yield (it.work.row.id, *asked)


def _promised(writing: Writing, sent: Sequence[Sent]) -> set[int]:
    """Return the messages whose caller gave up waiting while they were being sent: what became of them is owed."""
    asked = [it.work.row.id for it in sent if isinstance(it.work.sync, Push) and not it.work.row.write_back]
    return set(writing.connection.execute(_PROMISED, {"ids": asked}).scalars()) if asked else set()


def _failed(writing: Writing, changes: messages.Changes, work: Work, error: BridgeError) -> str | None:
    """Set what happens next. Returns the scope of a pause that this failure started."""
    row = work.row
    error = rereading.judged(writing, row, error)
    changes.attempted(row, work.lease.epoch, error.outcome, error.code, error.detail, sent_at=work.sent_at)
    about: dict[str, Any] = {
        "sent_at": work.sent_at,
        "code": error.code,
        "reason": error.message,
        "who": error.who,
        "field": error.field,
        "detail": error.detail,
    }
    attempts = row.attempts + 1
    if isinstance(error, Misconfigured):
        scope = row.sync if error.code in ONE_SYNC else "*netsuite" if isinstance(work.sync, Push) else "*salesforce"
        # It may have been uncertain before; only a look-up settles that.
        state = UNCERTAIN if work.resolve else PENDING
        changes.set(row, state, attempts=row.attempts, **about)
        return scope if marks.start_pause(writing, scope, error.code, error.message) else None
    if isinstance(error, Rejected):
        changes.set(row, REJECTED, attempts=attempts, **about)
        return None
    # Time alone does not count: a record that was paused for days has hardly been tried.
    if writing.now - row.created_at > HORIZON and attempts >= TRIES:
        what = error.message.replace("; the bridge tries again.", ".")  # it does not any more
        reason = f"{what} It was tried for {int(HORIZON.total_seconds() // 3600)} hours in vain; send it again."
        changes.set(row, DEAD, attempts=attempts, **{**about, "reason": reason, "who": "administrator"})
        return None
    if isinstance(error, Uncertain):
        due = writing.now + resolve_after(attempts)
        changes.set(row, UNCERTAIN, attempts=attempts, due_at=due, **about)
        return None
    assert isinstance(error, Deferred)  # noqa: S101  # narrows the type; there is no fifth outcome
    if error.throttled:
        due = writing.now + throttle_after(error.retry_after_s)
        state = UNCERTAIN if work.resolve else DEFERRED
        changes.set(row, state, attempts=row.attempts, due_at=due, **about)
    else:
        changes.set(row, DEFERRED, attempts=attempts, due_at=writing.now + retry_after(attempts), **about)
    return None
