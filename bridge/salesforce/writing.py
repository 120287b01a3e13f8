"""Many records into Salesforce: grouped by object, at most 200 a call, each record settled on its own.

``Writer.upsert`` is the way in. Records of one object go in waves, so that two writes of one key never share a call or
overtake each other; the calls of a wave run side by side.

Must not know: tokens, queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from bridge.errors import BridgeError, Deferred, Misconfigured, Rejected, Uncertain
from bridge.ports import Jobs, Record, Ref, Written
from bridge.salesforce import bulk, faults
from bridge.salesforce.connection import Connection
from bridge.salesforce.shapes import Shapes
from bridge.salesforce.values import UPSERT_KEY, NotAnId, id18, is_name, relationship, row_bytes, wire_fields

MOST_ROWS = 200  # of one collection call (REST API Developer Guide, "sObject Collections")
LOCK_RETRY_ROWS = 50  # rows of one call when they are tried again after a lock error
SIDE_BY_SIDE = 5  # calls at once: ten times fewer seconds than one by one, and far from Salesforce's limit of 25
BULK_ABOVE = 2_000  # rows of one object (Bulk API 2.0 Guide, "Bulk API 2.0 Ingest": recommended above 2,000)
HALVINGS = 24  # calls spent on finding the records that make Salesforce refuse a whole call
PARENTS = ("Order__c", "Application__c", "Account__c", "AccountId", "OpportunityId")
NAMING = frozenset(("id", "attributes"))  # what says which record a row is; no field of it
NAMING_BY_KEY = NAMING | {UPSERT_KEY.lower()}
CREATE_ONLY = "INVALID_FIELD_FOR_INSERT_UPDATE"

Outcome = Written | BridgeError


@dataclass(slots=True)  # not frozen, which takes three times as long to make
class Row:
    """One record ready to be sent. *place* is its place in the caller's list, *id* or *key* says which it is."""

    place: int
    kind: str
    id: str | None
    key: str | None
    fields: Mapping[str, Any]
    parent: str

    @property
    def identity(self) -> str:
        """What makes two rows the same record; external ids ignore case."""
        return self.id or (self.key or "").casefold()

    def body(self) -> dict[str, Any]:
        """The row as it stands in a request."""
        named = {"id": self.id} if self.id else {UPSERT_KEY: self.key}
        return {"attributes": {"type": self.kind}, **named, **self.fields}

    def written(self, salesforce_id: str) -> Written:
        return Written(Ref(self.kind, id=salesforce_id, external_id=self.key))


@dataclass
class Run:
    """One upsert under way: outcomes by place, and what stops the rest of it."""

    interactive: bool
    jobs: Jobs | None = None
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    stopped: BridgeError | None = None
    halvings: int = HALVINGS

    def settle(self, rows: Sequence[Row], outcome: Outcome) -> None:
        for row in rows:
            self.outcomes[row.place] = outcome

    def stop(self, error: BridgeError) -> None:
        """A whole call failed in a way that the next would too: do not wait for each of them."""
        if isinstance(error, Uncertain):
            words = "Salesforce stopped answering; this record was not sent yet."
            self.stopped = Deferred(words, code="NOT_SENT", detail=error.detail)
        elif isinstance(error, Deferred) and error.code != faults.LOCKED:
            self.stopped = error


class Writer:
    """Writes records. Safe to share between threads.

    Args:
        bulk: writes the rows of one object by a bulk job, which is told before it starts, and settles each.
        bulk_above: rows of one object above which that is used.
    """

    def __init__(
        self,
        connection: Connection,
        shapes: Shapes,
        *,
        bulk: Callable[[Sequence[Row], Jobs | None], list[Outcome]],
        bulk_above: int = BULK_ABOVE,
    ) -> None:
        self._connection, self._shapes = connection, shapes
        self._bulk, self._bulk_above = bulk, bulk_above
        self._pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="salesforce")  # starts no thread yet

    def close(self) -> None:
        """Stop the threads that made calls side by side."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def upsert(self, records: Sequence[Record], *, interactive: bool, jobs: Jobs | None = None) -> list[Outcome]:
        """Settle every record, in order. Never raises a BridgeError."""
        run = Run(interactive, jobs)
        groups: dict[tuple[str, bool], list[Row]] = {}
        for place, record in enumerate(records):
            try:
                row = as_row(place, record)
                groups.setdefault((row.kind, row.id is not None), []).append(row)
            except Rejected as error:
                run.outcomes[place] = error
        for rows in groups.values():
            for wave in waves(rows):
                self._wave(run, wave)
        self._blame_parents(run, records)
        return [run.outcomes[place] for place in range(len(records))]

    # --- one object -------------------------------------------------------------------------------------------------

    def _wave(self, run: Run, rows: list[Row]) -> None:
        if len(rows) > MOST_ROWS:
            rows = sorted(rows, key=lambda row: row.parent)  # stable: two calls at once rarely share a parent
        if len(rows) > self._bulk_above:
            self._in_bulk(run, rows)
        else:
            self._calls(run, chunks(rows, MOST_ROWS))
        locked = [row for row in rows if _code(run.outcomes[row.place]) == faults.LOCKED]
        if locked:
            locked.sort(key=lambda row: row.parent)
            for chunk in chunks(locked, LOCK_RETRY_ROWS):
                self._call(run, chunk)
        self._without_create_only(run, rows)
        self._judge_access(run, rows)

    def _in_bulk(self, run: Run, rows: list[Row]) -> None:
        by_call = {row.place for row in rows if any(map(_is_literal, row.fields.values()))}
        rest = [row for row in rows if row.place not in by_call]
        try:
            if run.stopped is None:
                self._pace(run)
        except Deferred as error:
            run.stopped = error
        except BridgeError as error:
            run.settle(rows, error)
            return
        if run.stopped is not None:
            run.settle(rows, run.stopped)
            return
        for row, outcome in zip(rest, self._bulk(rest, run.jobs), strict=True):
            run.outcomes[row.place] = outcome
            if isinstance(outcome, BridgeError) and (outcome.detail or "").endswith(bulk.FAILED):
                by_call.add(row.place)
        self._calls(run, chunks([row for row in rows if row.place in by_call], MOST_ROWS))

    def _calls(self, run: Run, batches: list[list[Row]]) -> None:
        if len(batches) == 1:
            self._call(run, batches[0])
        elif batches:
            list(self._pool.map(lambda batch: self._call(run, batch), batches))

    # --- one call ---------------------------------------------------------------------------------------------------

    def _call(self, run: Run, rows: list[Row]) -> None:
        """Send one collection and settle its rows."""
        ready, records = _written_out(run, rows)
        if not ready:
            return
        if run.stopped is not None:
            run.settle(ready, run.stopped)
            return
        try:
            self._pace(run)
            answer = self._connection.call(
                "PATCH",
                "composite/sobjects" if ready[0].id else f"composite/sobjects/{quote(ready[0].kind)}/{UPSERT_KEY}",
                body=b'{"allOrNone":false,"records":' + records + b"}",
                write=True,
            )
        except Rejected as error:
            self._halve(run, ready, error)
        except BridgeError as error:
            run.settle(ready, error)
            run.stop(error)
        else:
            for row, outcome in zip(ready, settled(ready, answer), strict=True):
                run.outcomes[row.place] = outcome

    def _halve(self, run: Run, rows: list[Row], error: Rejected) -> None:
        """Salesforce refused the call as a whole, as for a number that is no number: find the row that spoils it."""
        if len(rows) == 1 or run.halvings <= 0:
            run.settle(rows, error)
            return
        run.halvings -= 2
        middle = len(rows) // 2
        self._call(run, rows[:middle])
        self._call(run, rows[middle:])

    def _pace(self, run: Run) -> None:
        if not run.interactive:
            self._connection.pace()

    # --- second looks -----------------------------------------------------------------------------------------------

    def _without_create_only(self, run: Run, rows: list[Row]) -> None:
        """Send rows again without the fields that may be set only when a record is created, such as its master.

        An upsert cannot know beforehand whether it creates. Salesforce refuses such a field in an update even when its
        value is the same.
        """
        again: list[Row] = []
        for row in rows:
            outcome = run.outcomes[row.place]
            refused = isinstance(outcome, Misconfigured) and (outcome.detail or "").startswith(CREATE_ONLY)
            if not refused or row.id is not None:
                continue
            try:
                shape = self._shapes.of(row.kind)
            except BridgeError:
                return
            fixed = {it.name for it in shape.fields.values() if it.createable and not it.updateable}
            fixed |= {relationship(name) for name in fixed}
            if fixed & set(row.fields):
                again.append(replace(row, fields={n: v for n, v in row.fields.items() if n not in fixed}))
        self._calls(run, chunks(again, MOST_ROWS))

    def _judge_access(self, run: Run, rows: list[Row]) -> None:
        """Tell a record that our user may not change from an object that it may not change at all."""
        denied = [row for row in rows if _code(run.outcomes[row.place]).startswith("INSUFFICIENT_ACCESS")]
        if not denied:
            return
        try:
            shape = self._shapes.of(rows[0].kind)
        except Misconfigured as error:
            run.settle(denied, error)
            return
        except BridgeError:
            return
        if not shape.updateable or not (shape.createable or denied[0].id):
            words = f"The bridge's user may not write {faults.label(shape.name)} in Salesforce."
            run.settle(denied, Misconfigured(words, code=faults.PERMISSION))

    def _blame_parents(self, run: Run, records: Sequence[Record]) -> None:
        """A child whose parent failed in the same list shares its parent's fate: a retry alone would not help it."""
        failed = {
            (record.ref.kind, (record.ref.external_id or "").casefold()): outcome
            for place, record in enumerate(records)
            if isinstance(outcome := run.outcomes[place], BridgeError)
        }
        for place, record in enumerate(records):
            if _code(run.outcomes[place]) != faults.PARENT_MISSING:
                continue
            for value in record.fields.values():
                if isinstance(value, Ref) and value.external_id:
                    blamed = failed.get((value.kind, value.external_id.casefold()))
                    if blamed is not None and blamed is not run.outcomes[place]:
                        run.outcomes[place] = blamed


def _written_out(run: Run, rows: Sequence[Row]) -> tuple[list[Row], bytes]:
    """Return the rows that can be sent, and those as a JSON list; what cannot be written as JSON is settled."""
    try:
        return list(rows), row_bytes([row.body() for row in rows])
    except Rejected:
        pass  # one of them spoils it
    ready: list[Row] = []
    bodies: list[bytes] = []
    for row in rows:
        try:
            bodies.append(row_bytes(row.body()))
            ready.append(row)
        except Rejected as error:
            run.outcomes[row.place] = error
    return ready, b"[" + b",".join(bodies) + b"]"


def as_row(place: int, record: Record) -> Row:
    """Return *record* ready to be sent. Raises Rejected for what no Salesforce could take."""
    ref = record.ref
    if not is_name(ref.kind):
        raise Rejected("The record's kind is not a Salesforce object.", code="BAD_VALUE", detail=ref.kind[:80])
    try:
        salesforce_id = id18(ref.id) if ref.id else None
    except NotAnId as error:
        raise Rejected("The record's id is not a Salesforce id.", code="MALFORMED_ID", detail=str(error)) from error
    if salesforce_id is None and not (ref.external_id and ref.external_id.strip()):
        raise Rejected("The record has neither an id nor a key.", code="NO_KEY", detail=ref.kind)
    named = NAMING if salesforce_id else NAMING_BY_KEY
    fields = wire_fields(record.fields)
    if not named.isdisjoint(map(str.lower, fields)):
        fields = {name: value for name, value in fields.items() if name.lower() not in named}
    parent = ""
    for name in PARENTS:
        first = record.fields.get(name)
        if first is not None:
            parent = str(first.id or first.external_id) if isinstance(first, Ref) else str(first)
            break
    return Row(place, ref.kind, salesforce_id, None if salesforce_id else ref.external_id, fields, parent)


def waves(rows: Sequence[Row]) -> list[list[Row]]:
    """Split *rows* so that no wave holds a record twice; the first write of each record is in the first wave."""
    made: list[list[Row]] = []
    seen: dict[str, int] = {}
    for row in rows:
        turn = seen.get(row.identity, 0)
        seen[row.identity] = turn + 1
        if turn == len(made):
            made.append([])
        made[turn].append(row)
    return made


def chunks(rows: Sequence[Row], most: int) -> list[list[Row]]:
    """Split *rows* into lists of at most *most*."""
    return [list(rows[start : start + most]) for start in range(0, len(rows), most)]


def settled(rows: Sequence[Row], answer: Any) -> list[Outcome]:
    """Return one outcome for each row; an answer that does not fit the rows settles none of them."""
    if not isinstance(answer, list) or len(answer) != len(rows):
        count = len(answer) if isinstance(answer, list) else 0
        return [_in_doubt(f"{count} answers for {len(rows)} records")] * len(rows)
    made = [_outcome(row, item) for row, item in zip(rows, answer, strict=True)]
    if any(type(it) is Uncertain and it.code == "WRONG_ORDER" for it in made):
        return [_in_doubt("the answers are not in the order of the records")] * len(rows)
    return made


def _outcome(row: Row, item: Any) -> Outcome:
    success = item.get("success") if type(item) is dict else None
    if success is True:
        try:
            found = id18(item.get("id"))
        except NotAnId as error:
            return _in_doubt(str(error))
        if row.id is not None and found != row.id:
            return Uncertain("Salesforce answered for another record.", code="WRONG_ORDER")
        return row.written(found)
    if success is False:
        errors = item.get("errors")
        return faults.of_row(errors[0] if isinstance(errors, list) and errors else None)
    return _in_doubt("an entry that says neither success nor failure")


def _is_literal(value: Any) -> bool:
    """Say whether a text must not stand in CSV, so that its row goes by a collection.

    There ``#N/A`` means null, and a carriage return ends a row or makes Salesforce refuse the whole job for its ends of
    lines.
    """
    return type(value) is str and ("\r" in value or value == "#N/A")


def _in_doubt(words: str) -> BridgeError:
    return faults.unreadable(write=True, detail=words)


def _code(outcome: Outcome) -> str:
    return outcome.code if isinstance(outcome, BridgeError) else ""
