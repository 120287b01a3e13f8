"""Bulk API 2.0 ingest: thousands of rows of one object in one job, each row settled by its key.

``Bulk.upsert`` makes a job, uploads CSV, waits and reads the three result files. simple-salesforce's own bulk2 keeps an
old token, waits up to a day and counts in whole seconds, so the six calls are made here.

A job that was told to start may have written rows whatever happens next: from then on a row is Written, refused, or in
doubt, never simply "failed". It also goes on when this process ends: whoever starts one says so first (`Jobs`), and who
writes after it asks whether it `has_ended`.

Source: Bulk API 2.0 and Bulk API Developer Guide, "Bulk API 2.0 Ingest"; "Prepare CSV Files".

Must not know: collections, queries.
"""

from __future__ import annotations

import csv
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from bridge.errors import BridgeError, Deferred, Misconfigured, Rejected, Uncertain
from bridge.ports import Jobs
from bridge.salesforce import faults
from bridge.salesforce.connection import Connection
from bridge.salesforce.values import UPSERT_KEY, NotAnId, id18, wire_instant, wire_number

if TYPE_CHECKING:
    from bridge.salesforce.writing import Outcome, Row

NULL = "#N/A"  # an empty cell means "leave as it is"
MOST_ROWS = 50_000  # of one job, so that its result files stay small
MOST_BYTES = 60_000_000  # Salesforce takes 150 MB, counted after base64
FIRST_WAIT_S, LONGEST_WAIT_S, GROWTH = 0.2, 5.0, 1.5
WHOLE_WAIT_S = 900.0
READ_TRIES = 3
FAILED = "the bulk job failed"
LEFT = "the bulk job was left running"
UNSAID = ("BULK_NOT_PROCESSED", "NO_READABLE_ANSWER")
ENDED = ("JobComplete", "Failed", "Aborted")
GONE = ("NOT_FOUND", "HTTP_404")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_JOB_ID = re.compile(r"[A-Za-z0-9]{15,18}")
_ERROR = re.compile(r"([A-Z][A-Z0-9_]*):(.*?)(?::([A-Za-z0-9_., ]*) ?--)?", re.DOTALL)


class Bulk:
    """Bulk jobs over *connection*. *sleep* waits between polls, in seconds.

    Once *leaving* is set no job is started or waited for: what runs is left to whoever writes next.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        sleep: Callable[[float], object],
        wait_s: float = WHOLE_WAIT_S,
        leaving: threading.Event | None = None,
    ) -> None:
        self._connection, self._sleep, self._wait_s = connection, sleep, wait_s
        self._leaving = leaving or threading.Event()

    def upsert(self, rows: Sequence[Row], jobs: Jobs | None = None) -> list[Outcome]:
        """Write *rows*, all of one object, no record twice, all by id or all by key. Never raises a BridgeError.

        *jobs* hears of each job before it starts; what that raises goes to the caller, and the job does not start.
        """
        outcomes: list[Outcome] = []
        failed: BridgeError | None = None
        for part in parts(rows):
            if failed is None:
                try:
                    outcomes += self._job(part, jobs)
                    continue
                except BridgeError as error:
                    failed = error
            outcomes += [failed] * len(part)
        return outcomes

    def _job(self, rows: Sequence[Row], jobs: Jobs | None) -> list[Outcome]:
        if self._leaving.is_set():
            raise Deferred("The bridge is being stopped; it goes on with its next start.", code="STOPPING")
        job_id = self._open(rows[0])
        path = f"jobs/ingest/{job_id}"
        try:
            self._connection.text("PUT", f"{path}/batches", body=as_csv(rows), content_type="text/csv; charset=UTF-8")
            if jobs is not None:
                jobs.started(job_id)
        except Exception:
            self._abort(path)
            raise
        state = self._begun(job_id)
        is_over = state in ENDED or (state == "Open" and self._is_stopped(job_id))
        if is_over and jobs is not None:
            jobs.ended(job_id)
        if state == "Open":
            raise Deferred("Salesforce did not start a bulk job; the bridge tries again.", code="BULK_NOT_STARTED")
        if state is None and self._leaving.is_set():
            return [_in_doubt(LEFT)] * len(rows)
        if state is None:
            self._abort(path)  # so that as little as can be still lands after what is sent next
            return [_in_doubt("the bulk job did not end in time")] * len(rows)
        try:
            found = self._results(path, rows)
        except BridgeError as error:
            return [_in_doubt(error.detail or error.message)] * len(rows)
        if state == "Failed":  # as for a column that is not there: why, only another way of writing tells
            return [_in_doubt(FAILED) if isinstance(it, BridgeError) and it.code in UNSAID else it for it in found]
        return found

    def _begun(self, job_id: str) -> str | None:
        """Tell the job to start, and return as `_ended` does."""
        path = f"jobs/ingest/{job_id}"
        try:
            self._connection.call("PATCH", path, body=b'{"state":"UploadComplete"}', write=True)
        except (Uncertain, Rejected):
            pass  # the job's state tells whether it was heard, or whether somebody has stopped it meanwhile
        except BridgeError:
            self._abort(path)
            raise
        return self._ended(path)

    def has_ended(self, job_id: str, *, stop: bool) -> bool:
        """Say whether the job writes nothing any more; with *stop* have it stop. Raises Deferred or Misconfigured.

        A job that Salesforce has forgotten has ended long ago.
        """
        path = f"jobs/ingest/{job_id}"
        try:
            state = self._state(path)
            if state not in ENDED and stop:
                with suppress(Rejected, Uncertain):  # it has just ended; its state tells
                    self._connection.call("PATCH", path, body=b'{"state":"Aborted"}', write=True)
                state = self._state(path)
        except Misconfigured as error:
            if (error.detail or "").startswith(GONE):
                return True
            raise
        return state in ENDED

    def _is_stopped(self, job_id: str) -> bool:
        try:
            return self.has_ended(job_id, stop=True)
        except BridgeError:
            return False

    def _state(self, path: str) -> str | None:
        answer = self._connection.call("GET", path)
        state = answer.get("state") if isinstance(answer, dict) else None
        return state if isinstance(state, str) else None

    def _open(self, row: Row) -> str:
        job: dict[str, Any] = {"object": row.kind, "contentType": "CSV", "lineEnding": "LF", "columnDelimiter": "COMMA"}
        if row.id:
            job["operation"] = "update"
        else:
            job |= {"operation": "upsert", "externalIdFieldName": UPSERT_KEY}
        # A job that was opened and not heard of writes nothing; Salesforce forgets it after seven days.
        answer = self._connection.call("POST", "jobs/ingest", body=orjson.dumps(job))
        job_id = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(job_id, str) or not _JOB_ID.fullmatch(job_id):
            raise faults.unreadable(write=False, detail="a bulk job without an id")
        return job_id

    def _abort(self, path: str) -> None:
        try:
            self._connection.call("PATCH", path, body=b'{"state":"Aborted"}')
        except BridgeError:
            return  # an open job writes nothing by itself

    def _ended(self, path: str) -> str | None:
        """Return the state in which the job ended, ``Open`` if it never started, None when that is not known."""
        ends = time.monotonic() + self._wait_s
        wait_s = FIRST_WAIT_S
        while time.monotonic() < ends:
            try:
                state = self._state(path)
                if state in ENDED or state == "Open":
                    return state
            except Deferred:
                pass  # asked again
            except Misconfigured:
                return None
            if self._leaving.is_set():
                return None
            self._sleep(wait_s)
            wait_s = min(wait_s * GROWTH, LONGEST_WAIT_S)
        return None

    def _results(self, path: str, rows: Sequence[Row]) -> list[Outcome]:
        by_id = rows[0].id is not None
        wanted = ("sf__Id", "sf__Error", "Id" if by_id else UPSERT_KEY)
        found: dict[str, list[Outcome]] = {}
        places = {row.identity: row for row in rows}
        for name in ("successfulResults", "failedResults", "unprocessedrecords"):
            for line in self._lines(f"{path}/{name}/", wanted):
                identity = _identity(line, by_id=by_id)
                row = places.get(identity)
                if row is not None:
                    found.setdefault(identity, []).append(_outcome(row, name, line))
        return [
            found[it.identity][0] if len(found.get(it.identity, ())) == 1 else _in_doubt("the bulk job does not tell")
            for it in rows
        ]

    def _lines(self, path: str, wanted: Sequence[str]) -> Iterator[dict[str, str]]:
        """Yield the *wanted* columns of a result file, those that it has."""
        for turn in range(READ_TRIES):
            try:
                text = self._connection.text("GET", path, content_type="text/csv")
                break
            except Deferred:
                if turn == READ_TRIES - 1:
                    raise
                self._sleep(FIRST_WAIT_S * (turn + 1))
        # Cut at ends of lines only, as they stand: a reader wants its lines with whatever ends inside of a cell.
        lines = csv.reader(match.group() for match in _LINE.finditer(text))
        places = [(name, place) for place, name in enumerate(next(lines, ())) if name in wanted]
        for line in lines:
            yield {name: line[place] for name, place in places if place < len(line)}


def parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Split *rows* into jobs."""
    part: list[Row] = []
    size = 0
    for row in rows:
        cost = sum(map(_width, row.fields.values())) + 84
        if part and (len(part) == MOST_ROWS or size + cost > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(row)
        size += cost
    if part:
        yield part


def _width(value: Any) -> int:
    """Return how many bytes the cell of *value* takes at most: a character has up to four, a number 120 of one."""
    text = value[UPSERT_KEY] if type(value) is dict else value
    return len(text) * 4 + 3 if isinstance(text, str) else 123


def as_csv(rows: Sequence[Row]) -> bytes:
    """Return the rows as CSV: a column for each field of any row, lookups by key as ``Rel__r.NetSuite_Key__c``."""
    columns = dict.fromkeys((name, type(value) is dict) for row in rows for name, value in row.fields.items())
    named = [(name, f"{name}.{UPSERT_KEY}" if is_key else name, is_key) for name, is_key in columns]
    target = _Encoded()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(["Id" if rows[0].id else UPSERT_KEY, *(column for _, column, _ in named)])
    for row in rows:
        fields = row.fields
        writer.writerow(
            [row.id or row.key,
             *("" if name not in fields or (type(fields[name]) is dict) != is_key else cell(fields[name])
               for name, _, is_key in named)]
        )  # fmt: skip
    return bytes(target)


class _Encoded(bytearray):
    """Takes text as bytes at once: io.StringIO would take four bytes for each character of thousands of rows."""

    def write(self, text: str) -> None:
        self.extend(text.encode("utf-8", "replace"))


def cell(value: Any) -> str:
    """Return one value as the text of a CSV cell. An empty text clears the field, as it does over REST."""
    if type(value) is str:
        return value or NULL
    if value is None or value == "":
        return NULL
    if isinstance(value, dict):
        return str(value[UPSERT_KEY])
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return wire_number(value)
    if isinstance(value, datetime):
        return wire_instant(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def _identity(line: dict[str, str], *, by_id: bool) -> str:
    if not by_id:
        return (line.get(UPSERT_KEY) or "").casefold()
    try:
        return id18(line.get("Id") or line.get("sf__Id") or "")
    except NotAnId:
        return ""


def _outcome(row: Row, name: str, line: dict[str, str]) -> Outcome:
    if name == "successfulResults":
        try:
            return row.written(id18(line.get("sf__Id") or ""))
        except NotAnId as error:
            return _in_doubt(str(error))
    if name == "failedResults":
        match = _ERROR.fullmatch(line.get("sf__Error") or "")
        if match is None:
            return faults.of_row({"statusCode": "UNKNOWN_ERROR", "message": line.get("sf__Error")})
        code, words, fields = match.groups()
        names = [it.strip() for it in (fields or "").split(",") if it.strip()]
        return faults.of_row({"statusCode": code, "message": words, "fields": names})
    return Deferred("The bulk job ended before this record; the bridge tries again.", code="BULK_NOT_PROCESSED")


def _in_doubt(words: str) -> BridgeError:
    return faults.unreadable(write=True, detail=words)
