"""Single records of the data API: sobjects, describe, queries with cursors, limits, updated and deleted.

``Rest.handle`` takes a ``Request`` and returns a ``Reply``; composite, collections and bulk are siblings it calls.

Source: REST API Developer Guide, "Reference"; statuses as seen on real orgs where the guide is silent.

Must not know: WSGI, tokens.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from bridge.sandbox.salesforce_describe import described, described_globally
from bridge.sandbox.salesforce_http import Reply, Request
from bridge.sandbox.salesforce_org import MultipleChoices, Org
from bridge.sandbox.salesforce_schema import SObjectType
from bridge.sandbox.salesforce_tables import Row
from bridge.sandbox.salesforce_values import NotImitated, Refused, as_id, instant
from bridge.sandbox.soql import parse
from bridge.sandbox.soql_run import Run, attributes

MAX_PAGE = 2000
MIN_PAGE = 200
LOCATOR_LIFE = timedelta(days=2)
Handler = Callable[[Request], Reply]


class Rest:
    """The routes that every client uses."""

    def __init__(self, org: Org, *, usage: Callable[[], tuple[int, int]]) -> None:
        self.org, self.usage = org, usage
        self.page_size = 1000  # rows of one page; the real server too may return fewer than asked
        self.routes: dict[str, Handler] = {
            "": self.resources,
            "sobjects": self.sobjects,
            "query": self.query,
            "queryAll": self.query,
            "limits": self.limits,
        }
        self._cursors: dict[str, tuple[datetime, list[Row], int, int, int]] = {}

    def handle(self, request: Request) -> Reply:
        """Answer *request*, errors included."""
        try:
            handler = self.routes.get(request.steps[0] if request.steps else "")
            if handler is None:
                raise NotImitated(f"/{'/'.join(request.steps)}")
            return handler(request)
        except Refused as error:
            return Reply(error.status, [error.as_error()])
        except MultipleChoices as error:
            base = f"{request.version_url()}/sobjects/{error.kind}"
            return Reply(300, [f"{base}/{one}" for one in error.ids])

    def resources(self, request: Request) -> Reply:
        """``GET /services/data/vXX.0``."""
        request.only()
        names = ("sobjects", "query", "queryAll", "composite", "limits", "jobs")
        return Reply(200, {name: f"{request.version_url()}/{name}" for name in names})

    def limits(self, request: Request) -> Reply:
        """``GET limits``."""
        request.only()
        used, most = self.usage()
        jobs = {"Max": 10000, "Remaining": 10000}
        daily = {"Max": most, "Remaining": max(0, most - used)}
        return Reply(200, {"DailyApiRequests": daily, "DailyBulkV2QueryJobs": jobs})

    # --- sobjects -----------------------------------------------------------------------------------------------

    def sobjects(self, request: Request) -> Reply:
        """``sobjects/…``."""
        steps = request.steps[1:]
        if not steps:
            request.only()
            return Reply(200, described_globally(self.org.schema, request.version_url()))
        kind = self.org.schema.type(steps[0])
        if len(steps) == 1:
            return self._object(request, kind)
        if len(steps) == 2 and steps[1] in ("describe", "updated", "deleted"):
            if request.method != "GET":
                raise request.refuse_method("HEAD", "GET")
            if steps[1] == "describe":
                request.only()
                return Reply(200, described(self.org.schema, kind, request.version_url()))
            return self._changes(request, kind, deleted=steps[1] == "deleted")
        if len(steps) == 2:
            return self._record(request, kind, steps[1])
        # A slash inside an external id value arrives here as one more step.
        return self._by_key(request, kind, steps[1], "/".join(steps[2:]))

    def _object(self, request: Request, kind: SObjectType) -> Reply:
        request.only()
        if request.method == "GET":
            basics = described_globally(self.org.schema, request.version_url())["sobjects"]
            mine = next(one for one in basics if one["name"] == kind.name)
            return Reply(200, {"objectDescribe": mine, "recentItems": []})
        if request.method != "POST":
            raise request.refuse_method("HEAD", "GET", "POST")
        values = request.fields()
        values.pop("attributes", None)
        if any(name.lower() == "id" for name in values):
            raise Refused("INVALID_FIELD", "The Id field should not be specified in the sobject data.")
        with self.org.transaction(request.user) as transaction:
            record_id = self.org.insert(transaction, kind.name, values)
        where = f"{request.version_url()}/sobjects/{kind.name}/{record_id}"
        return Reply(201, {"id": record_id, "success": True, "errors": []}, headers=(("Location", where),))

    def _record(self, request: Request, kind: SObjectType, record_id: str) -> Reply:
        if request.method == "GET":
            request.only("fields")
            full = as_id(record_id) or ""
            table = self.org.tables[kind.name]
            with self.org.lock:  # never a row of a transaction that may still roll back
                row, is_binned = table.rows.get(full), full in table.bin
            if is_binned:
                raise Refused("ENTITY_IS_DELETED", "entity is deleted", status=404)
            if row is None:
                words = f"Provided external ID field does not exist or is not accessible: {record_id}"
                raise Refused("NOT_FOUND", words, status=404)
            return Reply(200, self._whole(request, kind, row))
        request.only()
        if request.method not in ("PATCH", "DELETE"):
            raise request.refuse_method("HEAD", "GET", "PATCH", "DELETE")
        with self.org.transaction(request.user) as transaction:
            if request.method == "DELETE":
                self.org.delete(transaction, kind.name, record_id)
            else:
                self.org.update(transaction, kind.name, record_id, _values(request, "Id"))
        return Reply(204)

    def _by_key(self, request: Request, kind: SObjectType, key: str, value: str) -> Reply:
        one = self.org.key_field(kind, key)
        if request.method == "PATCH":
            request.only()
            values = _values(request, "Id", one.name)
            with self.org.transaction(request.user) as transaction:
                record_id, created = self.org.upsert(transaction, kind.name, one.name, value, values)
            body = {"id": record_id, "success": True, "errors": [], "created": created}
            return Reply(201 if created else 200, body)
        if request.method not in ("GET", "DELETE"):
            raise request.refuse_method("HEAD", "GET", "PATCH", "DELETE")
        request.only(*(("fields",) if request.method == "GET" else ()))
        table = self.org.tables[kind.name]
        with self.org.lock:
            found = table.with_key(one.name, value) if one.name != "Id" else [as_id(value) or ""]
            if len(found) > 1:
                raise MultipleChoices(kind.name, found)
            row = table.rows.get(found[0]) if found else None
        if row is None:
            raise Refused("NOT_FOUND", "The requested resource does not exist", status=404)
        if request.method == "GET":
            return Reply(200, self._whole(request, kind, row))
        with self.org.transaction(request.user) as transaction:
            self.org.delete(transaction, kind.name, row["Id"])
        return Reply(204)

    def _whole(self, request: Request, kind: SObjectType, row: Row) -> Row:
        asked = request.query.get("fields")
        if asked is None:
            names = [one.name for one in kind.fields.values()]
        else:
            names = [kind.field(name.strip()).name for name in asked.split(",")]
        made: Row = {"attributes": attributes(kind.name, row["Id"], request.version)}
        if asked is not None and "Id" not in names:
            names.append("Id")
        return made | {name: row.get(name) for name in names}

    def _changes(self, request: Request, kind: SObjectType, *, deleted: bool) -> Reply:
        """getUpdated reaches 30 days back, getDeleted 15 (REST API Developer Guide, "Get Updated", "Get Deleted")."""
        request.only("start", "end")
        start, end = (instant(request.query.get(name, "").replace(" ", "+")) for name in ("start", "end"))
        if start is None or end is None:
            raise Refused("INVALID_REPLICATION_DATE", "start and end must be dates with a time and an offset")
        if end < start + timedelta(minutes=1):
            raise Refused("INVALID_REPLICATION_DATE", "endDate must be at least one minute greater than startDate")
        reach = timedelta(days=15 if deleted else 30)
        if start < self.org.now() - reach:
            raise Refused("INVALID_REPLICATION_DATE", f"startDate cannot be more than {reach.days} days ago")
        covered = min(end, self.org.now())
        table = self.org.tables[kind.name]
        with self.org.lock:
            rows = [row for row in table.since(start, deleted=True) if row["SystemModstamp"] < end]
        if not deleted:
            return Reply(200, {"ids": [r["Id"] for r in rows if not r["IsDeleted"]], "latestDateCovered": covered})
        gone = [{"id": r["Id"], "deletedDate": r["SystemModstamp"]} for r in rows if r["IsDeleted"]]
        earliest = self.org.now() - reach
        return Reply(200, {"deletedRecords": gone, "earliestDateAvailable": earliest, "latestDateCovered": covered})

    # --- queries ------------------------------------------------------------------------------------------------

    def query(self, request: Request) -> Reply:
        """``query?q=…``, ``queryAll?q=…`` and the next pages ``query/<locator>``."""
        if request.method != "GET":
            raise request.refuse_method("HEAD", "GET")
        base = f"{request.version_url()}/{request.steps[0]}"
        if len(request.steps) == 2:
            request.only()
            return Reply(200, self._next_page(request.steps[1], base))
        request.only("q")
        if "q" not in request.query:
            raise Refused("MALFORMED_QUERY", "SOQL statement is empty")
        query = parse(request.query["q"])
        everything = request.steps[0] == "queryAll"
        if query.all_rows and not everything:
            raise Refused("MALFORMED_QUERY", "ALL ROWS not allowed in this context")
        run = Run(self.org, query, version=request.version, deleted=everything)
        if query.is_count:
            return Reply(200, {"totalSize": run.count(), "done": True, "records": []})
        size = min(self._batch_size(request), self.page_size)
        records = run.records(lambda rows: self._first_page(rows, size, base))
        if query.is_aggregate:
            return Reply(200, {"totalSize": len(records), "done": True, "records": records})
        return Reply(200, self._first_page(records, size, base))

    def _batch_size(self, request: Request) -> int:
        """``Sforce-Query-Options: batchSize=500``; 200 to 2,000 ("Query Options Header")."""
        options = request.headers.get("sforce-query-options", "")
        name, _, value = options.partition("=")
        if not options:
            return MAX_PAGE
        if name.strip().lower() != "batchsize" or not value.strip().isdigit():
            raise NotImitated(f"Sforce-Query-Options {options!r}")
        return max(MIN_PAGE, min(MAX_PAGE, int(value)))

    def _first_page(self, records: list[Row], size: int, base: str) -> Row:
        if len(records) <= size:
            return {"totalSize": len(records), "done": True, "records": records}
        # The 0r8 prefix is how locators look (REST API Developer Guide, "Query").
        with self.org.lock:
            name = "0r8" + secrets.token_hex(8).upper()[:15]
            locator = self._keep(name, records, size, size)
        return {"totalSize": len(records), "done": False, "nextRecordsUrl": f"{base}/{locator}"} | {
            "records": records[:size]
        }

    def _keep(self, name: str, records: list[Row], size: int, offset: int) -> str:
        locator = f"{name}-{offset}"
        self._cursors[locator] = (self.org.now() + LOCATOR_LIFE, records, size, offset, len(records))
        return locator

    def _next_page(self, locator: str, base: str) -> Row:
        with self.org.lock:
            until, records, size, offset, total = self._cursors.pop(locator, (self.org.now(), [], 0, 0, 0))
            if until <= self.org.now():
                raise Refused("INVALID_QUERY_LOCATOR", "invalid query locator")
            page = records[offset : offset + size]
            made: dict[str, Any] = {"totalSize": total, "done": offset + size >= total}
            if not made["done"]:
                next_locator = self._keep(locator.rpartition("-")[0], records, size, offset + size)
                made["nextRecordsUrl"] = f"{base}/{next_locator}"
        return made | {"records": page}


def _values(request: Request, *named_in_path: str) -> Row:
    """The body of an update; what the path names already must not be repeated in it."""
    values = request.fields()
    values.pop("attributes", None)
    for name in values:
        for one in named_in_path:
            if name.lower() == one.lower():
                raise Refused("INVALID_FIELD", f"The {one} field should not be specified in the sobject data.")
    return values
