"""The engine: receive · deliver · settle. Two ways in, one way across.

`receive` stores changes durably; `deliver` takes free lanes and carries their messages over; `settle` does that while a
caller waits. `deliver` runs in Apex's request, in the pool and in a worker: the lane's lease is the only mutex.

Must not know: SOAP, HTTP, Flask.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from sqlalchemy import select, update

from bridge import unfinished
from bridge.alerts import Alert, log
from bridge.errors import Uncertain
from bridge.failpoints import reached
from bridge.ledger import Ledger, Writing, bulk_jobs, lanes
from bridge.ledger.keeping import Keeper
from bridge.ledger.lanes import Lease
from bridge.ledger.models import OPEN, message
from bridge.mapping import Syncs
from bridge.mapping.tables import version
from bridge.parents import fetch, look
from bridge.ports import CountedSystem, MirrorSystem, Received
from bridge.preparing import prepare, write_back
from bridge.receiving import accept
from bridge.recording import Recorded, are_paused, record, release
from bridge.sending import Sent, send
from bridge.standing import Standing, is_open, standing
from bridge.work import Prepared

LOG = logging.getLogger("bridge.delivery")
FEWEST = 12  # lanes that one of several hands takes: with all six records of each they fill two lists


class Delivery:
    """Carries changes from one system to the other, by way of the ledger."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        syncs: Syncs,
        netsuite: CountedSystem,
        salesforce: MirrorSystem,
        alert: Alert = log,
        stopping: threading.Event | None = None,
    ) -> None:
        self.ledger, self.netsuite, self.salesforce = ledger, netsuite, salesforce
        self.syncs, ledger.mapping = syncs, version(syncs)
        self.owner, self.alert, self.stopping = uuid.uuid4().hex[:12], alert, stopping or threading.Event()
        self.trials: set[str] = set()  # paused syncs of which a message may be sent, to see whether they are back
        self._settled = threading.Condition()

    def receive(self, received: Sequence[Received], *, origin: str, correlation: str) -> list[int]:
        """Store what arrived, and return the ids of the new messages: durable before anybody is told."""
        return self.ledger.commit(
            lambda writing: accept(writing, self.syncs, received, origin=origin, correlation=correlation)
        )

    def deliver(
        self,
        keys: Sequence[str] | None = None,
        *,
        most: int = 1,
        hands: int = 1,
        interactive: bool = False,
        until: float | None = None,
        accept: Callable[[Writing], Sequence[str]] | None = None,
    ) -> int:
        """Carry over what is due in the lanes *keys*, or in up to *most* due lanes, and return how many were sent.

        Goes on until nothing is due there or *until* (``time.monotonic``) has passed. Safe to call from anywhere at
        any time: a lane that somebody else holds is left to them. *accept* stores what has just arrived in the first
        transaction and names its lanes: durable before anything is sent, with one commit for both.
        One of several *hands* takes its part of what is due, so that all have work.
        """
        count, more = 0, True
        # Whoever brings something is never too late to have it stored.
        while accept is not None or (more and (until is None or time.monotonic() < until)):
            due = taking = most
            if keys is None and accept is None:
                with self.ledger.read() as connection:
                    now = self.ledger.now(connection)
                    due = 0 if self.ledger.is_apart(now) else lanes.count_due(connection, now, most * hands)
                if not due:
                    break
                taking = min(most, max(FEWEST, -(-due // hands)))
            keys, leases, prepared = self.ledger.commit(partial(self._begin, keys, taking, accept))
            if due > taking and self.ledger.woken is not None:
                self.ledger.woken()  # there is enough for others
            accept, more = None, False
            reached("before_push")
            if prepared.work:
                sent = self._send(prepared, leases, interactive)
                reached("after_push")
                result = self.ledger.commit(partial(self._finish, sent, leases, prepared))
                reached("after_commit")
                count += len(sent)
                more = result.more
                for scope in result.paused:
                    self.alert("SYNC_PAUSED", f"{scope.lstrip('*')} is paused; the first reason is on the console.")
                with self._settled:
                    self._settled.notify_all()
            more = fetch(self.ledger, self.syncs, self.salesforce, prepared) or more
            more = look(self.ledger, self.syncs, self.salesforce, prepared) or more
            more = (unfinished.end(self.ledger, self.salesforce, prepared.unfinished) or more) and keys is not None
        return count

    def _begin(
        self, keys: Sequence[str] | None, most: int, accept: Callable[[Writing], Sequence[str]] | None, writing: Writing
    ) -> tuple[Sequence[str] | None, list[Lease], Prepared]:
        if accept is not None:
            keys = accept(writing)
        is_apart = self.ledger.is_apart(writing.now)  # what has just been accepted is for others then
        leases = [] if is_apart else lanes.lease(writing.connection, self.owner, writing.now, keys=keys, most=most)
        writing.wakes.difference_update(it.key for it in leases)  # nobody else could do anything there now
        leases, left = bulk_jobs.put_off(writing, leases, self.syncs.pulls)
        prepared = prepare(writing, leases, self.syncs, self.netsuite.url, self.trials) if leases else Prepared()
        prepared.unfinished = left
        if leases and not prepared.work:
            release(writing, leases, self.syncs, prepared.paused)
        return keys, leases, prepared

    def _finish(self, sent: list[Sent], leases: list[Lease], prepared: Prepared, writing: Writing) -> Recorded:
        result = record(writing, sent, leases, self.syncs, prepared.paused)
        reached("before_commit")
        return result

    def _send(self, prepared: Prepared, leases: Sequence[Lease], interactive: bool) -> list[Sent]:
        keep, jobs = Keeper(self.ledger, leases).keep, bulk_jobs.Kept(self.ledger, leases)
        try:
            return send(prepared.work, self.netsuite, self.salesforce, interactive=interactive, keep=keep, jobs=jobs)
        except Exception as error:
            # A fault of our own: what was on its way may have arrived, and the lanes must not stay leased.
            LOG.exception("Sending failed unexpectedly.")
            words, kind = "The bridge failed while sending; it looks the record up.", type(error).__name__
            unsure = Uncertain(words, code="BRIDGE_FAULT", detail=kind)
            return [Sent(work, unsure) for work in prepared.work]

    def settle(self, ids: Sequence[str], until: float, keys: Sequence[str] = ()) -> dict[str, Standing]:
        """Deliver the records *ids* while a caller waits, until all are settled or paused, or *until* has passed.

        *keys* are lanes that are known to have work; the others are found by what waits for them.
        """
        if keys:
            self.deliver(keys, interactive=True, until=until)
        while True:
            found = self.standing(ids)
            waiting = [part for it in found.values() for part in it.parts if is_open([part.state])]
            left = until - time.monotonic()
            if not waiting or left <= 0 or are_paused(self.ledger, self.syncs, {it.sync for it in waiting}):
                return found
            now = self.ledger.moment()
            end = now + timedelta(seconds=left)
            if self.ledger.is_apart(now) or all(it.is_later_than(end) for it in waiting):
                return found  # nothing more can happen while the caller waits
            if not self.deliver(self._lanes(ids), interactive=True, until=until):
                with self._settled:
                    self._settled.wait(min(0.05, max(0.0, until - time.monotonic())))

    def standing(self, ids: Sequence[str]) -> dict[str, Standing]:
        """Return where each record stands now, with links to its NetSuite pages."""
        with self.ledger.read() as connection:
            return standing(connection, ids, self.netsuite.url)

    def _lanes(self, ids: Sequence[str]) -> list[str]:
        """Return the lanes in which the open messages of *ids* lie, and those of what they wait for in turn."""
        found, seen = set[str](), set[str]()
        asked = set(ids)
        with self.ledger.read() as connection:
            while asked:
                seen |= asked
                query = select(message.c.queue, message.c.waits_for).where(
                    message.c.source_id.in_(asked), message.c.queue.is_not(None)
                )
                rows = connection.execute(query).all()
                found.update(row.queue for row in rows)
                asked = {row.waits_for.split(":", 1)[1] for row in rows if row.waits_for} - seen
        return sorted(found)

    def promise_write_back(self, ids: Sequence[str]) -> None:
        """The caller's time is over: what is still open is written back by the bridge, what just settled now."""

        def promise(writing: Writing) -> None:
            open_ones = update(message).where(message.c.source_id.in_(list(ids)), message.c.state.in_(OPEN))
            writing.connection.execute(open_ones.values(write_back=True))
            found = standing(writing.connection, ids).values()
            write_back(writing, [(it.kind, it.id) for it in found if not is_open(part.state for part in it.parts)])

        self.ledger.commit(promise)  # a delivery may be in its way
