"""Lanes: who may deliver for an Account now. A lease with a fencing epoch; the lease is the only mutex.

`lease` takes free lanes, `renew` before every call, `release` with what is due next. A holder whose epoch is no longer
the lane's has been overtaken, and nothing it learned may be recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, not_, or_, select, update

from bridge.ledger import many
from bridge.ledger.direct import Asked, Direct
from bridge.ledger.models import lane, message

LEASE = timedelta(minutes=4)  # longer than the wait for a slot and the longest call (60 + 120 s) with a margin

_FREE = or_(lane.c.lease_until.is_(None), lane.c.lease_until <= bindparam("now"))
_NAMED = select(lane.c.key).where(many.among(lane.c.key, "keys"), _FREE).order_by(lane.c.key)
_DUE = (
    select(lane.c.key)
    .where(lane.c.due_at <= bindparam("now"), _FREE)
    .order_by(lane.c.priority, lane.c.due_at)
    .limit(bindparam("most"))
)
_COUNT = select(func.count()).select_from(
    select(lane.c.key).where(lane.c.due_at <= bindparam("now"), _FREE).limit(bindparam("most")).subquery()
)
_RENEW = Direct(
    update(lane).where(lane.c.key == bindparam("k"), lane.c.epoch == bindparam("e")).values(lease_until=bindparam("u"))
)
_RELEASE = Direct(
    update(lane)
    .where(lane.c.key == bindparam("k"), lane.c.epoch == bindparam("e"))
    .values(owner=None, lease_until=None, due_at=bindparam("d"), priority=bindparam("p"))
)
_MINE = Direct(
    select(lane.c.key, lane.c.epoch).where(many.among(lane.c.key, "keys")).order_by(lane.c.key).with_for_update()
)


_NEXT = Direct(
    select(
        message.c.queue,
        func.min(func.coalesce(message.c.due_at, message.c.created_at)).label("at"),
        func.min(message.c.priority).label("priority"),
    )
    .where(many.among(message.c.queue, "keys"), not_(many.among(message.c.sync, "shut")))
    .group_by(message.c.queue)
)


@cache
def _take(dialect: str, *, named: bool) -> Direct:
    free = _NAMED if named else _DUE
    if dialect == "postgresql":
        free = free.with_for_update(skip_locked=True)
    chosen = free.cte("free")
    return Direct(
        update(lane)
        .where(lane.c.key.in_(select(chosen.c.key)))
        .values(owner=bindparam("o"), epoch=lane.c.epoch + 1, lease_until=bindparam("u"))
        .returning(lane.c.key, lane.c.epoch)
    )


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to deliver lane *key*, as long as its epoch is still *epoch*."""

    key: str
    epoch: int


_SOONER = """ON CONFLICT (key) DO UPDATE SET
    due_at = CASE WHEN lane.due_at IS NULL OR lane.due_at > excluded.due_at THEN excluded.due_at ELSE lane.due_at END,
    priority = CASE WHEN lane.due_at IS NULL OR lane.priority > excluded.priority
        THEN excluded.priority ELSE lane.priority END"""


def wake(connection: Connection, due: Mapping[str, tuple[datetime | None, int]]) -> None:
    """Say that lanes have work from a moment on, creating them if need be. *due*: key → (moment, priority).

    Without a moment they have work that is paused.
    """
    if due:
        waking(connection, due).alone(connection)


def waking(connection: Connection, due: Mapping[str, tuple[datetime | None, int]]) -> Asked:
    """Ask for what `wake` does."""
    rows = [(key, at, priority) for key, (at, priority) in sorted(due.items())]
    return many.inserting(connection, lane, ("key", "due_at", "priority"), rows, {"epoch": 0}, _SOONER)


def lease(
    connection: Connection, owner: str, now: datetime, *, keys: Sequence[str] | None = None, most: int = 1
) -> list[Lease]:
    """Lease the lanes *keys* that are free, or up to *most* that are due. Locks are taken in sorted order of keys."""
    if keys is not None and not keys:
        return []
    wanted: dict[str, Any] = {"most": most} if keys is None else {"keys": sorted(keys)}
    statement = _take(connection.dialect.name, named=keys is not None)
    found = statement.rows(connection, **wanted, now=now, o=owner, u=now + LEASE)
    return sorted((Lease(key, epoch) for key, epoch in found), key=lambda it: it.key)


def count_due(connection: Connection, now: datetime, most: int) -> int:
    """Count the free lanes that have work now, up to *most*: a look that needs no write transaction."""
    return int(connection.execute(_COUNT, {"now": now, "most": most}).scalar_one())


def still_held(connection: Connection, leases: Iterable[Lease]) -> set[str]:
    """Return the keys of *leases* that nobody has taken over, and keep them so until this transaction ends."""
    held = {it.key: it.epoch for it in leases}
    return {row.key for row in _MINE.rows(connection, keys=sorted(held)) if row.epoch == held[row.key]}


def renew(connection: Connection, leases: Sequence[Lease], now: datetime) -> None:
    """Extend *leases*: before every call, so that a lease outlives the call it covers."""
    _RENEW.change(connection, [{"k": it.key, "e": it.epoch, "u": now + LEASE} for it in leases])


def release(connection: Connection, leases: Sequence[Lease], shut: Iterable[str], now: datetime) -> dict[str, datetime]:
    """Give *leases* back, each with the moment at which its next open message is due. *shut* are paused syncs.

    Returns the lanes that are due already.
    """
    if not leases:
        return {}
    found = _NEXT.rows(connection, keys=[it.key for it in leases], shut=list(shut))
    due = {key: (at, priority) for key, at, priority in found}
    rows = [
        {"k": it.key, "e": it.epoch, "d": due.get(it.key, (None, 0))[0], "p": due.get(it.key, (None, 0))[1]}
        for it in leases
    ]
    _RELEASE.change(connection, rows)
    return {key: at for key, (at, _) in due.items() if at is not None and at <= now}


def reopen(connection: Connection, syncs: Sequence[str], now: datetime) -> int:
    """Make every lane due that holds open messages of *syncs*: their pause is over."""
    keys = select(message.c.queue).where(message.c.queue.is_not(None), message.c.sync.in_(syncs)).distinct()
    return connection.execute(update(lane).where(and_(lane.c.key.in_(keys))).values(due_at=now)).rowcount
