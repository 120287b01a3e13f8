"""How much waits, sync by sync, how quickly it is done, and when it will be done at that pace.

`reckon` looks at the messages; the job ``tally`` does so every minute and has it kept. `read` gives what was kept, so
that pages and metrics count nothing. The pace is what left a queue within the last minutes with a call: delivered, or
put on a person's desk. What is settled without one (nothing new, overtaken by a newer save) ends the waiting sooner.

Must not know: any system, HTTP.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, insert, or_, select

from bridge.ledger import Writing
from bridge.ledger.desk_models import backlog
from bridge.ledger.models import OPEN, attempt, message

WINDOW = timedelta(minutes=5)
SHORTEST = timedelta(seconds=30)  # over which a pace is told
STALLED = timedelta(minutes=2)  # without anything done: then nobody knows how long the rest takes
FEWEST = 10  # done, from which on it is a pace and no accident
LOOKED_AT = 20_000  # attempts, the newest, of which the pace is taken
COUNTED = 200_000  # messages; beyond them it is "more than"
PUT_OFF = timedelta(minutes=5)  # what is due later than that waits for its time, not for its turn
KEPT = timedelta(minutes=5)  # what was reckoned longer ago is not shown
ENDED = ("delivered", "adopted", "recreated", "reasserted", "rejected")


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits of one sync. *done* left the queue within the *within* before *at*; a pace only where it is one."""

    sync: str
    waiting: int
    done: int
    within: timedelta
    at: datetime

    @property
    def pace_s(self) -> float | None:
        """Return how many are done in a second; None where that is not known."""
        if self.done < FEWEST or not self.within:
            return None
        return self.done / max(self.within, SHORTEST).total_seconds()

    @property
    def left(self) -> timedelta | None:
        """Return how long the rest takes at this pace; None where it is not known."""
        return None if self.pace_s is None or not self.waiting else timedelta(seconds=self.waiting / self.pace_s)


def reckon(connection: Connection, now: datetime, shut: Container[str] = ()) -> list[Backlog]:
    """Return what waits of each sync, most first. Of the syncs *shut*, which are paused, no pace is told.

    Looks through what is open: for a job or a command, not for a page.
    """
    waiting = _waiting(connection, now)
    done = _done(connection, now)
    found = []
    for sync in waiting.keys() | done.keys():
        number, first, last = done.get(sync, (0, now, now))
        is_known = sync not in shut and now - last <= STALLED
        found.append(Backlog(sync, waiting[sync], number if is_known else 0, now - first, now))
    return sorted(found, key=lambda it: (-it.waiting, it.sync))


def _waiting(connection: Connection, now: datetime) -> Counter[str]:
    counted: Counter[str] = Counter()
    left = COUNTED
    for state in OPEN:
        part = select(message.c.sync).where(message.c.state == state, message.c.sync.not_like("confirm:%"))
        # Deferred until later: a retry by the hour, say. What waits for another record goes when that arrives.
        is_due = or_(message.c.due_at.is_(None), message.c.due_at <= now + PUT_OFF, message.c.waits_for.is_not(None))
        some = part.where(is_due).limit(left).subquery()
        for sync, number in connection.execute(select(some.c.sync, func.count()).group_by(some.c.sync)):
            counted[sync] += number
            left -= number
        if left <= 0:
            break
    return counted


def _done(connection: Connection, now: datetime) -> dict[str, tuple[int, datetime, datetime]]:
    """Return, of each sync, how many were done lately, and when the first and the last of them."""
    newest = (
        select(attempt.c.message_id, attempt.c.finished_at)
        .where(attempt.c.finished_at > now - WINDOW, attempt.c.outcome.in_(ENDED))
        .order_by(attempt.c.finished_at.desc())
        .limit(LOOKED_AT)
        .subquery()
    )
    query = (
        select(message.c.sync, func.count(), func.min(newest.c.finished_at), func.max(newest.c.finished_at))
        .join(newest, newest.c.message_id == message.c.id)
        .group_by(message.c.sync)
    )
    return {sync: (number, first, last) for sync, number, first, last in connection.execute(query)}


def keep(writing: Writing, found: Iterable[Backlog]) -> None:
    """Keep what was reckoned, in place of what was kept before. To reckon it here would hold up every save."""
    rows = [
        {"sync": it.sync, "waiting": it.waiting, "done": it.done, "at": it.at,
         "within_s": round(it.within.total_seconds())}
        for it in found
        if it.waiting
    ]  # fmt: skip
    writing.connection.execute(delete(backlog))
    if rows:
        writing.connection.execute(insert(backlog), rows)


def read(connection: Connection, now: datetime) -> list[Backlog]:
    """Return what was kept last, most first; nothing where that is too long ago."""
    query = select(backlog).where(backlog.c.at > now - KEPT).order_by(backlog.c.waiting.desc(), backlog.c.sync)
    return [
        Backlog(row.sync, row.waiting, row.done, timedelta(seconds=row.within_s), row.at)
        for row in connection.execute(query)
    ]
