"""The queueable of the package: reads current values, posts them signed to the bridge, stamps the answer.

``Callouts`` runs jobs on background threads, as asynchronous Apex does, or at once; ``drain`` waits for all of them.
Knobs make it drop, double, reorder or delay callouts.

Source: DESIGN §6 (wire contract). A failure never reaches the person who saved: it becomes a sentence on the record.

Must not know: the bridge's code, SOQL.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import threading
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from typing import Any

import requests

from bridge.sandbox.salesforce_org import Org
from bridge.sandbox.salesforce_schema import Field
from bridge.sandbox.salesforce_tables import Row
from bridge.sandbox.salesforce_triggers import OBJECTS, VERSION, Job
from bridge.sandbox.salesforce_values import Refused, as_id, to_json

PATHS = {
    "Account": "Account",
    "Contact": "Contact",
    "Opportunity": "Application",
    "Credit_Request__c": "CreditRequest",
}
LIMIT = 200  # records of one callout, DESIGN §6
SWEEP = " Nothing is lost: the bridge fetches this record itself with its next sweep."
# What the package says on a record when a whole call failed: code, sentence, who can act; by HTTP status.
PROBLEMS: dict[int | str, tuple[str, str, str]] = {
    400: (
        "BRIDGE_REFUSED_CALL",
        "The bridge could not read this change. An administrator must compare the versions of package and bridge.",
        "administrator",
    ),
    401: (
        "BRIDGE_REFUSED_KEY",
        "The bridge did not accept the signature of this org. An administrator must check the signing key.",
        "administrator",
    ),
    409: (
        "BRIDGE_CONFLICT",
        "The bridge already knows this call with other content. Use Send again to send the record as it is now.",
        "sales",
    ),
    413: (
        "BRIDGE_TOO_LARGE",
        "This change is too large for one call. An administrator can lower the chunk size in Bridge Setting.",
        "administrator",
    ),
    429: ("BRIDGE_BUSY", "The bridge is busy with many changes." + SWEEP, "nobody"),
    503: ("BRIDGE_UNAVAILABLE", "The bridge is not available right now." + SWEEP, "nobody"),
    "timeout": ("BRIDGE_TIMEOUT", "The bridge did not answer in time." + SWEEP, "nobody"),
    "unreachable": ("BRIDGE_UNREACHABLE", "The bridge could not be reached." + SWEEP, "nobody"),
}
# The bridge holds these and tries again itself; people see one word for all of them.
ON_ITS_WAY = frozenset({"pending", "sending", "queued", "deferred", "uncertain"})
# netsuite[].record → the fields that take its id and its number.
ID_FIELDS = {
    "customer": ("NetSuite_Customer_Id__c", None),
    "vendor": ("NetSuite_Vendor_Id__c", None),
    "contact": ("NetSuite_Contact_Id__c", None),
    "salesOrder": ("NetSuite_Sales_Order_Id__c", "NetSuite_Sales_Order_Number__c"),
    "purchaseOrder": ("NetSuite_Purchase_Order_Id__c", "NetSuite_Purchase_Order_Number__c"),
    "customrecord_broker_commission": ("NetSuite_Commission_Id__c", None),
    "vendorBill": ("NetSuite_Commission_Id__c", None),
    "creditMemo": ("NetSuite_Credit_Memo_Id__c", "NetSuite_Credit_Memo_Number__c"),
    "customerRefund": ("NetSuite_Refund_Id__c", "NetSuite_Refund_Number__c"),
}
UNSETTLED = ("queued", "deferred")  # what a stamp says that knows no result
UNTOLD = (None, "waiting", "deferred")  # only over these
STATE_FIELDS = frozenset(
    {
        *("NetSuite_Status__c", "NetSuite_Error__c", "NetSuite_Error_Code__c", "NetSuite_Error_Owner__c"),
        "NetSuite_Synced_At__c",
    }
)
MAIN = {
    "Account": "customer",
    "Contact": "contact",
    "Opportunity": "salesOrder",
    "Credit_Request__c": "creditMemo",
}


@dataclass
class Knobs:
    """How the callouts misbehave. *seed* makes the chance repeatable; *twice* sends the very same bytes again."""

    drop_share: float = 0.0
    twice: bool = False
    out_of_order: bool = False
    delay_s: float = 0.0
    seed: int = 1


class Callouts:
    """Runs queueables."""

    def __init__(
        self,
        org: Org,
        *,
        url: str | None,
        key: tuple[str, str],
        watched: Mapping[str, tuple[str, ...]],
        session: requests.Session | None = None,
        inline: bool = False,
        workers: int = 8,
        timeout_s: float = 20.0,
    ) -> None:
        self.org, self.url, self.watched, self.inline, self.timeout_s = org, url, watched, inline, timeout_s
        self.knobs = Knobs()
        self.sent = 0
        self.failed = 0
        self._kid, self._secret = key
        self._session = session
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="apex")
        self._lock = threading.Lock()
        self._running: set[Future[None]] = set()
        self._held: list[Job] = []
        self._broken: list[BaseException] = []
        self._closed = False
        self._chance = random.Random(self.knobs.seed)

    def enqueue(self, job: Job) -> None:
        """Take one job. Returns at once unless jobs run inline."""
        if self.url is None or self._closed:
            return
        if self.knobs.drop_share and self._chance.random() < self.knobs.drop_share:
            return
        if self.knobs.out_of_order:
            with self._lock:
                self._held.append(job)
        elif self.inline:
            self._run(job)
        else:
            self._start(job)

    def drain(self, timeout_s: float = 60.0) -> None:
        """Wait until every job enqueued so far has run. Jobs held back for disorder run now, last saved first."""
        with self._lock:
            held, self._held = self._held[::-1], []
        for job in held:
            if self.inline:
                self._run(job)
            else:
                self._start(job)
        while True:
            with self._lock:
                running = list(self._running)
            if not running:
                if self._broken:
                    raise self._broken.pop()
                return
            for future in running:
                future.exception(timeout=timeout_s)

    def close(self) -> None:
        """Let running jobs end and start no more."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _start(self, job: Job) -> None:
        future = self._pool.submit(self._run, job)
        with self._lock:
            self._running.add(future)
        future.add_done_callback(self._done)

    def _done(self, future: Future[None]) -> None:
        error = None if future.cancelled() else future.exception()
        with self._lock:
            self._running.discard(future)
            if error is not None:
                self._broken.append(error)

    def _run(self, job: Job) -> None:
        """All callouts first, then one save: Apex refuses a callout after uncommitted work."""
        if self.knobs.delay_s:
            threading.Event().wait(self.knobs.delay_s)
        stamps: list[tuple[str, Row, Row]] = []
        for kind in OBJECTS:
            for records, deleted in _chunks(job.changed.get(kind, []), job.deleted.get(kind, [])):
                rows = self._values(kind, records)
                if rows or deleted:
                    answers = self._call(job, kind, rows, deleted)
                    stamps.extend((kind, row, answer) for row, answer in zip(rows, answers, strict=True))
        if stamps:
            self._stamp(job, stamps)

    def _values(self, kind: str, record_ids: list[str]) -> list[Row]:
        """The current values of the watched fields; with its fee lines for an Application."""
        made = []
        with self.org.lock:
            for record_id in sorted(record_ids):
                row = self.org.tables[kind].rows.get(record_id)
                if row is None:
                    continue  # deleted since: its own delete callout tells
                wire: Row = {"Id": record_id, "SystemModstamp": row["SystemModstamp"]}
                wire[VERSION] = _number(self.org.tables[kind].kind.fields.get(VERSION.lower()), row.get(VERSION))
                wire |= self._fields(kind, row)
                if kind == "Opportunity":
                    table = self.org.tables["OpportunityLineItem"]
                    lines = sorted(table.children("OpportunityId", record_id))
                    wire["Lines"] = [{"Id": i, **self._fields("OpportunityLineItem", table.rows[i])} for i in lines]
                made.append(wire)
        return made

    def _fields(self, kind: str, row: Row) -> Row:
        fields = self.org.tables[kind].kind.fields
        return {name: _number(fields[name.lower()], row.get(name)) for name in self.watched[kind]}

    def write(self, kind: str, record_ids: list[str], deleted: list[Row], *, call_id: str, user_id: str) -> bytes:
        """The body of one callout, byte for byte as ``BridgeRequest`` of the package writes it."""
        return self._body(self._values(kind, record_ids), deleted, call_id=call_id, user_id=user_id)

    def _body(self, rows: list[Row], deleted: list[Row], *, call_id: str, user_id: str) -> bytes:
        sent_at = f"{self.org.clock().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        body: Row = {"id": call_id, "sentAt": sent_at, "org": self.org.org_id, "user": user_id, "records": rows}
        if deleted:
            body["deleted"] = deleted
        return to_json(body, zone="Z", number=str).encode()

    def _call(self, job: Job, kind: str, rows: list[Row], deleted: list[Row]) -> list[Row]:
        """Send one callout; what to stamp on each record, in the order of *rows*."""
        raw = self._body(rows, deleted, call_id=str(uuid.uuid4()), user_id=job.user.id)
        mac = hmac.new(self._secret.encode(), raw, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        headers["X-Bridge-Signature"] = f"k={self._kid},v1={mac}"
        results: dict[str | None, Any] = {}
        problem = None
        try:
            for _ in range(2 if self.knobs.twice else 1):
                answer = self._http().post(
                    f"{self.url}/v1/push/{PATHS[kind]}", data=raw, headers=headers, timeout=self.timeout_s
                )
            if answer.status_code in (200, 202):
                results = {as_id(str(one["id"])): one for one in json.loads(answer.content)["results"]}
            else:
                problem = PROBLEMS.get(answer.status_code) or _unreadable(answer.status_code)
        except requests.Timeout:
            problem = PROBLEMS["timeout"]
        except requests.RequestException:
            problem = PROBLEMS["unreachable"]
        except (ValueError, KeyError, TypeError, AttributeError):
            problem = _unreadable(answer.status_code)
        with self._lock:
            self.sent += 1
            self.failed += problem is not None
        if problem is not None:
            failed = {"NetSuite_Status__c": "deferred"} | _explained(*problem)
            return [failed for _ in rows]
        return [stamp_values(kind, results.get(row["Id"]), self.org.now()) for row in rows]

    def _http(self) -> requests.Session:
        if self._session is not None:
            return self._session
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
        return self._local.session  # type: ignore[no-any-return]

    def _stamp(self, job: Job, stamps: list[tuple[str, Row, Row]]) -> None:
        """Save ids, state and error in one transaction; none of these fields is watched, so nothing is sent again."""
        with self.org.transaction(job.user) as transaction:
            for kind, sent, values in stamps:
                row = self.org.tables[kind].rows.get(sent["Id"], {})
                # Saved again meanwhile: the newer job tells how it stands, only ids are true for both.
                is_newest = (row.get(VERSION) or 0) == sent[VERSION]
                if values["NetSuite_Status__c"] in UNSETTLED and row.get("NetSuite_Status__c") not in UNTOLD:
                    is_newest = False  # the bridge has written its result itself, before this job came to its end
                known = self.org.tables[kind].kind.fields
                kept = {
                    name: _cut(known[name.lower()], value)
                    for name, value in values.items()
                    if name.lower() in known and (is_newest or name not in STATE_FIELDS)
                }
                mark = transaction.mark()
                try:
                    self.org.update(transaction, kind, sent["Id"], kept)
                except Refused:
                    transaction.back_to(mark)  # the record went away meanwhile, or its row is locked


def stamp_values(kind: str, result: Mapping[str, Any] | None, now: Any) -> Row:
    """The fields to save for one entry of the bridge's answer; none means that it is still on its way."""
    state = str((result or {}).get("state") or "queued")
    values: Row = {"NetSuite_Status__c": "queued" if state in ON_ITS_WAY else state}
    error = (result or {}).get("error") or {}
    values |= _explained(error.get("code"), error.get("message"), error.get("who"))
    if result is None:
        return values
    for written in result.get("netsuite") or ():
        name = written.get("record")
        id_field, number_field = ID_FIELDS.get(name, (None, None))
        if name and name.startswith("customrecord"):
            id_field = "NetSuite_Commission_Id__c"
        if id_field and written.get("id") is not None:
            values[id_field] = str(written["id"])
        if number_field and written.get("number") is not None:
            values[number_field] = str(written["number"])
        if name == MAIN[kind] and written.get("url"):
            values["NetSuite_Url__c"] = written["url"]
    if state in ("delivered", "unchanged"):
        values["NetSuite_Synced_At__c"] = now
    return values


def _explained(code: str | None, message: str | None, who: str | None) -> Row:
    return {"NetSuite_Error__c": message, "NetSuite_Error_Code__c": code, "NetSuite_Error_Owner__c": who}


def _unreadable(status: int) -> tuple[str, str, str]:
    words = f"The answer of the bridge could not be read (HTTP {status}).{SWEEP}"
    return "BRIDGE_UNREADABLE", words, "nobody"


def _cut(one: Field, value: Any) -> Any:
    return value[: one.length] if isinstance(value, str) and one.length else value


def _number(one: Field | None, value: Any) -> Any:
    """Apex prints a Decimal with the scale of its field; a whole number without a point."""
    if one is not None and isinstance(value, Decimal):
        return int(value) if one.scale == 0 else value.quantize(Decimal(1).scaleb(-one.scale))
    return value


def _chunks(changed: list[str], deleted: list[Row]) -> Iterator[tuple[list[str], list[Row]]]:
    for start in range(0, max(len(changed), len(deleted)), LIMIT):
        yield changed[start : start + LIMIT], deleted[start : start + LIMIT]
