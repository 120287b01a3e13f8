"""NetSuite's concurrency limit as leased rows: one row, one call in flight, over all instances together.

A process keeps the rows it has leased for a while, so that a call costs no transaction. While another instance wants
one, rows that it does not need go back, and of those in use one a second, as long as it holds more than one. Row 0 is
kept for interactive saves: bulk work can never take it. After a throttle fault a row rests, which makes all instances
together slower by one call.

Must not know: NetSuite's protocol.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from bridge.errors import Deferred
from bridge.ledger import Ledger
from bridge.ledger.models import slot

LOG = logging.getLogger("bridge.slots")
# NetSuite goes on with the calls of a process that was killed, and its limit counts them. So its rows must not be free
# before the longest list call has ended (50 entities take 13 s), and nothing sooner tells that it is dead.
LEASE = timedelta(seconds=20)
RENEW_S = 5.0
IDLE_S = 1.0  # an idle row goes back after this, when another instance wants it
REST_S = 20.0  # how long a row rests after a throttle fault
LOOK_S = 0.1  # how often a waiting caller looks for a row that another instance gave back


class LeasedSlots:
    """Implements `bridge.ports.Slots` on the ledger's ``slot`` rows."""

    def __init__(self, ledger: Ledger, owner: str, limit: int, *, wait_s: float = 60.0) -> None:
        self._ledger, self.limit, self._wait_s = ledger, limit, wait_s
        # Two instances of one name would take each other's rows for their own.
        self._owner = f"{owner[:40]}-{uuid.uuid4().hex[:12]}"
        self._ready = threading.Condition()
        self._idle: dict[int, float] = {}  # leased by us, not in use: since when
        self._busy: set[int] = set()
        self._resting: dict[int, float] = {}
        self._lost: set[int] = set()  # in use, but no longer ours: not to be used again
        self._to_rest = 0
        self._owed: int | None = None  # the next row from this one on that becomes free goes to another instance
        self._asked = {True: 0.0, False: 0.0}  # of saves and of bulk work
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="slots", daemon=True)

    def start(self) -> None:
        """Make the rows of this limit exist, and begin to renew what we hold."""
        with self._ledger.write() as writing:
            insert = sqlite.insert if self._ledger.is_sqlite else postgresql.insert
            rows = insert(slot).on_conflict_do_nothing(index_elements=["n"])
            writing.connection.execute(rows, [{"n": n} for n in range(self.limit)])
            writing.connection.execute(delete(slot).where(slot.c.n >= self.limit))
        self._keeper.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._keeper.ident is not None:
            self._keeper.join(5)
        self._give_back(list(self._idle) + list(self._resting))

    @property
    def busy(self) -> int:
        """How many calls of this process are in flight."""
        return len(self._busy)

    @contextmanager
    def lease(self, *, interactive: bool, unless: Callable[[], bool] | None = None) -> Iterator[bool]:
        """Hold one slot, or none (False) when *unless* came true while waiting. Raises ``Deferred(throttled=True)``."""
        n = self._take(interactive, unless)
        if n is None:
            yield False
            return
        try:
            yield True
        finally:
            if self._is_owed_after(n):
                self._pay(n)

    def _is_owed_after(self, n: int) -> bool:
        """Put row *n* where it belongs after its call, or say that another instance is to have it."""
        with self._ready:
            self._busy.discard(n)
            if n in self._lost:
                self._lost.discard(n)
            elif self._to_rest and n > 0:  # row 0 is the one that is always there for a person
                self._to_rest -= 1
                self._resting[n] = time.monotonic() + REST_S
            elif self._owed is not None and n >= self._owed:
                self._owed = None
                return True
            else:
                self._idle[n] = time.monotonic()
                # Whoever waits may not be allowed to take row 0.
                self._ready.notify_all() if n == 0 else self._ready.notify()
        return False

    def _pay(self, n: int) -> None:
        try:
            self._free([n])
        except SQLAlchemyError:  # the call that was made in it went well or not all the same
            LOG.exception("A slot could not be given back; it is free again when its lease ends.")

    def throttled(self) -> None:
        """Let one row rest, but never so many that bulk and interactive work have not one each."""
        with self._ready:
            if len(self._resting) + self._to_rest + 2 < self.limit:
                self._to_rest += 1

    @property
    def _lowest(self) -> int:
        """The first row that bulk work may take."""
        return min(1, self.limit - 1)

    def _allowed(self, n: int, interactive: bool) -> bool:
        return interactive or n >= self._lowest

    def _take(self, interactive: bool, unless: Callable[[], bool] | None) -> int | None:
        end = time.monotonic() + self._wait_s
        while True:
            if unless is not None and unless():
                with self._ready:
                    self._ready.notify()  # the bell for a free row may have rung for us, who no longer need one
                return None
            with self._ready:
                # The reserved row last, even for the interactive: it is the one that is always there for the next.
                usable = sorted((n for n in self._idle if self._allowed(n, interactive)), reverse=True)
                if usable:
                    self._busy.add(usable[0])
                    del self._idle[usable[0]]
                    return usable[0]
                # Bulk work that looks in vain must not keep a save from looking.
                may_ask = time.monotonic() - self._asked[interactive] >= LOOK_S or not self._busy
                if may_ask:
                    self._asked[interactive] = time.monotonic()
            if may_ask and self._lease_more(interactive):
                continue
            left = end - time.monotonic()
            if left <= 0:
                raise Deferred("NetSuite is busy with other calls.", code="NO_FREE_SLOT", throttled=True)
            with self._ready:
                if not any(self._allowed(n, interactive) for n in self._idle):
                    self._ready.wait(min(LOOK_S, left))

    def _lease_more(self, interactive: bool) -> bool:
        """Lease another row, or say that one is wanted: the kept one by a save, any other by bulk work."""
        lowest = 0 if interactive else self._lowest
        with self._ready:
            mine = [n for n in (*self._idle, *self._busy, *self._resting) if n >= lowest]
        if len(mine) >= self.limit - lowest:
            return False
        with self._ledger.write() as writing:
            free = and_(or_(slot.c.lease_until.is_(None), slot.c.lease_until <= writing.now), slot.c.n < self.limit)
            first = select(slot.c.n).where(free, slot.c.n >= lowest).order_by(slot.c.n.desc()).limit(1)
            if not self._ledger.is_sqlite:
                first = first.with_for_update(skip_locked=True)
            n = writing.connection.execute(first).scalar()
            if n is None:
                soon = writing.now + timedelta(seconds=2)
                writing.connection.execute(update(slot).values(wanted_until=soon).where(slot.c.n == lowest))
                return False
            values = {"owner": self._owner, "lease_until": writing.now + LEASE}
            writing.connection.execute(update(slot).where(slot.c.n == n).values(values))
        with self._ready:
            self._idle[n] = time.monotonic()
            self._ready.notify()
        return True

    def _keep(self) -> None:
        renewed = time.monotonic()
        while not self._stopping.wait(IDLE_S):
            now = time.monotonic()
            with self._ready:
                for n in [n for n, until in self._resting.items() if until <= now]:
                    del self._resting[n]
                    self._idle[n] = now
                    self._ready.notify()
                holding = bool(self._idle or self._busy or self._resting)
            if not holding:
                continue
            try:
                if now - renewed >= RENEW_S:
                    self._renew()
                    renewed = now
                self._return_idle(now)
            except SQLAlchemyError:
                # The rows must go on being renewed once the database is back: without it they would be used unleased.
                LOG.exception("The slots could not be renewed; the next try is in a second.")

    def _renew(self) -> None:
        """Renew our rows, and forget those that others took while this process was stopped.

        A row of ours that we do not know of, because the answer to a commit was lost, is free when its lease ends.
        """
        with self._ready:
            held = {*self._idle, *self._resting, *self._busy}
        with self._ledger.write() as writing:
            kept = set(
                writing.connection.execute(
                    update(slot)
                    .where(slot.c.owner == self._owner, slot.c.n.in_(held))
                    .values(lease_until=writing.now + LEASE)
                    .returning(slot.c.n)
                ).scalars()
            )
        with self._ready:
            for n in held - kept:
                self._idle.pop(n, None)
                self._resting.pop(n, None)
                if n in self._busy:
                    self._lost.add(n)

    def _return_idle(self, now: float) -> None:
        """Give back what is not needed; where all are, the next one that another instance wants."""
        with self._ready:
            old = {n: now - since for n, since in self._idle.items() if now - since >= IDLE_S}
            may_owe = bool(self._busy) and len(self._idle) + len(self._busy) > 1
            self._owed = None
        if not old and not may_owe:
            return
        with self._ledger.read() as connection:
            moment = self._ledger.now(connection)
            wanted = connection.execute(select(func.min(slot.c.n)).where(slot.c.wanted_until > moment)).scalar()
        going = [
            n for n, idle_s in old.items() if idle_s >= LEASE.total_seconds() or (wanted is not None and n >= wanted)
        ]
        self._give_back(going)
        with self._ready:
            self._owed = wanted if may_owe and not going else None

    def _give_back(self, rows: list[int]) -> None:
        with self._ready:
            going = [n for n in rows if self._idle.pop(n, None) is not None or self._resting.pop(n, None) is not None]
        if going:
            self._free(going)

    def _free(self, rows: list[int]) -> None:
        with self._ledger.write() as writing:
            writing.connection.execute(
                update(slot).where(slot.c.n.in_(rows), slot.c.owner == self._owner).values(owner=None, lease_until=None)
            )
