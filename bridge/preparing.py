"""Decide what becomes of each open message of the leased lanes: settle it here, wait, or make it work to send.

`prepare` runs inside one write transaction. Coalescing, gates, versions, fingerprints, links and pauses are decided
here; nothing is sent. What it returns is marked ``sending`` when the transaction commits.

Must not know: how anything is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.exc import DBAPIError

from bridge import confirming, leaving, loops, merging, records, totals
from bridge.errors import Rejected
from bridge.ledger import Writing, lateness, links, marks, messages, plain, unit
from bridge.ledger.closing import close_older
from bridge.ledger.lanes import Lease
from bridge.ledger.links import Link
from bridge.ledger.models import (
    DEAD,
    DEFERRED,
    HELD,
    PENDING,
    REJECTED,
    SENDING,
    SUPERSEDED,
    UNCERTAIN,
    UNCHANGED,
    message,
)
from bridge.ledger.pulled import UNREAD
from bridge.mapping import Pull, Push, Syncs
from bridge.mirroring import leads, mapped, mirrored
from bridge.outcome import CRASHES, HORIZON, RESOLVE_AFTER, look_again_after
from bridge.ports import Record
from bridge.records import status
from bridge.referring import by_own_ids
from bridge.standing import CONFIRM, EVERYTHING, NewUrl, covered, standing, was_told
from bridge.work import Prepared, Work, goes_alone

LOG = logging.getLogger("bridge.preparing")

NEWER = timedelta(minutes=1)  # until work of a kind that this version does not know is looked at again
CLOSED = "closed "  # begins the fingerprint of a record that was closed when its gate did
ELSEWHERE = timedelta(seconds=5)  # until a moved record looks again whether its old lane has settled


def prepare(writing: Writing, leases: Sequence[Lease], syncs: Syncs, url: NewUrl, trials: set[str]) -> Prepared:
    """Settle or select the open messages of *leases*. *url* gives a NetSuite record's page; see also the module.

    Of a paused sync in *trials* one message is selected all the same.
    """
    step = _Step(writing, leases, syncs, url, trials)
    for rows in step.by_record():
        if not step.choose(rows):
            break
    step.changes.flush()
    close_older(writing, step.same)
    return step.prepared


class _Step:
    def __init__(self, writing: Writing, leases: Sequence[Lease], syncs: Syncs, url: NewUrl, trials: set[str]) -> None:
        self.writing, self.syncs, self.url, self.trials, self.now = writing, syncs, url, trials, writing.now
        self.leases = {it.key: it for it in leases}
        self.changes, self.prepared = messages.Changes(writing), Prepared()
        self.paused = self.prepared.paused = {it.scope for it in marks.pauses(writing.connection)}
        shut = [name for scope in self.paused - trials for name in covered(scope, syncs)]
        found = messages.opened(writing.connection, list(self.leases), writing.now, shut)
        self.rows, self.prepared.merged = merging.merge(writing, found, self.leases)
        self.sources, self.chosen = dict[int, dict[str, Any]](), set[str]()
        self.same: list[Row[Any]] = []  # settled as unchanged: what was wrong with the record was put right
        self.load: dict[str, float] = {"netsuite": 0.0, "salesforce": 0.0}
        pairs = [(row.sync, row.source_id) for row in self.rows]
        for row in self.rows:
            if (push := syncs.pushes.get(row.sync)) is not None:
                pairs += (*push.links(self.source(row)), *push.before(row.source_id))
                if "@deleted" in self.source(row):
                    pairs.append((row.sync, str(self.source(row)["@deleted"])))
        self.links = links.find(writing.connection, pairs)
        self.led_on = links.led_on(writing.connection, self.links)
        self.ended = lateness.ended(writing.connection, [row for row in self.rows if row.sync in syncs.pushes])
        again = [row.source_id for row in self.rows if (row.sync, row.source_id) in self.links]
        self.sent = messages.sent_since(writing.connection, again, self.now - loops.LOOP)

    def source(self, row: Row[Any]) -> dict[str, Any]:
        if row.id not in self.sources:
            self.sources[row.id] = plain.loads(row.payload)
        return self.sources[row.id]

    def by_record(self) -> Iterable[list[Row[Any]]]:
        """Group the messages by record, as they came; what was promised about one is looked at before its saves."""
        groups: dict[tuple[str, str], list[Row[Any]]] = {}
        for row in self.rows:
            apart = f"{UNREAD} " if row.source_hash == UNREAD else ""  # it supersedes no earlier reading
            groups.setdefault((row.sync, apart + row.source_id), []).append(row)
        for key in self._in_flight_elsewhere() & groups.keys():
            self._put_off(groups.pop(key), self.now + ELSEWHERE, "SENT_ELSEWHERE")
        return sorted(groups.values(), key=lambda rows: not rows[0].sync.startswith(CONFIRM))

    def _put_off(self, rows: Iterable[Row[Any]], until: datetime, code: str) -> Work | None:
        """Let *rows* wait for an earlier change of theirs: else they would be due, and looked at, all the time."""
        for row in rows:
            if row.state in (PENDING, DEFERRED) and (row.due_at is None or row.due_at < until):
                self.changes.set(row, DEFERRED, due_at=until, code=code, who="nobody", say=row.state == PENDING)
        return None

    def _in_flight_elsewhere(self) -> set[tuple[str, str]]:
        """Find records that moved here while an older change of theirs is being sent in another lane."""
        if not (movable := {row.source_id for row in self.rows if row.source_kind in ("Contact", "Opportunity")}):
            return set()
        messages.hold_records(self.writing.connection, movable)
        query = select(message.c.sync, message.c.source_id).where(
            message.c.source_id.in_(movable),
            message.c.state.in_((SENDING, UNCERTAIN)),
            message.c.queue.not_in(list(self.leases)),
        )
        return {(row.sync, row.source_id) for row in self.writing.connection.execute(query)}

    def choose(self, rows: list[Row[Any]]) -> bool:
        """Decide one record's open messages. False when the batch is full."""
        if any(row.state == SENDING for row in rows):
            self._recover([row for row in rows if row.state == SENDING])
            return True
        if rows[0].sync.startswith(CONFIRM):
            for row in (it for it in rows if it.due_at is None or it.due_at <= self.now):
                self.links.update(confirming.look(self.writing, self.changes, row))
            return True
        unsure = [row for row in rows if row.state == UNCERTAIN]
        newest = unsure[0] if unsure else max(rows, key=lambda row: (row.version, row.modified_at, row.id))
        for row in () if unsure else rows:
            if row is not newest:
                self.changes.set(row, SUPERSEDED)
        push, pull = self.syncs.pushes.get(newest.sync), self.syncs.pulls.get(newest.sync)
        if {newest.sync, "*netsuite" if push else "*salesforce", EVERYTHING} & self.paused - self.trials:
            return True
        if newest.due_at is not None and newest.due_at > self.now:
            self._put_off([row for row in rows if unsure and row is not newest], newest.due_at, "EARLIER_CHANGE_UNSURE")
            return True
        if self.prepared.work and goes_alone(newest, is_pulled=pull is not None):
            return False
        try:
            work = self._work(newest, push, pull)
        except Rejected as error:
            self.settle_error(newest, error)
            return True
        except DBAPIError:
            raise
        except Exception as error:
            # A mapping that fails on one record must not stop the lanes around it.
            LOG.exception("The mapping of %s failed on message %s.", newest.sync, newest.id)
            sentence = "The mapping failed on this record; the log of the bridge says where."
            self.settle_error(newest, Rejected(sentence, code="MAPPING_FAULT", detail=type(error).__name__))
            return True
        return work is None or self._take(work)

    def _recover(self, rows: list[Row[Any]]) -> None:
        """Treat what a former holder of the lane left in ``sending``: nobody knows whether it arrived."""
        for row in rows:
            self.changes.attempted(row, self.leases[row.lane].epoch - 1, "crash", sent_at=row.sent_at)
            if row.crashes + 1 >= CRASHES:
                self.changes.set(
                    row, DEAD, crashes=row.crashes + 1, code="QUARANTINED", who="administrator",
                    reason="This record stopped its worker three times; it waits for a person.",
                )  # fmt: skip
                self.tell(row)
                continue
            due = max(self.now, (row.sent_at or self.now) + RESOLVE_AFTER)
            self.changes.set(
                row, UNCERTAIN, crashes=row.crashes + 1, due_at=due, code="CRASHED_WHILE_SENDING", who="nobody"
            )
        # Whoever waited for an answer did not get it.
        promise = update(message).where(message.c.id.in_([row.id for row in rows])).values(write_back=True)
        self.writing.connection.execute(promise)

    def settle_error(self, row: Row[Any], error: Rejected) -> None:
        self.changes.set(
            row, REJECTED, code=error.code, reason=error.message, who=error.who, field=error.field, detail=error.detail
        )
        self.tell(row)

    def tell(self, row: Row[Any]) -> None:
        """Have the state written back to Salesforce when nobody is waiting for an answer, and there is a record."""
        if row.write_back and row.sync in self.syncs.pushes and "@deleted" not in self.source(row):
            write_back(self.writing, [(row.source_kind, row.source_id)])

    def _work(self, row: Row[Any], push: Push | None, pull: Pull | None) -> Work | None:
        if push:
            return self._push(row, push)
        if pull:
            return self._pull(row, pull)
        if row.sync == totals.SYNC:
            return self._balance(row)
        if row.sync == status.SYNC:
            return self._status(row)
        if row.sync not in records.NAMES and self.now - row.created_at < HORIZON:
            return self._put_off([row], self.now + NEWER, "SYNC_UNKNOWN_HERE")  # a newer version beside us knows it
        return self._hold(row, "This site has switched this sync off.", "SYNC_SWITCHED_OFF", "administrator")

    # --- to NetSuite ---

    def _push(self, row: Row[Any], push: Push) -> Work | None:
        source, known = self.source(row), self.links.get((row.sync, row.source_id))
        if lateness.is_late(row, known, self.ended):
            self.changes.set(row, SUPERSEDED)
            return None
        if source.get("@deleted"):
            return self._deleted(row, push, known, source["@deleted"])
        if plain.ERASED in source:
            return self._hold(row, "What it said was erased; save the record again to send it.", "ERASED")
        if known and merging.may_be_back(row, known):
            again = merging.back(self.writing, row, push, known)
            if isinstance(again, str):
                self.prepared.returned.add(row.source_id)
                return self._wait(row, again, "Waiting until it is known whether it is still merged.")
            known = merging.relinked(row, again, self.links, self.led_on)
        if stopped := merging.stopped(push, known):
            return self._hold(row, stopped, "MERGED_AWAY", "accounting")
        merging.must_be_there(push, known, row)
        if (stop := leaving.outside(push, known, source, self.syncs.context)) is not None:
            return self._last(row, push, stop)
        if (closed := push.held(source, self.syncs.context)) is not None:
            return self._last(row, push, leaving.closed(push, known, closed, source, self.syncs.context))
        if (after := self._parents(row, push, source)) is None:
            return None
        record = push.record(row.source_id, source, self.syncs.context)
        if known and known.external_id:
            # After a merge the record may be known by the external id of the one that is gone.
            record = replace(record, ref=replace(record.ref, external_id=known.external_id))
        # Before our ids become NetSuite's: a parent made in the same call must not look like a change at the next save.
        lasting = push.lasting(record)
        mark = plain.fingerprint([record.ref.external_id, dict(lasting.fields)])
        if self._same(row, known, mark):
            return None
        record = lasting if known else push.following(record, self.links, row.source_id)
        if known and known.fingerprint.startswith(CLOSED):
            record = push.reopened(record)
        if known and not row.forced and row.state != UNCERTAIN and loops.circles(row, self.sent):
            raise Rejected(loops.SENTENCE, code="LOOP_BROKEN")
        own, lease = self._own(record, push, source), self.leases[row.lane]
        doubted = merging.is_doubted(self.writing, push, known)
        return Work(row, lease, push, [own], known, mark, row.state == UNCERTAIN, after=after, doubted=doubted)

    def _deleted(self, row: Row[Any], push: Push, known: Link | None, into: str | bool) -> Work | None:
        is_merged = isinstance(into, str) and row.source_kind == "Account"
        if is_merged and row.code != merging.CHILDREN_READ:
            return self._wait(
                row, merging.WAITING, f"Waiting until what belonged to it was read again as part of {into}."
            )
        if is_merged:
            code, who, reason = merging.told(row, known, self.links.get((row.sync, str(into))), str(into))
            return self._hold(row, reason, code, who)
        left = lateness.has_left(self.writing.connection, row, leaving.AFTER)
        what = leaving.deleted(push, known, self.syncs.context, has_left=left)
        if isinstance(what, Record) and row.state != UNCERTAIN and row.code != leaving.LOOKED:
            self.prepared.leaving.add(row.source_id)
            return self._wait(row, leaving.LOOKING, "Waiting until it is known whether an order of it is open.")
        return self._last(row, push, what, leaves=True)

    def _wait(self, row: Row[Any], code: str, reason: str) -> Work | None:
        """Put *row* off until something was looked up, which wakes it, or until it is time to ask again."""
        self.changes.set(row, DEFERRED, due_at=self.now + merging.AGAIN, code=code, who="nobody", reason=reason)
        return None

    def _same(self, row: Row[Any], known: Link | None, mark: str) -> bool:
        """Settle *row* as unchanged if what it would write is what was last written."""
        if known is None or known.fingerprint != mark or row.forced or row.state == UNCERTAIN:
            return False
        self.same.append(row)
        self.changes.set(row, UNCHANGED, target_kind=known.target_kind, target_id=known.target_id)
        links.save(self.writing, [replace(known, version=row.version, modified_at=row.modified_at)])
        # The trigger that raises the version has reset what Salesforce shows, or it was told that this is on its way.
        # Else it is our own write-back that came round again, and telling once more would go on for ever.
        if row.version != known.version or not row.version or was_told(self.writing.connection, row):
            self.tell(row)
        return True

    def _last(self, row: Row[Any], push: Push, what: leaving.Stop | Record, *, leaves: bool = False) -> Work | None:
        """Say in NetSuite that a record is over, or why nothing is said there."""
        known = self.links.get((row.sync, row.source_id))
        if isinstance(what, leaving.Stop):
            return self._hold(row, what.reason, what.code, what.who)
        mark = (CLOSED + plain.fingerprint([what.ref.external_id, dict(what.fields)]))[:40]
        if self._same(row, known, mark):
            return None
        last, lease = [self._own(what, push, self.source(row))], self.leases[row.lane]
        return Work(row, lease, push, last, known, mark, row.state == UNCERTAIN, leaves)

    def _hold(self, row: Row[Any], reason: str, code: str, who: str = "sales") -> Work | None:
        self.changes.set(row, HELD, code=code, reason=reason, who=who)
        self.tell(row)
        return None

    def _parents(self, row: Row[Any], push: Push, source: Mapping[str, Any]) -> frozenset[str] | None:
        """Return the records of this batch that must come first; None when the message must wait for others."""
        first: set[str] = set()
        for to, parent_id in push.links(source):
            if (to, parent_id) in self.links or (to, parent_id) == (push.name, row.source_id):
                continue
            if to not in self.syncs.pushes:  # switched off at this site
                continue
            if f"{to}:{parent_id}" in self.chosen and not push.needs_id(to):
                first.add(f"{to}:{parent_id}")
                continue
            parent = self.syncs.pushes[to]
            waits, words = f"{to}:{parent_id}", f"the {parent.label.lower()} {parent_id}"
            if unit.is_held(self.writing.connection, to, parent_id, leaving.OUTSIDE):
                held = f"Out of scope, as {words} is."
                self.changes.set(row, HELD, waits_for=waits, code=leaving.OUTSIDE, reason=held, who="sales")
                self.tell(row)
                return None
            if self.now - row.created_at > HORIZON:
                # Still freed by its parent, should that ever come.
                self.changes.set(
                    row, DEAD, waits_for=waits, code="PARENT_NEVER_CAME", who="administrator",
                    reason=f"It waited for {words} for {int(HORIZON.total_seconds() // 3600)} hours.",
                )  # fmt: skip
                self.tell(row)
                return None
            self.changes.set(
                row, DEFERRED, waits_for=waits, due_at=self.now + look_again_after(self.now - row.created_at),
                code="WAITING_FOR_PARENT", who="nobody", reason=f"Waiting for {words}.", say=row.state != DEFERRED,
            )  # fmt: skip
            self.prepared.missing.add((to, parent.source, parent_id))
            return None
        return frozenset(first)

    def _own(self, record: Record, push: Push, source: Mapping[str, Any]) -> Record:
        linked = {
            pair: found for pair in push.links(source) if (found := self.led_on.get(pair) or self.links.get(pair))
        }
        return by_own_ids(record, linked, self.syncs)

    # --- to Salesforce ---

    def _pull(self, row: Row[Any], pull: Pull) -> Work | None:
        source, known = self.source(row), self.links.get((row.sync, row.source_id))
        if known and (row.version, row.modified_at) < (known.version, known.modified_at):
            self.changes.set(row, SUPERSEDED)
            return None
        records = mapped(source, pull, self.syncs)
        led = leads(self.writing.connection, records, self.syncs)
        found = mirrored(source, records, led, pull, known, self.syncs)
        if not found.records and not found.gone:
            self.changes.set(
                row, HELD, waits_for=found.unled, code="NOT_OURS", reason="Nothing in Salesforce belongs to it.",
                who="nobody",
            )  # fmt: skip
            return None
        mark = found.mark
        if not found.gone and self._same(row, known, mark):
            return None
        return Work(
            row, self.leases[row.lane], pull, [*found.records, *found.gone], known, mark,
            keys=found.keys, rows=found.lines, unled=found.unled,
        )  # fmt: skip

    def _balance(self, row: Row[Any]) -> Work | None:
        if (pull := next((it for it in self.syncs.pulls.values() if it.totals is not None), None)) is None:
            self.changes.set(row, SUPERSEDED)
            return None
        site = self.syncs.context.site
        return Work(row, self.leases[row.lane], pull, [], parts={it: site[it] for it in ("currency", "rate_of")})

    def _status(self, row: Row[Any]) -> Work | None:
        if (found := standing(self.writing.connection, [row.source_id], self.url).get(row.source_id)) is None:
            self.changes.set(row, SUPERSEDED)
            return None
        record = status.stamp(row.source_kind, row.source_id, found.state, found.made, found.error, self.now)
        return Work(row, self.leases[row.lane], None, [record])

    def _take(self, work: Work) -> bool:
        """Mark *work* as being sent, unless the batch is full."""
        weight = work.weight
        if self.load[work.system] and self.load[work.system] + weight > 1 + 1e-9:
            return False
        self.load[work.system] += weight
        self.chosen.add(work.name)
        work.sent_at = self.now
        self.trials.discard(work.row.sync)
        self.changes.set(work.row, SENDING, attempts=work.row.attempts + 1, sent_at=self.now)
        self.prepared.work.append(work)
        return True


def write_back(writing: Writing, about: Iterable[tuple[str, str]], sync: str = status.SYNC) -> None:
    """Queue the write-back of Salesforce records' status (or balance); what it says is read when it is sent."""
    version = int(writing.now.timestamp() * 1_000_000)
    new = [
        messages.New(sync, kind, salesforce_id, version, writing.now, sync, "{}", "bridge", write_back=False)
        for kind, salesforce_id in dict.fromkeys(about)
    ]
    messages.accept(writing, new, f"{sync}-{version}")
