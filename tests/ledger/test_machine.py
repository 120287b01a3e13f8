"""A Hypothesis state machine over the ledger: saves, workers that stop anywhere, a clock, answers that get lost.

A worker is cut where it could die: after it has taken lanes, after it has sent, before it has recorded. The other side
is a set of books that keeps what it is told. BRIDGE_CHAOS multiplies the examples, BRIDGE_MACHINE_QUICK leaves out
shrinking.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import event, select

from bridge.delivery import Delivery
from bridge.errors import Deferred, Misconfigured, Rejected, Uncertain
from bridge.ledger import Ledger, audit, lanes, marks
from bridge.ledger.keeping import Overtaken
from bridge.ledger.lanes import LEASE
from bridge.ledger.models import OPEN, lane, link, message
from bridge.operating import resume
from bridge.ports import Received, Record, Ref, Written
from bridge.records import syncs
from bridge.sending import send

LONG = int(os.environ.get("BRIDGE_CHAOS", "1"))
QUICK = bool(os.environ.get("BRIDGE_MACHINE_QUICK"))
ACCOUNTS = tuple(f"00100000000000{n}AAA" for n in range(3))
START = datetime(2026, 11, 20, 18, tzinfo=UTC)
SITE = {"subsidiary": "Parent Company", "fees": {}}


class Books:
    """NetSuite as the port shows it: it keeps what it is told, and may lose its answer or refuse."""

    name = "netsuite"

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.written: dict[str, list[int]] = defaultdict(list)
        self.fault: str | None = None
        self.undone: set[str] = set()  # an old request landed on them: what they held may be written once more

    def upsert(self, records: Any, *, interactive: bool = False) -> list[Any]:
        fault, self.fault = self.fault, None
        if fault == "throttled":
            return [Deferred("busy", code="BUSY", throttled=True) for _ in records]
        if fault == "nothing":
            return [Uncertain("silence", code="SILENCE") for _ in records]
        if fault == "maintenance":
            return [Misconfigured("closed", code="MAINTENANCE") for _ in records]
        if fault == "refused":
            return [Rejected("no", code="NO") for _ in records]
        found = []
        for it in records:
            name = str(it.ref.external_id)
            known = self.records.get(name)
            ref = Ref(it.ref.kind, id=known.ref.id if known else str(100 + len(self.records)), external_id=name)
            self.records[name] = Record(ref, {**(known.fields if known else {}), **it.fields})
            version = int(it.fields["phone"])
            if name not in self.undone or version > self.written[name][-1]:
                self.written[name].append(version)
            self.undone.discard(name)
            found.append(Uncertain("lost", code="LOST") if fault == "lost" else Written(ref))
        return found

    def get(self, refs: Any, fields: Any = (), *, interactive: bool = False) -> list[Record | None]:
        by_id = {it.ref.id: it for it in self.records.values()}
        return [self.records.get(it.external_id) if it.external_id else by_id.get(it.id) for it in refs]

    def url(self, ref: Ref) -> str | None:
        return None


class Nobody(Books):
    """Salesforce, which takes every write-back."""

    name = "salesforce"

    def upsert(self, records: Any, *, interactive: bool = False) -> list[Any]:
        return [Written(it.ref) for it in records]


@dataclass
class Worker:
    """A round of delivery that is under way."""

    leases: list[Any]
    prepared: Any
    until: datetime
    sent: list[Any] | None = None
    lanes: set[str] = field(default_factory=set)


@cache
def empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        made = Ledger(f"sqlite:///{folder}/ledger")
        made.create()
        with made.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        made.close()
        return (Path(folder) / "ledger").read_bytes()


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "ledger"
        path.write_bytes(empty())
        self.now = START
        self.ledger = Ledger(f"sqlite:///{path}", clock=lambda: self.now)
        event.listen(self.ledger.engine, "connect", lambda raw, record: raw.execute("PRAGMA synchronous=OFF"))
        self.books = Books()
        self.engine = Delivery(ledger=self.ledger, syncs=syncs(SITE), netsuite=self.books, salesforce=Nobody())
        self.versions = dict.fromkeys(ACCOUNTS, 0)
        self.accepted: dict[str, set[int]] = {it: set() for it in ACCOUNTS}
        self.on_the_way: list[tuple[str, int]] = []
        self.workers: list[Worker] = []

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            self.ledger.close()
            self.folder.cleanup()

    # --- what happens -------------------------------------------------------------------------------------------------

    def accept(self, account: str, version: int) -> None:
        fields = {"Name": "Acme", "Phone": str(version)}
        stamp = START + timedelta(seconds=version)
        it = Received("Account", account, version, stamp, fields)
        self.engine.receive([it], origin="callout", correlation=uuid.uuid4().hex)
        self.accepted[account].add(version)

    def begin(self, most: int = 3) -> Worker | None:
        _, leases, prepared = self.ledger.commit(lambda writing: self.engine._begin(None, most, None, writing))
        if not prepared.work:
            return None
        held = {it.key for it in leases}
        for other in self.workers:
            if other.until > self.now:
                assert not (other.lanes & held), "two workers hold one lane"
        worker = Worker(leases, prepared, self.now + LEASE, lanes=held)
        self.workers.append(worker)
        return worker

    def send(self, worker: Worker, fault: str | None = None) -> None:
        self.books.fault = fault

        def keep() -> None:
            with self.ledger.write() as writing:
                if len(lanes.still_held(writing.connection, worker.leases)) < len(worker.leases):
                    raise Overtaken

        worker.sent = send(worker.prepared.work, self.books, self.engine.salesforce, interactive=False, keep=keep)
        self.books.fault = None

    def finish(self, worker: Worker) -> None:
        self.ledger.commit(lambda writing: self.engine._finish(worker.sent, worker.leases, worker.prepared, writing))
        self.workers.remove(worker)

    @initialize(account=st.sampled_from(ACCOUNTS))
    def first(self, account: str) -> None:
        self.save(account)

    @rule(account=st.sampled_from(ACCOUNTS))
    def save(self, account: str) -> None:
        self.versions[account] += 1
        self.accept(account, self.versions[account])

    @rule(account=st.sampled_from(ACCOUNTS))
    def save_whose_callout_is_slow(self, account: str) -> None:
        self.versions[account] += 1
        self.on_the_way.append((account, self.versions[account]))

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data())
    def slow_callout_arrives(self, data: Any) -> None:
        self.accept(*self.on_the_way.pop(data.draw(st.integers(0, len(self.on_the_way) - 1))))

    @rule(account=st.sampled_from(ACCOUNTS))
    def same_callout_again(self, account: str) -> None:
        if self.accepted[account]:
            self.accept(account, max(self.accepted[account]))

    @rule(most=st.integers(1, 3))
    def worker_begins(self, most: int) -> None:
        self.begin(most)

    @precondition(lambda self: any(it.sent is None for it in self.workers))
    @rule(fault=st.sampled_from([None, None, None, "lost", "nothing", "throttled"]), data=st.data())
    def worker_sends(self, fault: str | None, data: Any) -> None:
        idle = [it for it in self.workers if it.sent is None]
        self.send(data.draw(st.sampled_from(idle)), fault)

    @precondition(lambda self: any(it.sent is not None for it in self.workers))
    @rule(data=st.data())
    def worker_records(self, data: Any) -> None:
        ready = [it for it in self.workers if it.sent is not None]
        self.finish(data.draw(st.sampled_from(ready)))

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def worker_dies(self, data: Any) -> None:
        self.workers.remove(data.draw(st.sampled_from(self.workers)))

    @rule(seconds=st.sampled_from([1, 61, int(LEASE.total_seconds()) + 1, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    # --- races that are known, so that they happen in every run ---

    @rule(account=st.sampled_from(ACCOUNTS), newer=st.booleans())
    def overtaken(self, account: str, newer: bool) -> None:
        """A worker sleeps past its lease, another does the work, then the first one comes back."""
        self.save(account)
        sleeper = self.begin()
        if sleeper is None:
            return
        self.send(sleeper)
        self.now += LEASE + timedelta(seconds=61)
        if newer:
            self.save(account)
        for _ in range(6):
            other = self.begin()
            if other is None:
                self.now += timedelta(seconds=61)
                continue
            self.send(other)
            self.finish(other)
        before = self.known(sleeper)
        self.finish(sleeper)
        assert self.known(sleeper) == before, "what an overtaken worker learned was recorded"

    def known(self, worker: Worker) -> list[Any]:
        """What the ledger says of the records that *worker* carries, in lanes that others have taken over."""
        with self.ledger.read() as connection:
            epochs = dict(connection.execute(select(lane.c.key, lane.c.epoch)).all())
            lost = [it.key for it in worker.leases if epochs[it.key] != it.epoch]
            ids = [it.row.id for it in worker.prepared.work if it.row.lane in lost]
            sources = {it.row.source_id for it in worker.prepared.work if it.row.lane in lost}
            rows = connection.execute(select(message).where(message.c.id.in_(ids)).order_by(message.c.id)).all()
            pairs = connection.execute(select(link).where(link.c.source_id.in_(sources)).order_by(link.c.source_id))
            return [*rows, *pairs]

    @rule(account=st.sampled_from(ACCOUNTS))
    def late_arrival(self, account: str) -> None:
        """The newer of two saves is delivered before the older one arrives."""
        self.versions[account] += 2
        self.accept(account, self.versions[account])
        self.round()
        self.accept(account, self.versions[account] - 1)
        self.round()

    @rule(account=st.sampled_from(ACCOUNTS))
    def saved_meanwhile(self, account: str) -> None:
        """A save arrives while an older one of the same record is on its way; nobody wakes the lane for it again."""
        self.save(account)
        worker = self.begin()
        self.save(account)
        if worker is not None:
            self.send(worker)
            self.finish(worker)

    @rule(account=st.sampled_from(ACCOUNTS))
    def dies_with_the_answer(self, account: str) -> None:
        """A worker dies between NetSuite's answer and its own commit."""
        self.save(account)
        worker = self.begin()
        if worker is not None:
            self.send(worker)
            self.workers.remove(worker)

    @rule(account=st.sampled_from(ACCOUNTS), fault=st.sampled_from(["lost", "nothing"]))
    def no_answer(self, account: str, fault: str) -> None:
        """NetSuite may have written or not; then somebody looks."""
        self.save(account)
        worker = self.begin()
        if worker is not None:
            self.send(worker, fault)
            self.finish(worker)
            self.now += timedelta(minutes=11)
            self.round()

    @rule(account=st.sampled_from(ACCOUNTS))
    def lands_late(self, account: str) -> None:
        """NetSuite does a request after a newer save was delivered; who sent it had got no answer."""
        self.save(account)
        worker = self.begin()
        if worker is None:
            return
        self.send(worker, "nothing")
        # What was adopted was not sent again, so nothing of it can land once more.
        sent = [it for it in worker.sent or () if it.work.name == f"customer:{account}" and not it.adopted]
        late = [it.work.records[0] for it in sent]
        self.finish(worker)
        self.now += timedelta(seconds=61)
        self.round()
        self.save(account)
        self.round()
        for it in late:
            name = str(it.ref.external_id)
            if name in self.books.records:
                known = self.books.records[name]
                self.books.records[name] = Record(known.ref, {**known.fields, **it.fields})
                self.books.undone.add(name)

    @rule(account=st.sampled_from(ACCOUNTS))
    def maintenance(self, account: str) -> None:
        """NetSuite is closed: the sync pauses, saves go on, and everything drains once when it is back."""
        self.save(account)
        worker = self.begin()
        if worker is None:
            return
        self.send(worker, "maintenance")
        self.finish(worker)
        with self.ledger.read() as connection:
            if not marks.pauses(connection):
                return  # it had nothing for NetSuite, or was overtaken
        self.save(account)
        paused = self.begin()
        assert paused is None or all(it.row.sync == "status" for it in paused.prepared.work), "a paused sync was sent"
        self.now += timedelta(days=3)
        resume(self.engine, "*netsuite", actor="test")

    def round(self) -> None:
        worker = self.begin()
        if worker is not None:
            self.send(worker)
            self.finish(worker)

    # --- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def every_version_is_written_once_and_in_order(self) -> None:
        for name, seen in self.books.written.items():
            assert seen == sorted(set(seen)), f"{name} was written as {seen}"

    def settle(self) -> None:
        """Everybody is dead; one worker carries on until nothing is open."""
        self.workers.clear()
        self.now += LEASE + timedelta(seconds=1)
        resume(self.engine, "*netsuite", actor="test")
        for _ in range(300):
            worker = self.begin()
            if worker is not None:
                self.send(worker)
                self.finish(worker)
            elif self.open():
                self.now += timedelta(seconds=61)
            else:
                break
        assert not self.open(), f"never settled: {self.open()}"
        self.everything_is_in_the_books()

    def open(self) -> list[Any]:
        with self.ledger.read() as connection:
            query = select(message.c.sync, message.c.source_id, message.c.version, message.c.state)
            return list(connection.execute(query.where(message.c.state.in_(OPEN))))

    def everything_is_in_the_books(self) -> None:
        with self.ledger.read() as connection:
            rows = connection.execute(select(message).where(message.c.sync == "customer")).all()
            linked = {it.source_id: it.version for it in connection.execute(select(link)) if it.sync == "customer"}
            held = connection.execute(select(lane).where(lane.c.owner.is_not(None) | lane.c.due_at.is_not(None))).all()
            broken = list(audit.verify(connection, b""))
        states: dict[str, dict[int, str]] = defaultdict(dict)
        for row in rows:
            # Thirty saves of one record within ten minutes are a loop, which a person breaks as they do for the dead.
            is_loop = (row.state, row.code) == ("rejected", "LOOP_BROKEN")
            states[row.source_id][row.version] = "dead" if is_loop else row.state
        for account, versions in self.accepted.items():
            if not versions:
                continue
            newest = max(versions)
            assert set(states[account]) == versions, "a save was lost"
            dead = states[account][newest] == "dead"  # it stopped its worker three times: a person has it
            if not dead:
                assert self.books.records[f"sf-cus-{account}"].fields["phone"] == str(newest), "an older save won"
                assert states[account][newest] in ("delivered", "unchanged")
                assert linked[account] == newest
            assert all(it in ("delivered", "unchanged", "superseded", "dead") for it in states[account].values())
            assert self.books.written.get(f"sf-cus-{account}", [0])[-1] <= newest
        assert not held, "a lane is stuck"
        assert not broken


PHASES = [Phase.generate] if QUICK else [Phase.reuse, Phase.generate, Phase.shrink]
Machine.TestCase.settings = settings(
    max_examples=25 * LONG, stateful_step_count=25 + 5 * min(LONG, 5), deadline=None, phases=PHASES,
    suppress_health_check=list(HealthCheck), database=None, derandomize=LONG == 1 and not QUICK,
)  # fmt: skip


@pytest.mark.timeout(3600)
class TestLedger(Machine.TestCase):
    """Runs the machine."""
