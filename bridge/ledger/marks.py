"""Marks: paused syncs, occurrences of jobs, watermarks of pulls, calls already answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bridge.ledger import Writing, many
from bridge.ledger.direct import Asked, Direct
from bridge.ledger.models import call, occurrence, pause, watermark

RARE = timedelta(hours=2)  # between two runs of a job that people would miss
PROBE = timedelta(minutes=5)  # how often a paused system is asked whether it is back


def _insert(connection: Connection) -> Any:
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


# --- pauses ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pause:
    """A sync, or a whole system (``*netsuite``), that is not written to until a probe or a person resumes it."""

    scope: str
    since: datetime
    probe_at: datetime | None
    code: str
    reason: str


_PAUSES = Direct(select(pause))
_KEPT = Direct(select(pause.c.scope).order_by(pause.c.scope).with_for_update(read=True, key_share=True))


def pauses(connection: Connection) -> list[Pause]:
    """Return what is paused."""
    found = _PAUSES.rows(connection)
    return [Pause(row.scope, row.since, row.probe_at, row.code, row.reason) for row in found]


def keeping_pauses(connection: Connection) -> Asked:
    """Ask what scopes are paused; nobody ends these pauses until this transaction has ended."""
    return _KEPT.of(connection)


def start_pause(
    writing: Writing, scope: str, code: str, reason: str, *, actor: str = "bridge", probe: bool = True
) -> bool:
    """Pause *scope*; False if it was paused already: one incident, one alert."""
    statement = _insert(writing.connection)(pause).values(
        scope=scope,
        since=writing.now,
        probe_at=writing.now + PROBE if probe else None,
        code=code,
        reason=reason,
        actor=actor,
    )
    done = writing.connection.execute(
        statement.on_conflict_do_nothing(index_elements=["scope"]).returning(pause.c.scope)
    ).first()
    if done is None and not probe:
        # A person's pause takes the place of the bridge's own, which a probe would end.
        kept = {"probe_at": None, "code": code, "reason": reason, "actor": actor}
        taken = update(pause).where(pause.c.scope == scope, pause.c.probe_at.is_not(None)).values(kept)
        done = writing.connection.execute(taken.returning(pause.c.scope)).first()
    if done is not None:
        writing.say("paused", actor, sync=scope, code=code, detail=reason)
    return done is not None


def claim_probe(writing: Writing) -> list[Pause]:
    """Return the pauses whose probe is due, and move their next probe on: one instance asks, not all."""
    due = [it for it in pauses(writing.connection) if it.probe_at is not None and it.probe_at <= writing.now]
    won = []
    for it in due:
        row = writing.connection.execute(
            update(pause)
            .where(pause.c.scope == it.scope, pause.c.probe_at == it.probe_at)
            .values(probe_at=writing.now + PROBE)
            .returning(pause.c.scope)
        ).first()
        if row is not None:
            won.append(it)
    return won


def probe_now(writing: Writing) -> None:
    """Have every pause that a probe may end asked about at once: its cause may be over."""
    writing.connection.execute(update(pause).where(pause.c.probe_at.is_not(None)).values(probe_at=writing.now))


def end_pause(writing: Writing, scope: str, *, actor: str = "bridge") -> bool:
    gone = writing.connection.execute(delete(pause).where(pause.c.scope == scope).returning(pause.c.scope)).first()
    if gone is not None:
        writing.say("resumed", actor, sync=scope)
    return gone is not None


# --- occurrences and watermarks --------------------------------------------------------------------------------------


def claim(writing: Writing, job: str, scheduled_at: datetime, instance: str) -> bool:
    """Say whether this instance acts on *scheduled_at* of *job*: whoever inserts the row does."""
    statement = (
        _insert(writing.connection)(occurrence)
        .values(job=job, scheduled_at=scheduled_at, instance=instance, started_at=writing.now)
        .on_conflict_do_nothing(index_elements=["job", "scheduled_at"])
    )
    # rowcount of INSERT … ON CONFLICT DO NOTHING cannot be relied on; RETURNING can.
    return writing.connection.execute(statement.returning(occurrence.c.job)).first() is not None


def finish(writing: Writing, job: str, scheduled_at: datetime, outcome: str, report: str) -> None:
    writing.connection.execute(
        update(occurrence)
        .where(occurrence.c.job == job, occurrence.c.scheduled_at == scheduled_at)
        .values(finished_at=writing.now, outcome=outcome, report=report)
    )


def last_runs(connection: Connection) -> dict[str, Any]:
    """Return the newest occurrence of every job."""
    newest = select(occurrence.c.job, func.max(occurrence.c.scheduled_at).label("at")).group_by(occurrence.c.job)
    inner = newest.subquery()
    query = select(occurrence).join(
        inner, (occurrence.c.job == inner.c.job) & (occurrence.c.scheduled_at == inner.c.at)
    )
    return {row.job: row for row in connection.execute(query)}


def not_done(connection: Connection) -> list[Any]:
    """Return the newest occurrence of every job that does not get done.

    A job that runs often may miss two times in a row; of one that runs once a day the first miss counts.
    """
    found: list[Any] = []
    job = ""
    while True:
        # By the key from one job to the next: there are few jobs, and very many occurrences.
        name = connection.execute(select(func.min(occurrence.c.job)).where(occurrence.c.job > job)).scalar()
        if name is None:
            return found
        job = str(name)
        query = select(occurrence).where(occurrence.c.job == job, occurrence.c.outcome.is_not(None))
        rows = connection.execute(query.order_by(occurrence.c.scheduled_at.desc()).limit(3)).all()
        failed = [row for row in rows if row.outcome != "done"]
        if not rows or rows[0].outcome == "done":
            continue
        is_rare = len(rows) > 1 and rows[0].scheduled_at - rows[1].scheduled_at > RARE
        if len(failed) == 3 or is_rare:
            found.append(rows[0])


_WATERMARK = Direct(select(watermark.c.until).where(watermark.c.job == bindparam("job")))


def read_watermark(connection: Connection, job: str) -> datetime | None:
    found = _WATERMARK.first(connection, job=job)
    return found.until if found else None


def move_watermark(writing: Writing, job: str, until: datetime, *, actor: str = "bridge") -> None:
    """Set the end of the last window of *job*. Rewinding is always safe: writes are upserts, versions decide."""
    statement = _insert(writing.connection)(watermark).values(job=job, until=until, updated_at=writing.now)
    writing.connection.execute(
        statement.on_conflict_do_update(
            index_elements=["job"], set_={"until": statement.excluded.until, "updated_at": writing.now}
        )
    )
    writing.say("watermark", actor, sync=job, detail=until.isoformat())


def forget_watermark(writing: Writing, job: str) -> None:
    writing.connection.execute(delete(watermark).where(watermark.c.job == job))


# --- calls -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """A callout. What became of its records stands in the ledger, and answers a repetition."""

    org: str
    id: str
    body_hash: str
    correlation: str


_CALL = ("org", "id", "body_hash", "correlation")
_CALLS = Direct(select(call).where(many.among(call.c.org, "orgs"), many.among(call.c.id, "ids")))


def open_calls(writing: Writing, new: Sequence[Seen]) -> dict[tuple[str, str], Seen]:
    """Remember callouts; return by (org, id) who came first: the given one itself, or an earlier one of the same id."""
    return first_calls(writing, new, opening_calls(writing, new).alone(writing.connection))


def opening_calls(writing: Writing, new: Sequence[Seen]) -> Asked:
    """Ask that callouts be remembered; what it finds is for `first_calls`."""
    connection = writing.connection
    # In one order, or two transactions with the same calls would wait for each other.
    rows = sorted((it.org, it.id, it.body_hash, it.correlation) for it in new)
    once = "ON CONFLICT (org, id) DO NOTHING"
    if connection.dialect.name == "postgresql":
        once += " RETURNING org"
    return many.inserting(connection, call, _CALL, rows, {"received_at": writing.now}, once)


def first_calls(writing: Writing, new: Sequence[Seen], opened: Sequence[Any]) -> dict[tuple[str, str], Seen]:
    """Return who came first of callouts that were remembered, as `open_calls` does."""
    if len(opened) == len(new):
        return {(it.org, it.id): it for it in new}
    found = _CALLS.rows(writing.connection, orgs={it.org for it in new}, ids=[it.id for it in new])
    return {(row.org, row.id): Seen(row.org, row.id, row.body_hash, row.correlation) for row in found}


def knows_call(connection: Connection, org: str, call_id: str) -> bool:
    """Say whether a callout was accepted."""
    return connection.execute(select(call.c.id).where(call.c.org == org, call.c.id == call_id)).first() is not None
