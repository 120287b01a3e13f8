"""Carry what a pull has read straight through to Salesforce, while the next page is being read.

A `Stream` stores a page as being sent, maps it from memory, writes it in a thread of its own and records it in bulk:
two transactions for a page. The rules of delivery hold: stored before sent, under the lane's lease, newest wins. What
cannot go at once (the lane is taken, Salesforce is paused, an earlier reading is open) is left in the lane's queue.

Must not know: SOAP, HTTP.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Self, cast

from sqlalchemy import Connection, Row

from bridge.courtesy import breathe
from bridge.delivery import Delivery
from bridge.errors import BridgeError, Deferred, Rejected, Uncertain
from bridge.failpoints import reached
from bridge.ledger import Writing, bulk_jobs, clocks, lanes, links, marks, messages, pulled
from bridge.ledger.keeping import Keeper, Overtaken
from bridge.ledger.lanes import Lease
from bridge.ledger.links import Link
from bridge.ledger.models import DEFERRED, HELD, REJECTED, SENDING, UNCHANGED
from bridge.mapping import Pull
from bridge.mirroring import Leads, leads, mapped, mirrored
from bridge.ports import Record
from bridge.recording import release, settle
from bridge.sending import Sent, send
from bridge.standing import EVERYTHING
from bridge.work import Work

LOG = logging.getLogger("bridge.carrying")
PAGE = 200  # records stored, or recorded, in one transaction
AHEAD = 4  # pages on their way to Salesforce while the next one is compared and stored
AHEAD_TOGETHER = 2  # the same where many are written together
HELD_S = 30.0  # after that the lane is given back for a moment, so that what failed there can be tried again
HANDS = 3  # pages that are written at once: while one is recorded and another prepared, Salesforce has work
HELD_LONG_S = 150.0  # the same where many are gathered, which takes a while
BREATH = 5  # records mapped before saves that somebody waits for get the interpreter


@dataclass(frozen=True, slots=True)
class Reading:
    """One record as it was read: the message it becomes, and its payload as values."""

    new: messages.New
    source: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Begun:
    """A message that has just been stored as being sent: what is known of its row."""

    id: int
    sync: str
    source_kind: str
    source_id: str
    version: int
    modified_at: datetime
    lane: str
    origin: str
    correlation: str
    created_at: datetime
    sent_at: datetime
    actor: str | None = None
    attempts: int = 0  # before this one
    crashes: int = 0
    write_back: bool = False
    state: str = SENDING
    code: str | None = None
    target_kind: str | None = None
    target_id: str | None = None


@dataclass(slots=True)
class Decided:
    """What is to become of a reading: rows to write, or a *state* without writing."""

    reading: Reading
    known: Link | None
    work: Work | None = None
    unled: str | None = None
    state: str = ""
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Carried:
    """What is stored as being sent. Without its reading: thousands may be gathered, or on their way."""

    row: Begun
    known: Link | None
    work: Work | None
    state: str
    values: dict[str, Any]


class Stream:
    """The way of one pull's records into Salesforce. Use it in a ``with`` block: at its end all was written.

    *together* is how many rows are written at once; with 0, those of each page that is put. Where much is to come, so
    many are gathered that Salesforce takes them as bulk jobs; they are stored page by page all the same.
    """

    def __init__(self, engine: Delivery, sync: Pull, correlation: str) -> None:
        self.engine, self.sync, self.correlation = engine, sync, correlation
        self.together = 0
        self._gathered: list[Carried] = []
        self._pool = ThreadPoolExecutor(HANDS, thread_name_prefix="carrying")
        self._flying: list[Future[None]] = []
        self._leases: list[Lease] = []
        self._keeper: Keeper | None = None
        self._leased_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, *rest: object) -> None:
        if kind is not None and not issubclass(kind, Exception):
            self.engine.stopping.set()  # somebody interrupts us: a bulk job that runs is left running
        try:
            if self.engine.stopping.is_set() or getattr(problem, "code", None) == clocks.CODE:
                self._leave()
            self.rest()
        finally:
            self._pool.shutdown()

    def put(self, readings: Sequence[Reading]) -> int:
        """Store *readings* and have them written; return how many were new. Waits while enough is on its way."""
        if self._leases and time.monotonic() - self._leased_at > (HELD_LONG_S if self.together else HELD_S):
            self.rest()
        if self._keeper is not None:
            self._keep(self._keeper)
        decided = self._decide(readings)
        stored, begun, leases = self.engine.ledger.commit(partial(self._begin, decided))
        try:
            self._hold(leases)
            self._gathered += begun
            reached("after_pull_store")
            if sum(len(it.work.records) for it in self._gathered if it.work) >= self.together:
                self._fly()
        except BaseException:
            gathered, self._gathered = self._gathered, []
            self.engine.ledger.commit(partial(self._not_sent, gathered, leases))
            raise
        return stored

    def _hold(self, leases: list[Lease]) -> None:
        """Remember the lease under which the next records go; those before them end under theirs, which goes back."""
        if leases != self._leases:
            self.rest()
            self._leases, self._leased_at = leases, time.monotonic()
            self._keeper = Keeper(self.engine.ledger, leases) if leases else None

    def _fly(self) -> None:
        """Send off what was gathered, as soon as not too much is on its way."""
        most = AHEAD_TOGETHER if self.together else AHEAD
        while len(self._flying) >= most:
            self._flying.pop(0).result()
        if self._gathered and self._keeper is not None:
            gathered, self._gathered = self._gathered, []
            self._flying.append(self._pool.submit(self._carry, gathered, self._leases, self._keeper))

    def _keep(self, keeper: Keeper) -> None:
        try:
            keeper.keep()
        except Overtaken:
            LOG.warning("Others took over %s; what was read is left in its queue.", self.sync.name)

    def rest(self) -> None:
        """Wait until everything was written, and give the lane back. Raises what went wrong on the way."""
        try:
            self._fly()
        finally:
            flying, self._flying = self._flying, []
            wait(flying)  # all of them: the lane is not given back under one that still writes
            try:
                for it in flying:
                    it.result()
            finally:
                self._rest()

    def _leave(self) -> None:
        gathered, self._gathered = self._gathered, []
        if gathered:
            self.engine.ledger.commit(partial(self._not_sent, gathered, self._leases))

    def _rest(self) -> None:
        self._leave()  # what flew before it failed
        if self._leases:
            leases, self._leases, self._keeper = self._leases, [], None
            self.engine.ledger.commit(partial(self._release, leases))

    def _release(self, leases: list[Lease], writing: Writing) -> None:
        mine = lanes.still_held(writing.connection, leases)
        shut = {it.scope for it in marks.pauses(writing.connection)}
        release(writing, [it for it in leases if it.key in mine], self.engine.syncs, shut)

    # --- decide: nothing is written here, and no transaction is open while records are mapped ---

    def _decide(self, readings: Sequence[Reading]) -> list[Decided]:
        sync, syncs = self.sync, self.engine.syncs
        rows: list[list[Record] | Rejected] = []
        for count, it in enumerate(readings, start=1):
            rows.append(self._mapped(it))
            if count % BREATH == 0:
                breathe()
        with self.engine.ledger.read() as connection:
            known = links.find(connection, [(sync.name, it.new.source_id) for it in readings])
            found = leads(connection, (row for it in rows if isinstance(it, list) for row in it), syncs)
        return [
            self._decided(it, made, found, known.get((sync.name, it.new.source_id)))
            for it, made in zip(readings, rows, strict=True)
        ]

    def _mapped(self, reading: Reading) -> list[Record] | Rejected:
        try:
            return mapped(reading.source, self.sync, self.engine.syncs)
        except Rejected as error:
            return error
        except Exception as error:
            LOG.exception("The mapping of %s failed on %s.", self.sync.name, reading.new.source_id)
            sentence = "The mapping failed on this record; the log of the bridge says where."
            return Rejected(sentence, code="MAPPING_FAULT", detail=type(error).__name__)

    def _decided(self, reading: Reading, made: list[Record] | Rejected, found: Leads, known: Link | None) -> Decided:
        if isinstance(made, Rejected):
            about = {"code": made.code, "reason": made.message, "who": made.who, "field": made.field}
            return Decided(reading, known, state=REJECTED, values={**about, "detail": made.detail})
        it = mirrored(reading.source, made, found, self.sync, known, self.engine.syncs)
        if not it.records and not it.gone:
            about = {"code": "NOT_OURS", "reason": "Nothing in Salesforce belongs to it.", "who": "nobody"}
            return Decided(reading, known, unled=it.unled, state=HELD, values={**about, "waits_for": it.unled})
        mark = it.mark
        if known is not None and known.fingerprint == mark and not it.gone:
            target = {"target_kind": known.target_kind, "target_id": known.target_id}
            return Decided(reading, known, state=UNCHANGED, values=target)
        work = Work(
            cast("Row[Any]", None), Lease(self.sync.name, 0), self.sync, [*it.records, *it.gone], known, mark,
            keys=it.keys, rows=it.lines, unled=it.unled,
        )  # fmt: skip
        return Decided(reading, known, work, it.unled)

    # --- store, write, record ---

    def _begin(self, decided: Sequence[Decided], writing: Writing) -> tuple[int, list[Carried], list[Lease]]:
        """Store all; those that nothing is in the way of as being sent. Returns the lease under which they are."""
        name, connection = self.sync.name, writing.connection
        leases = self._lease(writing)
        if not leases:
            return len(messages.accept(writing, [it.reading.new for it in decided], self.correlation)), [], []
        stamps = {it.reading.new.source_id: it.known.modified_at if it.known else None for it in decided}
        blocked = pulled.in_the_way(connection, name, stamps) | self._led_since(connection, decided)
        late = [it.reading.new for it in decided if it.reading.new.source_id in blocked]
        free = [it for it in decided if it.reading.new.source_id not in blocked]
        stored = len(messages.accept(writing, late, self.correlation))
        waits = {it.reading.new.source_id: it.unled for it in free}
        ids = messages.begin(writing, [it.reading.new for it in free], self.correlation, waits)
        begun = [
            Carried(self._row(it.reading.new, ids[it.reading.new.source_id], writing.now), it.known, it.work, it.state,
                    it.values)
            for it in free if it.reading.new.source_id in ids
        ]  # fmt: skip
        return stored + len(begun), begun, leases

    def _led_since(self, connection: Connection, decided: Sequence[Decided]) -> set[str]:
        """Return the records whose link has been made since they were mapped without it."""
        push = self.sync.mirrors
        asked = {it.reading.new.source_id for it in decided if it.unled and push}
        found = links.by_target(connection, [(push, it) for it in asked]) if push else {}
        return {target_id for _, target_id in found}

    def _lease(self, writing: Writing) -> list[Lease]:
        name, connection = self.sync.name, writing.connection
        paused = {it.scope for it in marks.pauses(connection)}
        if EVERYTHING in paused:
            raise Deferred(
                "The bridge stores nothing that can be read later: its disk is nearly full.", code="LOW_SPACE"
            )
        if {name, "*salesforce"} & paused:
            return []
        if self._leases:
            return self._leases if lanes.still_held(connection, self._leases) else []
        if bulk_jobs.any_in(connection, name):
            return []  # it could overwrite what we write; whoever delivers the lane's queue waits for it
        lanes.wake(connection, {name: (writing.now, messages.BULK)})
        return lanes.lease(connection, self.engine.owner, writing.now, keys=[name])

    def _row(self, new: messages.New, message_id: int, now: datetime) -> Begun:
        return Begun(
            message_id, new.sync, new.source_kind, new.source_id, new.version, new.modified_at, new.lane, new.origin,
            self.correlation, now, now,
        )  # fmt: skip

    def _not_sent(self, begun: Iterable[Carried], leases: Sequence[Lease], writing: Writing) -> None:
        if not lanes.still_held(writing.connection, leases):
            return  # whoever took over looks after what stands there as being sent
        changes = messages.Changes(writing)
        for it in begun:
            changes.set(_as_row(it), DEFERRED, due_at=writing.now, code="NOT_SENT", who="nobody", attempts=0)
        changes.flush()

    def _carry(self, begun: list[Carried], leases: list[Lease], keeper: Keeper) -> None:
        """Write what was put to Salesforce and record what became of it, page by page: saves get in between."""
        works: list[Work] = []
        for it in begun:
            if it.work is not None:
                it.work.row, it.work.lease = _as_row(it), leases[0]
                it.work.sent_at = it.work.row.sent_at
                works.append(it.work)
        reached("before_push")
        sent = {it.work.row.id: it for it in self._sent(works, keeper)} if works else {}
        reached("after_push")
        paused: list[str] = []
        for start in range(0, len(begun), PAGE):
            page = begun[start : start + PAGE]
            own = [sent[it.row.id] for it in page if it.row.id in sent]
            paused += self.engine.ledger.commit(partial(self._record, page, own, leases))
            reached("after_commit")
        for scope in dict.fromkeys(paused):
            self.engine.alert("SYNC_PAUSED", f"{scope.lstrip('*')} is paused; the first reason is on the console.")

    def _sent(self, works: list[Work], keeper: Keeper) -> list[Sent]:
        try:
            engine, jobs = self.engine, bulk_jobs.Kept(self.engine.ledger, [works[0].lease])
            return send(works, engine.netsuite, engine.salesforce, interactive=False, keep=keeper.keep, jobs=jobs)
        except BridgeError:
            raise
        except Exception as error:
            LOG.exception("Writing failed unexpectedly.")
            words = "The bridge failed while writing; it writes the record again."
            unsure = Uncertain(words, code="BRIDGE_FAULT", detail=type(error).__name__)
            return [Sent(work, unsure) for work in works]

    def _record(
        self, begun: Sequence[Carried], sent: Sequence[Sent], leases: Sequence[Lease], writing: Writing
    ) -> list[str]:
        held = lanes.still_held(writing.connection, leases)
        if held:
            changes = messages.Changes(writing)
            settled: list[Link] = []
            for it in begun:
                if it.work is None:
                    changes.set(_as_row(it), it.state, **it.values)
                if it.state == UNCHANGED and it.known is not None:
                    settled.append(replace(it.known, version=it.row.version, modified_at=it.row.modified_at))
            changes.flush()
            links.save(writing, settled)
        paused = settle(writing, sent, held, self.engine.syncs)
        reached("before_commit")
        return paused


def _as_row(it: Carried) -> Row[Any]:
    return cast("Row[Any]", it.row)
