"""Many records in one call: sObject Collections and Composite.

``Collections`` adds the route ``composite``. A collection answers 200 even when every record failed; its items use
``statusCode``.

Sources: REST API Developer Guide, "Using sObject Collections" (200 records, 10 chunks of one object) and "Composite"
(25 subrequests, at most 5 of them queries or collections).

Must not know: WSGI, tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from bridge.sandbox.salesforce_http import Reply, Request
from bridge.sandbox.salesforce_org import MultipleChoices, Org
from bridge.sandbox.salesforce_rest import Rest
from bridge.sandbox.salesforce_tables import Row, Transaction
from bridge.sandbox.salesforce_values import NotImitated, Refused, as_id
from bridge.sandbox.soql_run import attributes

MAX_RECORDS = 200
MAX_CHUNKS = 10
MAX_PARTS = 25
MAX_HEAVY_PARTS = 5
ROLLED_BACK = Refused(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone header",
)
_REFERENCE = re.compile(r"@\{([A-Za-z0-9_]+)((?:\.[A-Za-z0-9_]+|\[\d+\])*)\}")

Work = Callable[[Transaction, Any], Row]


class Collections:
    """The routes below ``composite``."""

    def __init__(self, rest: Rest, org: Org) -> None:
        self.rest, self.org = rest, org
        rest.routes["composite"] = self.handle

    def handle(self, request: Request) -> Reply:
        """``composite/…``."""
        steps = request.steps[1:]
        if not steps:
            return self._composite(request)
        if steps[0] != "sobjects" or len(steps) > 3:
            raise NotImitated(f"/{'/'.join(request.steps)}")
        if len(steps) == 1:
            return self._many(request)
        kind = self.org.schema.type(steps[1])
        if len(steps) == 3:
            if request.method != "PATCH":
                raise request.refuse_method("PATCH")
            return self._upserts(request, kind.name, steps[2])
        return self._retrieve(request, kind.name)

    # --- collections --------------------------------------------------------------------------------------------

    def _many(self, request: Request) -> Reply:
        if request.method == "DELETE":
            request.only("ids", "allOrNone")
            ids = [one for one in request.query.get("ids", "").split(",") if one]
            self._check_count(ids)
            return self._run(request, request.query.get("allOrNone") == "true", ids, self._delete)
        request.only()
        if request.method == "POST":
            return self._run(request, *self._records(request), self._insert)
        if request.method == "PATCH":
            return self._run(request, *self._records(request), self._update)
        raise request.refuse_method("POST", "PATCH", "DELETE")

    def _upserts(self, request: Request, kind: str, key: str) -> Reply:
        request.only()
        key = self.org.key_field(self.org.schema.type(kind), key).name
        all_or_none, records = self._records(request)
        seen: dict[str, int] = {}
        for record in records:
            if record["attributes"]["type"].lower() != kind.lower():
                raise Refused("INVALID_TYPE", f"all records of this call must be of type {kind}")
            value = str(_pick(record, key)).lower()
            seen[value] = seen.get(value, 0) + 1

        def upsert(transaction: Transaction, record: Row) -> Row:
            value = _pick(record, key)
            if any(name.lower() == "id" for name in record) and key != "Id":
                # Record ids are not allowed in an upsert by external id ("Upsert Records").
                raise Refused("INVALID_FIELD", "The Id field should not be specified in the sobject data.")
            if value is None or value == "":
                raise Refused("MISSING_ARGUMENT", f"{key} not specified")
            if seen[str(value).lower()] > 1:
                # Assumption: every record of a repeated external id is refused, not only the later ones.
                raise Refused("DUPLICATE_VALUE", f"Duplicate external id specified: {value}", fields=(key,))
            values = {name: held for name, held in record.items() if name.lower() not in ("attributes", key.lower())}
            if not isinstance(value, str):
                raise Refused("JSON_PARSER_ERROR", f"Cannot deserialize {key} from {value}")
            record_id, created = self.org.upsert(transaction, kind, key, value, values)
            return {"id": record_id, "success": True, "errors": [], "created": created}

        return self._run(request, all_or_none, records, upsert)

    def _retrieve(self, request: Request, kind_name: str) -> Reply:
        """Read up to 2,000 records (POST) or 800 (GET) by id; a missing one is null."""
        if request.method == "GET":
            request.only("ids", "fields")
            ids = [one for one in request.query.get("ids", "").split(",") if one]
            names = [one.strip() for one in request.query.get("fields", "").split(",") if one.strip()]
        elif request.method == "POST":
            request.only()
            body = request.fields()
            ids, names = body.get("ids") or [], body.get("fields") or []
        else:
            raise request.refuse_method("GET", "POST")
        if not ids or not names or len(ids) > (2000 if request.method == "POST" else 800):
            raise Refused("MALFORMED_QUERY", "ids and fields are required, 2000 ids at most")
        kind = self.org.schema.type(kind_name)
        asked = [kind.field(name).name for name in names]
        asked = asked if "Id" in asked else [*asked, "Id"]
        rows = [self.org.tables[kind.name].rows.get(as_id(str(one)) or "") for one in ids]
        made = [
            row and {"attributes": attributes(kind.name, row["Id"], request.version), **{n: row.get(n) for n in asked}}
            for row in rows
        ]
        return Reply(200, made)

    def _records(self, request: Request) -> tuple[bool, list[Row]]:
        body = request.fields()
        unknown = set(body) - {"allOrNone", "records"}
        if unknown:
            raise Refused("JSON_PARSER_ERROR", f'Unrecognized field "{sorted(unknown)[0]}" at [line:1, column:2]')
        records = body.get("records")
        if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
            raise Refused("JSON_PARSER_ERROR", "records must be a list of records")
        self._check_count(records)
        kinds = []
        for record in records:
            kind = (record.get("attributes") or {}).get("type")
            if not isinstance(kind, str):
                raise Refused("INVALID_FIELD", "Include Entity Type with in Attributes for all records")
            self.org.schema.type(kind)
            kinds.append(kind.lower())
        if len(list(groupby(kinds))) > MAX_CHUNKS:
            raise Refused("LIMIT_EXCEEDED", f"more than {MAX_CHUNKS} chunks of objects in one call")
        return body.get("allOrNone", False) is True, records

    def _check_count(self, records: list[Any]) -> None:
        if len(records) > MAX_RECORDS:
            words = f"record limit reached. cannot submit more than {MAX_RECORDS} records into this call"
            raise Refused("LIMIT_EXCEEDED", words)
        if not records:
            raise Refused("MALFORMED_ID", "no records were given")

    def _run(self, request: Request, all_or_none: bool, records: list[Any], work: Work) -> Reply:
        """Do *work* on each record in one transaction, each settled on its own; with allOrNone all or nothing."""
        items: list[Row] = []
        with self.org.transaction(request.user) as transaction:
            start = transaction.mark()
            for record in records:
                mark = transaction.mark()
                try:
                    items.append(work(transaction, record))
                except Refused as error:
                    transaction.back_to(mark)
                    items.append({"success": False, "errors": [error.as_item()]})
                except MultipleChoices as error:
                    transaction.back_to(mark)
                    words = f"external id matches several records: {', '.join(error.ids)}"
                    refused = Refused("DUPLICATE_EXTERNAL_ID", words)
                    items.append({"success": False, "errors": [refused.as_item()]})
            good = [item["success"] for item in items]
            transaction.partial = any(good) and not all(good)
            if all_or_none and not all(good):
                transaction.back_to(start)
                rolled_back = {"success": False, "errors": [ROLLED_BACK.as_item()]}
                items = [rolled_back if item["success"] else item for item in items]
        return Reply(200, items)

    def _insert(self, transaction: Transaction, record: Row) -> Row:
        values = {name: value for name, value in record.items() if name != "attributes"}
        if any(name.lower() == "id" for name in values):
            raise Refused("INVALID_FIELD", "cannot specify Id in an insert call", fields=("Id",))
        record_id = self.org.insert(transaction, record["attributes"]["type"], values)
        return {"id": record_id, "success": True, "errors": []}

    def _update(self, transaction: Transaction, record: Row) -> Row:
        record_id = _pick(record, "Id")
        if not isinstance(record_id, str):
            raise Refused("MISSING_ARGUMENT", "Id not specified in an update call", fields=("Id",))
        values = {name: value for name, value in record.items() if name.lower() not in ("attributes", "id")}
        self.org.update(transaction, record["attributes"]["type"], record_id, values)
        return {"id": as_id(record_id), "success": True, "errors": []}

    def _delete(self, transaction: Transaction, record_id: str) -> Row:
        kind = self.org.schema.by_prefix(record_id)
        if kind is None or as_id(record_id) is None:
            raise Refused("MALFORMED_ID", f"malformed id {record_id}")
        self.org.delete(transaction, kind.name, record_id)
        return {"id": as_id(record_id), "success": True, "errors": []}

    # --- composite ----------------------------------------------------------------------------------------------

    def _composite(self, request: Request) -> Reply:
        if request.method != "POST":
            raise request.refuse_method("POST")
        request.only()
        body = request.fields()
        unknown = set(body) - {"allOrNone", "collateSubrequests", "compositeRequest"}
        parts = body.get("compositeRequest")
        if unknown or not isinstance(parts, list) or not all(isinstance(one, dict) for one in parts):
            raise Refused("JSON_PARSER_ERROR", "compositeRequest must be a list of subrequests")
        heavy = [one for one in parts if re.search(r"/(query|queryAll|composite/sobjects)\b", str(one.get("url")))]
        if len(parts) > MAX_PARTS or len(heavy) > MAX_HEAVY_PARTS:
            words = f"limit of {MAX_PARTS} subrequests, {MAX_HEAVY_PARTS} of them queries or collections, exceeded"
            raise Refused("LIMIT_EXCEEDED", words)
        done: dict[str, Reply] = {}
        if body.get("allOrNone") is not True:
            for part in parts:
                self._part(request, part, done)
        else:
            with self.org.transaction(request.user) as transaction:
                mark = transaction.mark()
                for part in parts:
                    if self._part(request, part, done).status >= 400:
                        break
                if any(reply.status >= 400 for reply in done.values()):
                    transaction.back_to(mark)
                    self._halt(parts, done)
        answers = [
            {
                "body": done[str(part.get("referenceId"))].body,
                "httpHeaders": dict(done[str(part.get("referenceId"))].headers),
                "httpStatusCode": done[str(part.get("referenceId"))].status,
                "referenceId": part.get("referenceId"),
            }
            for part in parts
        ]
        return Reply(200, {"compositeResponse": answers})

    def _halt(self, parts: list[Row], done: dict[str, Reply]) -> None:
        words = "The transaction was rolled back since another operation in the same transaction failed."
        halted = Reply(400, [{"errorCode": "PROCESSING_HALTED", "message": words}])
        for part in parts:
            name = str(part.get("referenceId"))
            if name not in done or done[name].status < 400:
                done[name] = halted

    def _part(self, request: Request, part: Row, done: dict[str, Reply]) -> Reply:
        name = str(part.get("referenceId"))
        if name in done or not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise Refused("INVALID_INPUT", f"Invalid or repeated reference id: {name}")
        unknown = set(part) - {"method", "url", "referenceId", "body"}
        if unknown:
            raise NotImitated(f"composite subrequest option {', '.join(sorted(unknown))}")
        try:
            url = urlsplit(_filled(str(part.get("url")), done))
            if not url.path.startswith(request.version_url() + "/"):
                raise Refused("INVALID_INPUT", f"a subrequest must stay in {request.version_url()}")
            steps = tuple(unquote(one) for one in url.path.removeprefix(request.version_url() + "/").split("/"))
            inner = replace(
                request,
                method=str(part.get("method")).upper(),
                steps=steps,
                query=dict(parse_qsl(url.query, keep_blank_values=True)),
                raw=b"",
                parsed=_filled(part.get("body"), done),
            )
            done[name] = self.rest.handle(inner)
        except Refused as error:
            done[name] = Reply(400, [error.as_error()])
        return done[name]


def _pick(record: Row, name: str) -> Any:
    return next((value for key, value in record.items() if key.lower() == name.lower()), None)


def _filled(value: Any, done: dict[str, Reply]) -> Any:
    """*value* with every ``@{reference.path}`` replaced by what that subrequest answered."""
    if isinstance(value, dict):
        return {key: _filled(held, done) for key, held in value.items()}
    if isinstance(value, list):
        return [_filled(held, done) for held in value]
    if not isinstance(value, str):
        return value

    def found(match: re.Match[str]) -> str:
        name, path = match.groups()
        held = done[name].body if name in done and done[name].status < 300 else None
        try:
            for key, place in re.findall(r"\.(\w+)|\[(\d+)\]", path):
                held = held[key] if key else held[int(place)]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            held = None
        if held is None:
            words = f"Invalid reference specified. No value for {name}{path} found in {name}"
            raise Refused("PROCESSING_HALTED", words)
        return str(held)

    return _REFERENCE.sub(found, value)
