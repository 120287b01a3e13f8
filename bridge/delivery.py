"""The engine: receive · deliver · settle. Two ways in, one way across.

`receive` stores changes durably; `deliver` takes free lanes and carries their messages over; `settle` does that while a
caller waits, for as long as its budget lasts. The same `deliver` runs in Apex's request, in the embedded pool and in a
worker: the lane's lease is the only mutex.

Must not know: SOAP, HTTP, Flask.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence

from sqlalchemy import update

from bridge.errors import Uncertain
from bridge.failpoints import reached
from bridge.ledger import Ledger, Writing, lanes
from bridge.ledger.keeping import Keeper, Overtaken
from bridge.ledger.lanes import Lease
from bridge.ledger.models import OPEN, message
from bridge.mapping import Syncs
from bridge.parents import fetch
from bridge.ports import MirrorSystem, Received, System
from bridge.preparing import Prepared, prepare, write_back
from bridge.receiving import accept
from bridge.recording import record, release
from bridge.sending import Sent, send
from bridge.standing import Standing, is_open, standing

LOG = logging.getLogger("bridge.delivery")

Alert = Callable[[str, str], None]


class Delivery:
    """Carries changes from one system to the other, by way of the ledger."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        syncs: Syncs,
        netsuite: System,
        salesforce: MirrorSystem,
        alert: Alert = lambda code, sentence: None,
    ) -> None:
        self.ledger, self.syncs = ledger, syncs
        self.netsuite, self.salesforce = netsuite, salesforce
        self.owner = uuid.uuid4().hex[:12]
        self.alert = alert
        self._settled = threading.Condition()

    def receive(self, received: Sequence[Received], *, origin: str, correlation: str) -> list[int]:
        """Store what arrived, and return the ids of the new messages: durable before anybody is told."""
        with self.ledger.write() as writing:
            return accept(writing, self.syncs, received, origin=origin, correlation=correlation)

    def deliver(
        self,
        keys: Sequence[str] | None = None,
        *,
        most: int = 1,
        interactive: bool = False,
        until: float | None = None,
        accept: Callable[[Writing], Sequence[str]] | None = None,
    ) -> int:
        """Carry over what is due in the lanes *keys*, or in up to *most* due lanes, and return how many were sent.

        Goes on until nothing is due there or *until* (``time.monotonic``) has passed. Safe to call from anywhere at
        any time: a lane that somebody else holds is left to them. *accept* stores what has just arrived in the first
        transaction and names its lanes: durable before anything is sent, with one commit for both.
        """
        count = 0
        more = True
        while more and (until is None or time.monotonic() < until):
            with self.ledger.write() as writing:
                if accept is not None:
                    keys, accept = accept(writing), None
                leases = lanes.lease(writing.connection, self.owner, writing.now, keys=keys, most=most)
                prepared = prepare(writing, leases, self.syncs) if leases else Prepared()
                if leases and not prepared.work:
                    release(writing, leases, self.syncs, prepared.paused)
            more = False
            reached("before_push")
            if prepared.work:
                sent = self._send(prepared, leases, interactive)
                reached("after_push")
                with self.ledger.write() as writing:
                    result = record(writing, sent, leases, self.syncs, prepared.paused)
                    reached("before_commit")
                reached("after_commit")
                count += len(sent)
                more = result.more
                for scope in result.paused:
                    self.alert("SYNC_PAUSED", f"{scope.lstrip('*')} is paused; the first reason is on the console.")
                with self._settled:
                    self._settled.notify_all()
            more = fetch(self.ledger, self.syncs, self.salesforce, prepared) or more
            if keys is None:
                break
        return count

    def _send(self, prepared: Prepared, leases: Sequence[Lease], interactive: bool) -> list[Sent]:
        keep = Keeper(self.ledger, leases).keep
        try:
            return send(prepared.work, self.netsuite, self.salesforce, interactive=interactive, keep=keep)
        except Overtaken:
            LOG.warning("Other hands took over these lanes; nothing more is sent or recorded for them.")
            return []
        except Exception as error:
            # A fault of our own: what was on its way may have arrived, and the lanes must not stay leased.
            LOG.exception("Sending failed unexpectedly.")
            unsure = Uncertain("The bridge failed while sending; it looks the record up.", code="BRIDGE_FAULT")
            unsure.detail = type(error).__name__
            return [Sent(work, unsure) for work in prepared.work]

    def settle(self, ids: Sequence[str], until: float, keys: Sequence[str] = ()) -> dict[str, Standing]:
        """Deliver the records *ids* while a caller waits, until all are settled or *until* has passed.

        *keys* are lanes that are known to have work; the others are found by what waits for them.
        """
        if keys:
            self.deliver(keys, interactive=True, until=until)
        while True:
            found = self.standing(ids)
            waiting = [part for it in found.values() for part in it.parts if is_open([part.state])]
            if not waiting or time.monotonic() >= until:
                return found
            parents = [part.waits_for.split(":", 1)[1] for part in waiting if part.waits_for]
            if not self.deliver(self._lanes([*ids, *parents]), interactive=True, until=until):
                with self._settled:
                    self._settled.wait(min(0.05, max(0.0, until - time.monotonic())))

    def standing(self, ids: Sequence[str]) -> dict[str, Standing]:
        """Return where each record stands now, with links to its NetSuite pages."""
        with self.ledger.read() as connection:
            return standing(connection, ids, self.netsuite.url)

    def _lanes(self, ids: Sequence[str]) -> list[str]:
        with self.ledger.read() as connection:
            query = message.select().with_only_columns(message.c.queue).where(
                message.c.source_id.in_(list(ids)), message.c.queue.is_not(None)
            )  # fmt: skip
            return list(connection.execute(query.distinct()).scalars())

    def promise_write_back(self, ids: Sequence[str]) -> None:
        """The caller's time is over: what is still open is written back by the bridge, what just settled now."""
        with self.ledger.write() as writing:
            writing.connection.execute(
                update(message)
                .where(message.c.source_id.in_(list(ids)), message.c.state.in_(OPEN))
                .values(write_back=True)
            )
            settled = [
                it for it in standing(writing.connection, ids).values() if not is_open(p.state for p in it.parts)
            ]
            write_back(writing, [(it.kind, it.id) for it in settled])
