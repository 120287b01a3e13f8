"""Bulk jobs of Salesforce that may still write: kept before they start, for they go on when their process ends.

`Kept` is where the adapter tells of them. Whoever leases a lane of pulled records asks for `left`: nothing newer may be
written there before what was left running has ended.

Must not know: any system.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, and_, bindparam, delete, insert, or_, select, update

from bridge.errors import Deferred
from bridge.ledger import Ledger, Writing, lanes, messages
from bridge.ledger.lanes import Lease
from bridge.ledger.models import bulk_job, lane

AGAIN = timedelta(seconds=10)  # until a job that was left running is asked about once more

_IN = select(bulk_job).where(bulk_job.c.lane.in_(bindparam("keys", expanding=True)))
# Somebody who still holds the lane looks after the jobs that were started under that lease.
_LEFT = _IN.join(lane, lane.c.key == bulk_job.c.lane).where(
    or_(lane.c.epoch != bulk_job.c.epoch, lane.c.lease_until.is_(None), lane.c.lease_until <= bindparam("now"))
)


@dataclass(frozen=True, slots=True)
class Left:
    """A bulk job that was started under a lease of *lane*."""

    id: str
    lane: str
    started_at: datetime


class Kept:
    """Keeps the jobs that are started under *leases*."""

    def __init__(self, ledger: Ledger, leases: Sequence[Lease]) -> None:
        self._ledger, self._leases = ledger, leases

    def started(self, job_id: str) -> None:
        """Remember a job that is about to start. Raises Deferred where others took over one of the lanes."""
        self._ledger.commit(partial(self._start, job_id))

    def ended(self, job_id: str) -> None:
        """Forget a job that writes nothing any more."""
        self._ledger.commit(lambda writing: forget(writing, [job_id]))

    def _start(self, job_id: str, writing: Writing) -> None:
        if len(lanes.still_held(writing.connection, self._leases)) < len(self._leases):
            raise Deferred("Other hands took over one of its lanes before it was sent.", code="OVERTAKEN")
        rows = [{"job_id": job_id, "lane": it.key, "epoch": it.epoch, "started_at": writing.now} for it in self._leases]
        writing.connection.execute(insert(bulk_job), rows)


def forget(writing: Writing, job_ids: Sequence[str]) -> None:
    """Forget jobs that write nothing any more."""
    writing.connection.execute(delete(bulk_job).where(bulk_job.c.job_id.in_(job_ids)))


def left(connection: Connection, key: str, now: datetime) -> list[Left]:
    """Return the jobs of lane *key* that nobody looks after any more."""
    found = connection.execute(_LEFT, {"keys": [key], "now": now})
    return [Left(row.job_id, row.lane, row.started_at) for row in found]


def any_in(connection: Connection, key: str) -> bool:
    """Say whether a job that was started in lane *key* may still write."""
    return connection.execute(_IN.limit(1), {"keys": [key]}).first() is not None


def put_off(writing: Writing, leases: Sequence[Lease], pulls: Container[str]) -> tuple[list[Lease], list[Left]]:
    """Give back those of *leases*, taken just now, in which a job may still write; return the others, and the jobs.

    Only in lanes of *pulls* there ever is one.
    """
    keys = [it.key for it in leases if it.key in pulls]
    rows = writing.connection.execute(_IN, {"keys": keys}).all() if keys else []
    busy = {row.lane for row in rows}
    for it in leases:
        if it.key in busy:
            mine = and_(lane.c.key == it.key, lane.c.epoch == it.epoch)
            free = {"owner": None, "lease_until": None, "due_at": writing.now + AGAIN}
            writing.connection.execute(update(lane).where(mine).values(free))
    return [it for it in leases if it.key not in busy], [Left(row.job_id, row.lane, row.started_at) for row in rows]


def freed(jobs: Sequence[Left], writing: Writing) -> None:
    """Forget *jobs*, which have ended, and have their lanes looked at now."""
    forget(writing, [it.id for it in jobs])
    messages.wake(writing, {it.lane: (writing.now, messages.BULK) for it in jobs})
