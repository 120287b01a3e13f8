"""What people look at: messages by state, one message with all that happened to it, lag and latency.

Read only; lists and searches are `bridge.ledger.finding`.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, exists, func, or_, select

from bridge.ledger import finding, marks
from bridge.ledger.models import (
    DEAD,
    DELIVERED,
    OPEN,
    REJECTED,
    SETTLED,
    attempt,
    audit,
    lane,
    link,
    message,
    slot,
)

STATES = (*OPEN, *SETTLED)
NEWEST = 50_000  # messages that are looked through for what no index finds
LANES = 200  # that are looked at for the oldest work
SAMPLE = 500  # the newest deliveries, from which latency is taken


@dataclass(frozen=True, slots=True)
class Overview:
    """The house at a glance. *lag* is the age of the oldest open message; latencies are from save to NetSuite."""

    states: dict[str, int]
    lag: timedelta | None
    latency: dict[str, tuple[float, float]]  # sync → (p50, p95) in seconds
    late: int
    pauses: list[marks.Pause]


@dataclass(frozen=True, slots=True)
class History:
    """One message with its attempts, its audit rows, its links and the other messages of its record."""

    row: Row[Any]
    attempts: list[Row[Any]] = field(default_factory=list)
    audit: list[Row[Any]] = field(default_factory=list)
    links: list[Row[Any]] = field(default_factory=list)
    others: list[Row[Any]] = field(default_factory=list)


def overview(connection: Connection, now: datetime) -> Overview:
    """Return the figures; each state is counted up to `finding.COUNTED` and one, and nothing looks through history."""
    oldest = _oldest_open(connection)
    return Overview(
        {state: number for state, number in finding.counts(connection, STATES).items() if number},
        now - oldest if oldest else None,
        latency(connection),
        came_late(connection, now - timedelta(days=1)),
        marks.pauses(connection),
    )


def _oldest_open(connection: Connection) -> datetime | None:
    """Return when the first of the open messages came; of each state the one with the lowest number is looked at."""
    found: list[datetime] = []
    for state in OPEN:
        query = select(message.c.created_at).where(
            message.c.state == state, message.c.queue.is_not(None), message.c.sync.not_like("confirm:%")
        )
        found += connection.execute(query.order_by(message.c.id).limit(1)).scalars()
    return min(found, default=None)


def latency(connection: Connection) -> dict[str, tuple[float, float]]:
    """Return p50 and p95 in seconds from the save (its stamp) to the confirmed write, for each sync."""
    lowest = select(func.coalesce(func.max(message.c.id), 0) - NEWEST).scalar_subquery()
    newest = (
        select(message.c.sync, message.c.modified_at, message.c.settled_at)
        .where(message.c.state == DELIVERED, message.c.id > lowest, message.c.origin == "callout")
        .order_by(message.c.id.desc())
        .limit(SAMPLE)
    )
    taken: dict[str, list[float]] = {}
    for sync, saved, settled in connection.execute(newest):
        if settled is not None:
            taken.setdefault(sync, []).append(max(0.0, (settled - saved).total_seconds()))
    return {
        sync: (statistics.median(values), sorted(values)[min(len(values) - 1, int(len(values) * 0.95))])
        for sync, values in sorted(taken.items())
    }


def history(connection: Connection, message_id: int) -> History | None:
    row = connection.execute(select(message).where(message.c.id == message_id)).first()
    if row is None:
        return None
    same = message.c.source_id == row.source_id
    return History(
        row,
        list(connection.execute(select(attempt).where(attempt.c.message_id == message_id).order_by(attempt.c.id))),
        list(
            connection.execute(
                select(audit).where(audit.c.message_id == message_id).order_by(audit.c.at, audit.c.chain, audit.c.seq)
            )
        ),
        list(connection.execute(select(link).where(link.c.source_id == row.source_id).order_by(link.c.sync))),
        list(
            connection.execute(
                select(message).where(same, message.c.id != message_id).order_by(message.c.id.desc()).limit(20)
            )
        ),
    )


def errors(connection: Connection) -> list[Row[Any]]:
    """Return what needs a person, grouped by cause: code, who, a sentence, how many, since when."""
    query = (
        select(
            message.c.code,
            message.c.who,
            func.max(message.c.reason).label("reason"),
            func.count().label("count"),
            func.min(message.c.created_at).label("since"),
            func.max(message.c.id).label("newest"),
        )
        .where(message.c.state.in_((REJECTED, DEAD)))
        .group_by(message.c.code, message.c.who)
        .order_by(func.count().desc())
    )
    return list(connection.execute(query))


def waiting_since(connection: Connection, now: datetime) -> datetime | None:
    """Return since when the oldest message waits that could be sent now, were anybody quick enough.

    Looks at the lanes that have been due for longest.
    """
    longest = select(lane.c.key).where(lane.c.due_at <= now).order_by(lane.c.due_at).limit(LANES)
    due = list(connection.execute(longest).scalars())
    if not due:
        return None
    query = select(func.min(message.c.created_at)).where(
        message.c.queue.in_(due), or_(message.c.due_at.is_(None), message.c.due_at <= now)
    )
    found: datetime | None = connection.execute(query).scalar()
    return found


def last_call(connection: Connection) -> datetime | None:
    """Return when Salesforce last called; None if it never did."""
    query = select(message.c.created_at).where(message.c.origin == "callout").order_by(message.c.id.desc()).limit(1)
    found: datetime | None = connection.execute(query).scalar()
    return found


def came_late(connection: Connection, since: datetime) -> int:
    """Return how many changed records the sweep found since then that no callout told of, among the newest.

    A call that was on its way while the sweep looked brought the same again, and the audit says so.
    """
    newest = select(func.coalesce(func.max(message.c.id), 0) - NEWEST).scalar_subquery()
    told = exists().where(
        audit.c.source_id == message.c.source_id,
        audit.c.sync == message.c.sync,
        audit.c.action == "repeated",
        audit.c.at >= message.c.created_at,
    )
    swept = select(message.c.source_id, message.c.version, message.c.modified_at).where(
        message.c.id > newest, message.c.origin == "sweep", message.c.created_at > since, ~told
    )
    return int(connection.execute(select(func.count()).select_from(swept.distinct().subquery())).scalar_one())


def money_waiting(connection: Connection, syncs: Sequence[str]) -> datetime | None:
    """Return since when the oldest message of *syncs* (those that carry money) is not where it belongs."""
    oldest = finding.oldest_waiting(connection, syncs)
    return None if oldest is None else oldest.created_at


def outcomes(connection: Connection, since: datetime) -> dict[tuple[str, str], int]:
    """Return how many attempts ended how since then: (outcome, code) → number."""
    query = (
        select(attempt.c.outcome, attempt.c.code, func.count().label("number"))
        .where(attempt.c.finished_at >= since)
        .group_by(attempt.c.outcome, attempt.c.code)
    )
    return {(row.outcome or "", row.code or ""): row.number for row in connection.execute(query)}


def slots(connection: Connection, now: datetime) -> tuple[int, int]:
    """Return how many of NetSuite's slots are taken, and how many there are, over all instances."""
    found = connection.execute(select(slot.c.lease_until)).scalars().all()
    return sum(it is not None and it > now for it in found), len(found)


def due_lanes(connection: Connection, now: datetime) -> int:
    """Return how many lanes have work that could be done now."""
    return int(connection.execute(select(func.count()).where(lane.c.due_at <= now)).scalar_one())
