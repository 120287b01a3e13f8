"""Bulk API 2.0: ingest jobs and query jobs over CSV.

``Bulk`` adds the route ``jobs``. Uploaded rows are saved in chunks of 200, each a transaction with its triggers, on a
background thread; JobComplete says that the job ended, not that its rows were saved.

Source: Bulk API 2.0 Developer Guide, "Bulk API 2.0 Ingest", "Query" and "How Requests Are Processed".

Must not know: WSGI, tokens.
"""

from __future__ import annotations

import csv
import io
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from bridge.sandbox.salesforce_http import Reply, Request
from bridge.sandbox.salesforce_org import MultipleChoices, Org
from bridge.sandbox.salesforce_rest import Rest
from bridge.sandbox.salesforce_schema import SObjectType
from bridge.sandbox.salesforce_tables import Row, Transaction, User
from bridge.sandbox.salesforce_values import NUMBER_TYPES, NotImitated, Refused, as_id, base62, id18, stamp_text
from bridge.sandbox.soql import parse
from bridge.sandbox.soql_run import Run

CHUNK = 200  # rows of one trigger call
MAX_BYTES = 150 * 1024 * 1024  # of one job, counted in base64: 4/3 of the CSV
ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
DELIMITERS = {"COMMA": ",", "TAB": "\t", "SEMICOLON": ";", "PIPE": "|", "CARET": "^", "BACKQUOTE": "`"}
OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete")
CSV_TYPE = "text/csv"


@dataclass
class Job:
    """One job. *good*, *bad*, *left* are rows with their ``sf__`` columns."""

    id: str
    operation: str
    object: str
    user: User
    created: datetime
    version: str
    ending: str = "LF"
    delimiter: str = "COMMA"
    key: str | None = None
    query: str | None = None
    state: str = "Open"
    message: str | None = None
    raw: bytes | None = None
    columns: list[str] = field(default_factory=list)
    good: list[list[str]] = field(default_factory=list)
    bad: list[list[str]] = field(default_factory=list)
    left: list[list[str]] = field(default_factory=list)
    results: list[list[str]] = field(default_factory=list)
    touched: datetime | None = None


class Bulk:
    """The routes below ``jobs``."""

    def __init__(self, rest: Rest, org: Org) -> None:
        self.rest, self.org = rest, org
        self.page_size = 50_000  # rows of one query result page, unless the caller asks for fewer
        self._jobs: dict[str, Job] = {}
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="bulk")
        self._running: set[Future[None]] = set()
        self._lock = threading.Lock()
        rest.routes["jobs"] = self.handle

    def drain(self, timeout_s: float = 60.0) -> None:
        """Wait until uploaded jobs have ended."""
        for future in list(self._running):
            future.result(timeout=timeout_s)

    def close(self) -> None:
        """Start no more jobs."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def handle(self, request: Request) -> Reply:
        """``jobs/ingest…`` and ``jobs/query…``."""
        steps = request.steps[1:]
        if not steps or steps[0] not in ("ingest", "query"):
            raise NotImitated(f"/{'/'.join(request.steps)}")
        is_query = steps[0] == "query"
        if len(steps) == 1:
            if request.method == "GET":
                request.only()
                found = [self._shown(one) for one in self._jobs.values() if (one.query is not None) == is_query]
                return Reply(200, {"done": True, "records": found, "nextRecordsUrl": None})
            if request.method != "POST":
                raise request.refuse_method("GET", "POST")
            request.only()
            job = self._open_query(request) if is_query else self._open_ingest(request)
            return Reply(200, self._shown(job))
        job = self._jobs.get(as_id(steps[1]) or "") or _missing()
        if (job.query is not None) != is_query:
            _missing()
        if len(steps) == 2:
            return self._one(request, job)
        if len(steps) == 3:
            if is_query and steps[2] == "results" and request.method == "GET":
                return self._query_results(request, job)
            if not is_query:
                return self._ingest_part(request, job, steps[2])
        raise NotImitated(f"/{'/'.join(request.steps)}")

    def _one(self, request: Request, job: Job) -> Reply:
        request.only()
        if request.method == "GET":
            return Reply(200, self._shown(job))
        if request.method == "DELETE":
            if job.state not in ("JobComplete", "Aborted", "Failed", "UploadComplete"):
                raise Refused("API_ERROR", f"Error encountered when deleting the job: it is {job.state}")
            del self._jobs[job.id]
            return Reply(204)
        if request.method != "PATCH":
            raise request.refuse_method("GET", "PATCH", "DELETE")
        state = request.fields().get("state")
        if state == "Aborted" and job.state in ("Open", "UploadComplete", "InProgress"):
            job.state = "Aborted"
        elif state == "UploadComplete" and job.state == "Open" and job.query is None:
            if job.raw is None:
                raise Refused("INVALIDJOBSTATE", "no data was uploaded for this job")
            self._start(job, self._ingest)
        else:
            raise Refused("INVALIDJOBSTATE", f"a job that is {job.state} cannot become {state}")
        return Reply(200, self._shown(job))

    def _start(self, job: Job, work: Callable[[Job], None]) -> None:
        job.state = "UploadComplete"
        future = self._pool.submit(work, job)
        with self._lock:
            self._running.add(future)
        future.add_done_callback(self._running.discard)

    def _shown(self, job: Job) -> Row:
        made: Row = {"id": job.id, "operation": job.operation, "object": job.object, "createdById": job.user.id}
        made |= {"createdDate": job.created, "systemModstamp": job.touched or job.created, "state": job.state}
        made |= {"concurrencyMode": "Parallel", "contentType": "CSV", "apiVersion": Decimal(job.version)}
        made |= {"lineEnding": job.ending, "columnDelimiter": job.delimiter}
        if job.query is not None:
            made |= {"jobType": "V2Query", "numberRecordsProcessed": len(job.results)}
        else:
            made |= {"jobType": "V2Ingest", "numberRecordsProcessed": len(job.good) + len(job.bad)}
            made |= {"numberRecordsFailed": len(job.bad), "retries": 0, "totalProcessingTime": 0}
            made["contentUrl"] = f"services/data/v{job.version}/jobs/ingest/{job.id}/batches"
            if job.key:
                made["externalIdFieldName"] = job.key
        if job.message:
            made["errorMessage"] = job.message
        return made

    def _new(self, request: Request, operation: str, kind: str, body: Row) -> Job:
        ending, delimiter = body.pop("lineEnding", "LF"), body.pop("columnDelimiter", "COMMA")
        if body.pop("contentType", "CSV") != "CSV" or ending not in ENDINGS or delimiter not in DELIMITERS:
            raise Refused("INVALIDJOB", "contentType, lineEnding or columnDelimiter is not valid")
        if body:
            raise NotImitated(f"job option {', '.join(sorted(body))}")
        with self._lock:
            record_id = id18(f"7505e00000{base62(len(self._jobs) + secrets.randbelow(1000) * 1000 + 1, 5)}")
            job = Job(record_id, operation, kind, request.user, self.org.now(), request.version, ending, delimiter)
            self._jobs[record_id] = job
        return job

    # --- ingest -------------------------------------------------------------------------------------------------

    def _open_ingest(self, request: Request) -> Job:
        body = dict(request.fields())
        operation, name = body.pop("operation", None), body.pop("object", None)
        key = body.pop("externalIdFieldName", None)
        if operation not in OPERATIONS:
            raise Refused("INVALIDJOB", f"operation {operation!r} is not valid")
        if operation == "hardDelete":
            raise NotImitated("bulk operation hardDelete")
        kind = self.org.schema.get(str(name))
        if kind is None:
            raise Refused("INVALIDENTITY", f"Unable to find object: {name}")
        if (operation == "upsert") != (key is not None):
            raise Refused("INVALIDJOB", "externalIdFieldName belongs to upsert, and upsert needs it")
        if key is not None:
            key = self.org.key_field(kind, str(key)).name
        job = self._new(request, str(operation), kind.name, body)
        job.key = key
        return job

    def _ingest_part(self, request: Request, job: Job, part: str) -> Reply:
        request.only()
        if part == "batches" and request.method == "PUT":
            if request.headers["content-type"].split(";")[0].strip() != CSV_TYPE:
                raise Refused("UNSUPPORTED_MEDIA_TYPE", "the batch must be text/csv", status=415)
            if job.state != "Open" or job.raw is not None:
                raise Refused("INVALIDJOBSTATE", "data can be uploaded once, while the job is Open")
            if len(request.raw) * 4 // 3 > MAX_BYTES:
                raise Refused("EXCEEDED_MAX_SIZE", "maximum upload size exceeded", status=413)
            job.raw = request.raw
            return Reply(201)
        rows, extra = {
            "successfulresults": (job.good, ["sf__Id", "sf__Created"]),
            "failedresults": (job.bad, ["sf__Id", "sf__Error"]),
            "unprocessedrecords": (job.left, []),
        }.get(part.lower(), (None, []))
        if rows is None or request.method != "GET":
            raise NotImitated(f"{request.method} jobs/ingest/{part}")
        if job.state not in ("JobComplete", "Failed", "Aborted"):
            raise Refused("INVALIDJOBSTATE", f"results are not there while the job is {job.state}")
        return Reply(200, _csv([[*extra, *job.columns], *rows], job), content_type=CSV_TYPE)

    def _ingest(self, job: Job) -> None:
        """Read the CSV and save it. A row that is refused does not stop the job."""
        self.org.before_job(job.object)
        if job.state == "Aborted":
            return
        job.state, job.touched = "InProgress", self.org.now()
        try:
            kind = self.org.schema.type(job.object)
            rows = self._read_csv(job)
            readers = [self._column(kind, job, name) for name in job.columns]
        except Refused as error:
            job.message = f"InvalidBatch : {error.message}"
            job.state, job.touched = "Failed", self.org.now()
            return
        for start in range(0, len(rows), CHUNK):
            if job.state == "Aborted":
                job.left.extend(rows[start:])
                return
            chunk = rows[start : start + CHUNK]
            with self.org.transaction(job.user) as transaction:
                failed = len(job.bad)
                for cells in chunk:
                    self._row(transaction, kind, job, readers, cells)
                transaction.partial = failed < len(job.bad) < failed + len(chunk)
        job.state, job.touched = "JobComplete", self.org.now()

    def _read_csv(self, job: Job) -> list[list[str]]:
        text = (job.raw or b"").decode("utf-8-sig")
        end = "CRLF" if "\r\n" in text else "LF"
        if "\n" in text and end != job.ending:
            words = f"LineEnding is invalid on user data. Current LineEnding setting is {job.ending}"
            raise Refused("InvalidBatch", words)
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[job.delimiter]))
        rows = [row for row in rows if row]
        if not rows:
            raise Refused("InvalidBatch", "The CSV has no header row")
        job.columns = rows[0]
        if any(len(row) != len(job.columns) for row in rows[1:]):
            raise Refused("InvalidBatch", "a row has more or fewer columns than the header")
        return rows[1:]

    def _column(self, kind: SObjectType, job: Job, name: str) -> Callable[[str], tuple[str, Any]]:
        """How a cell of column *name* becomes a value. Raises ``Refused`` for an unknown column: the job fails."""
        relation, dot, key = name.partition(".")
        if dot:
            one = kind.relationships.get(relation.lower())
            if one is None or not self.org.schema.type(one.reference_to or "").field(key).is_key:
                raise Refused("InvalidBatch", f"Field name not found : {name}")
            return lambda text: (one.name, None) if text == "#N/A" else (relation, {key: text})
        found = kind.fields.get(name.lower())
        if found is None:
            raise Refused("InvalidBatch", f"Field name not found : {name}")
        if found.type == "boolean":
            known = {"true": True, "1": True, "false": False, "0": False}
            return lambda text: (found.name, known.get(text.lower(), text))
        if found.type in NUMBER_TYPES:
            return lambda text: (found.name, None if text == "#N/A" else text)
        return lambda text: (found.name, None if text == "#N/A" else text)

    def _row(
        self,
        transaction: Transaction,
        kind: SObjectType,
        job: Job,
        readers: list[Callable[[str], tuple[str, Any]]],
        cells: list[str],
    ) -> None:
        # An empty cell changes nothing; #N/A clears (Bulk API 2.0 Guide, "Valid CSV Record Rows").
        values = dict(read(cell) for read, cell in zip(readers, cells, strict=True) if cell != "")
        mark = transaction.mark()
        record_id, created = str(values.pop("Id", "")), job.operation == "insert"
        try:
            if job.operation in ("update", "delete") and not record_id:
                raise Refused("MISSING_ARGUMENT", f"Id not specified in {job.operation} call", fields=("Id",))
            if job.operation == "insert":
                record_id = self.org.insert(transaction, kind.name, values)
            elif job.operation == "update":
                self.org.update(transaction, kind.name, record_id, values)
            elif job.operation == "delete":
                self.org.delete(transaction, kind.name, record_id)
            else:
                key = record_id if job.key == "Id" else values.pop(job.key or "", None)
                if not key:
                    raise Refused("MISSING_ARGUMENT", f"{job.key} not specified")
                record_id, created = self.org.upsert(transaction, kind.name, job.key or "", str(key), values)
            job.good.append([as_id(record_id) or record_id, str(created).lower(), *cells])
        except Refused as error:
            transaction.back_to(mark)
            job.bad.append(["", f"{error.code}:{error.message}:{','.join(error.fields)} --", *cells])
        except MultipleChoices as error:
            transaction.back_to(mark)
            job.bad.append(["", f"DUPLICATE_EXTERNAL_ID:{' '.join(error.ids)}: --", *cells])

    # --- query --------------------------------------------------------------------------------------------------

    def _open_query(self, request: Request) -> Job:
        body = dict(request.fields())
        operation, soql = body.pop("operation", None), body.pop("query", None)
        if operation not in ("query", "queryAll") or not isinstance(soql, str):
            raise Refused("INVALIDJOB", "operation must be query or queryAll, with a query")
        query = parse(soql)
        run = Run(self.org, query, version=request.version, deleted=operation == "queryAll")
        if query.is_aggregate or run.children or query.offset:
            # Source: Bulk API 2.0 Guide, "Query": no aggregates, no child queries, no OFFSET.
            raise Refused("API_ERROR", "the query is not supported by Bulk API 2.0")
        job = self._new(request, operation, run.kind.name, body)
        job.query = soql
        job.columns = [str(one) for one in query.select]
        self._start(job, self._query)
        return job

    def _query(self, job: Job) -> None:
        job.state = "InProgress"
        deleted = job.operation == "queryAll"
        run = Run(self.org, parse(job.query or ""), version=job.version, deleted=deleted)
        for record in run.records():
            cells = []
            for parents, last in run.columns:
                held: Any = record
                for one in parents:
                    held = held and held.get(one.relationship)
                cells.append(_cell(held.get(last.name) if held else None))
            job.results.append(cells)
        job.state, job.touched = "JobComplete", self.org.now()

    def _query_results(self, request: Request, job: Job) -> Reply:
        request.only("locator", "maxRecords")
        if job.state != "JobComplete":
            raise Refused("INVALIDJOBSTATE", f"results are not there while the job is {job.state}")
        locator, most = request.query.get("locator", "0"), request.query.get("maxRecords", str(self.page_size))
        if not locator.isdigit() or not most.isdigit() or int(most) < 1:
            raise Refused("INVALID_QUERY_LOCATOR", "invalid query locator")
        start, size = int(locator), min(int(most), self.page_size)
        rows = job.results[start : start + size]
        after = str(start + size) if start + size < len(job.results) else "null"
        headers = (("Sforce-Locator", after), ("Sforce-NumberOfRecords", str(len(rows))))
        return Reply(200, _csv([job.columns, *rows], job), headers=headers, content_type=CSV_TYPE)


def _missing() -> Job:
    raise Refused("NOT_FOUND", "The requested resource does not exist", status=404)


def _csv(rows: list[list[str]], job: Job) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(
        out, delimiter=DELIMITERS[job.delimiter], quoting=csv.QUOTE_ALL, lineterminator=ENDINGS[job.ending]
    )
    writer.writerows(rows)
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return stamp_text(value, zone="Z")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
