"""The engine: receive · deliver · settle · replay. Two ways in, one way across.

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
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import update

from bridge.errors import BridgeError, Deferred, Misconfigured, Uncertain
from bridge.failpoints import reached
from bridge.ledger import Ledger, Writing, lanes, links, marks, messages, plain
from bridge.ledger.models import OPEN, PENDING, REJECTED, message
from bridge.mapping import Syncs
from bridge.ports import MirrorSystem, Received, Ref, System
from bridge.preparing import Prepared, prepare, write_back
from bridge.recording import covered, record, release
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

    # --- receive ---

    def receive(
        self,
        received: Sequence[Received],
        *,
        origin: str,
        correlation: str,
        priority: int = messages.BULK,
        write_back: bool = True,
        only: str | None = None,
        forced: bool = False,
    ) -> list[int]:
        """Store what arrived, one message for each sync it concerns, and return the ids of the new messages."""
        with self.ledger.write() as writing:
            return self.accept(
                writing, received, origin=origin, correlation=correlation, priority=priority,
                write_back=write_back, only=only, forced=forced,
            )  # fmt: skip

    def accept(
        self,
        writing: Writing,
        received: Sequence[Received],
        *,
        origin: str,
        correlation: str,
        priority: int = messages.BULK,
        write_back: bool = True,
        only: str | None = None,
        forced: bool = False,
    ) -> list[int]:
        """Do the same inside a transaction that the caller has opened."""
        late = [name for name, push in self.syncs.pushes.items() if push.on_demand and name != only]
        asked = [(name, it.id) for name in late for it in received if it.kind == self.syncs.pushes[name].source]
        wanted = links.find(writing.connection, asked)
        new = []
        for it in received:
            fields = {**it.fields, "Id": it.id, **({"@deleted": it.merged_into or True} if it.deleted else {})}
            payload, mark = plain.dumps(fields), plain.source_mark(fields, self.syncs.reads(it.kind))
            for push in self.syncs.of_source(it.kind):
                if (push.on_demand and push.name != only and (push.name, it.id) not in wanted) or (
                    only is not None and push.name != only
                ):
                    continue
                new.append(
                    messages.New(
                        push.name,
                        it.kind,
                        it.id,
                        it.version,
                        it.modified_at,
                        lane_of(it),
                        payload,
                        origin,
                        mark,
                        it.user,
                        priority,
                        write_back,
                        forced,
                    )  # fmt: skip
                )
        return messages.accept(writing, new, correlation)

    # --- deliver ---

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
            reached("before_push")
            more = self._fetch(prepared)
            if prepared.work:
                sent = self._send(prepared, interactive)
                reached("after_push")
                with self.ledger.write() as writing:
                    result = record(writing, sent, leases, self.syncs, prepared.paused)
                    reached("before_commit")
                reached("after_commit")
                count += len(sent)
                more = more or result.more
                for scope in result.paused:
                    self.alert("SYNC_PAUSED", f"{scope.lstrip('*')} is paused; the first reason is on the console.")
                with self._settled:
                    self._settled.notify_all()
            if keys is None:
                break
        return count

    def _send(self, prepared: Prepared, interactive: bool) -> list[Sent]:
        try:
            return send(prepared.work, self.netsuite, self.salesforce, interactive=interactive)
        except Exception as error:
            # A fault of our own: what was on its way may have arrived, and the lanes must not stay leased.
            LOG.exception("Sending failed unexpectedly.")
            unsure = Uncertain("The bridge failed while sending; it looks the record up.", code="BRIDGE_FAULT")
            unsure.detail = type(error).__name__
            return [Sent(work, unsure) for work in prepared.work]

    def _fetch(self, prepared: Prepared) -> bool:
        """Fetch the records that others refer to and nobody has sent yet, and receive them. True if any came."""
        wanted: dict[tuple[str, str], list[str]] = {}
        for sync, kind, salesforce_id in prepared.missing:
            wanted.setdefault((sync, kind), []).append(salesforce_id)
        came = False
        for (sync, kind), ids in wanted.items():
            with self.ledger.read() as connection:
                known = standing(connection, ids)
            ids = [
                it for it in ids if not any(part.sync == sync and is_open([part.state]) for part in _parts(known, it))
            ]
            if not ids:
                continue
            try:
                found = self.salesforce.get([Ref(kind, id=it) for it in ids], self.syncs.reads(kind))
            except (Deferred, Misconfigured):
                continue  # the children wait, and ask again when they are due
            parents = [as_received(it) for it in found if it is not None]
            came |= bool(self.receive(parents, origin="parent", correlation=uuid.uuid4().hex, only=sync))
            self._reject_orphans(sync, [ids[n] for n, it in enumerate(found) if it is None])
        return came

    def _reject_orphans(self, sync: str, gone: Iterable[str]) -> None:
        for parent_id in gone:
            with self.ledger.write() as writing:
                waiting = message.c.waits_for == f"{sync}:{parent_id}"
                rows = writing.connection.execute(message.select().where(waiting)).all()
                changes = messages.Changes(writing)
                for row in rows:
                    reason = f"The record it refers to ({parent_id}) does not exist in Salesforce."
                    changes.set(row, REJECTED, code="PARENT_MISSING", reason=reason, who="sales")
                changes.flush()
                write_back(writing, [(row.source_kind, row.source_id) for row in rows if row.write_back])

    # --- settle ---

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

    # --- replay and pauses ---

    def replay(self, message_ids: Sequence[int], *, actor: str, reason: str = "") -> int:
        """Send settled messages again as they were stored; a newer version of the record still wins."""
        with self.ledger.write() as writing:
            rows = [row for row in messages.by_ids(writing.connection, message_ids) if row.state not in OPEN]
            for row in rows:
                writing.connection.execute(
                    update(message)
                    .where(message.c.id == row.id)
                    .values(state=PENDING, queue=row.lane, due_at=None, settled_at=None, waits_for=None,
                            forced=True, write_back=True, attempts=0, crashes=0, created_at=writing.now)
                )  # fmt: skip
                writing.say("replay", actor, sync=row.sync, source_id=row.source_id, message_id=row.id,
                            correlation=row.correlation, detail=reason or None)  # fmt: skip
            messages.wake(writing, {row.lane: (writing.now, messages.BULK) for row in rows})
            return len(rows)

    def pause(self, scope: str, *, actor: str, reason: str) -> bool:
        """Stop sending for *scope* until a person resumes it; accepting goes on."""
        with self.ledger.write() as writing:
            return marks.start_pause(writing, scope, "PAUSED_BY_PERSON", reason, actor=actor, probe=False)

    def resume(self, scope: str, *, actor: str) -> bool:
        """Go on with *scope*: what waits drains in order."""
        with self.ledger.write() as writing:
            ended = marks.end_pause(writing, scope, actor=actor)
            lanes.reopen(writing.connection, covered(scope, self.syncs), writing.now)
            writing.wakes.add("*")
        return ended

    def probe(self) -> None:
        """Ask paused systems whether they are back, and resume what they stopped."""
        with self.ledger.write() as writing:
            due = marks.claim_probe(writing)
        for it in due:
            system = (
                self.salesforce
                if it.scope in covered("*salesforce", self.syncs) or it.scope == "*salesforce"
                else self.netsuite
            )
            try:
                system.now()
            except BridgeError:
                continue
            self.resume(it.scope, actor="probe")


def _parts(found: dict[str, Standing], salesforce_id: str) -> list[Any]:
    return found[salesforce_id].parts if salesforce_id in found else []


def lane_of(it: Received) -> str:
    """Return the lane of a record: its Account, with all that belongs to it; its own id where it has none."""
    return it.id if it.kind == "Account" else str(it.fields.get("AccountId") or it.id)


def as_received(found: Any, user: str | None = None) -> Received:
    """Return a record read from Salesforce as if it had been sent."""
    version = int(found.fields.get("Bridge_Version__c") or 0)
    fields = {
        name: value for name, value in found.fields.items() if name not in ("SystemModstamp", "Bridge_Version__c")
    }
    return Received(found.ref.kind, str(found.ref.id), version, found.modified_at, fields, user)
