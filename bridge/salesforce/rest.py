"""Salesforce as a system of the port, over its REST interface.

``RestSalesforce`` gets, upserts, tells what changed or was deleted, and says in plain words what is permitted.

Must not know: the ledger, the mapping, NetSuite.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from bridge.errors import BridgeError, Misconfigured
from bridge.ports import Check, Deleted, Fact, Jobs, Record, Ref, Written
from bridge.salesforce import faults
from bridge.salesforce.auth import Auth
from bridge.salesforce.bulk import WHOLE_WAIT_S, Bulk
from bridge.salesforce.checks import checks
from bridge.salesforce.connection import Connection
from bridge.salesforce.shapes import Shapes, facts
from bridge.salesforce.soql import Selection, encoded_length, flat, one_of, pages
from bridge.salesforce.transport import Limits
from bridge.salesforce.values import UPSERT_KEY, NotAnId, id18, soql_instant
from bridge.salesforce.writing import BULK_ABOVE, Writer

STAMP, VERSION, MASTER = "SystemModstamp", "Bridge_Version__c", "MasterRecordId"
ALWAYS = ("Id", STAMP, VERSION)
SECOND = timedelta(seconds=1)


class RestSalesforce:
    """One Salesforce organisation. Safe to share between threads; no call is made before the first use.

    Args:
        auth: how to log in.
        org_id: the pinned organisation; a login that leads elsewhere is Misconfigured.
        version: of the REST interface.
        mount: transport adapters by address prefix, for the sandbox in the same process.
        allow_loopback: permit plain http to this machine, for the sandbox on a port.
        pool_size: connections that are kept open.
        bulk_above: rows of one object in one upsert above which a bulk job is used.
        bulk_wait_s: how long a bulk job may take before its rows are in doubt.
        leaving: set when this process is to end: a running bulk job is left alone then.
    """

    name = "salesforce"

    def __init__(
        self,
        *,
        auth: Auth,
        org_id: str,
        version: str = "65.0",
        mount: Mapping[str, requests.adapters.BaseAdapter] | None = None,
        allow_loopback: bool = False,
        pool_size: int = 8,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], object] | None = None,
        limits: Limits | None = None,
        bulk_above: int = BULK_ABOVE,
        bulk_wait_s: float = WHOLE_WAIT_S,
        leaving: threading.Event | None = None,
    ) -> None:
        leaving = leaving or threading.Event()
        self._connection = Connection(
            auth=auth,
            org_id=org_id,
            version=version,
            mount=mount,
            allow_loopback=allow_loopback,
            pool_size=pool_size,
            limits=limits or Limits(),
            clock=clock,
            sleep=sleep or time.sleep,
        )
        self._shapes = Shapes(self._connection)
        self._bulk = Bulk(self._connection, sleep=sleep or leaving.wait, wait_s=bulk_wait_s, leaving=leaving)
        self._writer = Writer(self._connection, self._shapes, bulk=self._bulk.upsert, bulk_above=bulk_above)

    def close(self) -> None:
        """Stop the threads that made calls side by side."""
        self._writer.close()

    def log_in_as(self, auth: Auth) -> None:
        """Log in by other credentials from the next login on. Raises Misconfigured where they lead to another host."""
        self._connection.tokens.log_in_as(auth)

    @property
    def usage(self) -> tuple[int, int] | None:
        """Calls used and allowed in the last 24 hours as the last answer told, None before the first."""
        quota = self._connection.quota
        return None if quota.used is None or quota.allowed is None else (quota.used, quota.allowed)

    def facts(self, kind: str) -> dict[str, Fact]:
        """Return what Salesforce says of the fields of *kind* now. Raises Misconfigured or Deferred."""
        return facts(self._shapes, kind)

    # --- read -------------------------------------------------------------------------------------------------------

    def get(self, refs: Sequence[Ref], fields: Sequence[str] = (), *, interactive: bool = False) -> list[Record | None]:
        """Read records by id or by ``NetSuite_Key__c``, in the order asked, None where one does not exist.

        *fields* may hold ``"Account.Name"`` and, for an Application, ``"Lines.UnitPrice"``; empty means every field of
        the object. The id, SystemModstamp and the version are always read. Raises Deferred or Misconfigured.
        """
        found: dict[tuple[str, str], Record] = {}
        by_kind: dict[tuple[str, str], list[str]] = {}
        for ref in refs:
            asked = _asked(ref)
            if asked is not None:
                by_kind.setdefault((ref.kind, asked[0]), []).append(asked[1])
        for (kind, name), values in by_kind.items():
            selection = Selection(self._shapes, kind, fields, (*ALWAYS, name))
            distinct = list(dict.fromkeys(values))
            length = encoded_length(selection.select(f" WHERE {name} IN ()"))
            for condition in one_of(name, distinct, length):
                for page in pages(self._connection, selection.select(f" WHERE {condition}")):
                    for row in page:
                        record = self._record(selection, row)
                        key = str(record.ref.id) if name == "Id" else str(record.fields.get(UPSERT_KEY)).casefold()
                        found[kind, key] = record
        return [self._found(ref, found) for ref in refs]

    def _found(self, ref: Ref, found: Mapping[tuple[str, str], Record]) -> Record | None:
        asked = _asked(ref)
        if asked is None:
            return None
        name, value = asked
        return found.get((ref.kind, value if name == "Id" else value.casefold()))

    def rows_under(self, kind: str, parent: str, parents: Sequence[str], fields: Sequence[str]) -> list[Record]:
        """Return the records of *kind* whose lookup *parent* is one of *parents* (ids)."""
        selection = Selection(self._shapes, kind, fields, (*ALWAYS, parent))
        if parent not in selection.shape.fields:
            raise Misconfigured(f"{kind} has no field {parent}.", code=faults.PERMISSION, field=parent)
        ids = list(dict.fromkeys(one for it in parents if (one := _as_id(it)) is not None))
        length = encoded_length(selection.select(f" WHERE {parent} IN () ORDER BY Id"))
        return [
            self._record(selection, row)
            for condition in one_of(parent, ids, length)
            for page in pages(self._connection, selection.select(f" WHERE {condition} ORDER BY Id"))
            for row in page
        ]

    def changed(self, kind: str, since: datetime, until: datetime, fields: Sequence[str] = ()) -> Iterator[Record]:
        """Yield every record of *kind* whose SystemModstamp is in ``[since, until)``, one page in memory.

        The stamp is taken when a transaction starts and the record is visible when it ends, so windows must overlap.
        *since* is rounded down to the second, *until* up: stamps have no finer grain. Gives way to interactive calls
        when the daily quota runs short (Deferred).
        """
        selection = Selection(self._shapes, kind, fields, ALWAYS)
        query = selection.select(f" WHERE {_window(since, until)} ORDER BY {STAMP}, Id")
        for page in pages(self._connection, query, background=True):
            for row in page:
                yield self._record(selection, row)

    def deleted(self, kind: str, since: datetime, until: datetime) -> Iterator[Deleted]:
        """Yield what was deleted or merged away in ``[since, until)``, as far back as the recycle bin holds it."""
        selection = Selection(self._shapes, kind, ("Id", STAMP), ("IsDeleted", MASTER))
        query = selection.select(f" WHERE IsDeleted = true AND {_window(since, until)} ORDER BY {STAMP}, Id")
        for page in pages(self._connection, query, deleted=True, background=True):
            for row in page:
                fields = selection.read(row, self._connection)
                yield Deleted(Ref(kind, id=fields["Id"]), fields[STAMP], fields.get(MASTER))

    def _record(self, selection: Selection, row: Any) -> Record:
        fields = selection.read(row, self._connection)
        key = fields.get(UPSERT_KEY)
        ref = Ref(selection.shape.name, id=fields.get("Id"), external_id=key if isinstance(key, str) else None)
        return Record(ref, fields, fields.get(STAMP))

    def query(self, soql: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a query as plain dicts: numbers as Decimal or int, dates as text.

        For sums over the package's own objects; the caller quotes values with ``format_soql``. Raises as ``get`` does.
        """
        for page in pages(self._connection, soql):
            yield from (flat(row) for row in page)

    # --- write ------------------------------------------------------------------------------------------------------

    def upsert(
        self, records: Sequence[Record], *, interactive: bool = False, jobs: Jobs | None = None
    ) -> list[Written | BridgeError]:
        """Update by id, upsert by ``NetSuite_Key__c``, and settle each record on its own.

        Grouped by object in the order in which the objects first appear, 200 records a call, at most five calls side
        by side; rows refused for a lock are tried once more in smaller calls. More than ``bulk_above`` records of one
        object go by a bulk job, which *jobs* hears of. Without *interactive* the last tenth of the daily quota is left
        alone.
        """
        return self._writer.upsert(records, interactive=interactive, jobs=jobs)

    def has_ended(self, job_id: str, *, stop: bool) -> bool:
        """Say whether a bulk job writes nothing more; with *stop* have it stop. Raises Deferred or Misconfigured."""
        return self._bulk.has_ended(job_id, stop=stop)

    # --- about the organisation -------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """Salesforce's clock, from the Date header of a cheap call: precise to the second. Raises Deferred, …"""
        return self._connection.now()

    def url(self, ref: Ref) -> str | None:
        """The record's page. Makes no call."""
        instance, record_id = self._connection.tokens.instance_url, _as_id(ref.id) if ref.id else None
        return f"{instance}/{record_id}" if instance and record_id else None

    def check(
        self,
        needed: Mapping[str, Sequence[str]] | None = None,
        written: Mapping[str, Sequence[str]] | None = None,
    ) -> Iterator[Check]:
        """Try the login, then say which of the *needed* fields cannot be read and which of *written* not be written."""
        yield from checks(self._connection, self._shapes, needed or {}, written or {})


def _asked(ref: Ref) -> tuple[str, str] | None:
    """Return by which field and value *ref* is looked up, None when it names no record."""
    if ref.id is not None:
        found = _as_id(ref.id)
        return None if found is None else ("Id", found)
    return (UPSERT_KEY, ref.external_id) if ref.external_id else None


def _as_id(value: str) -> str | None:
    try:
        return id18(value)
    except NotAnId:
        return None


def _window(since: datetime, until: datetime) -> str:
    start = since.replace(microsecond=0)
    end = until if until.microsecond == 0 else until.replace(microsecond=0) + SECOND
    return f"{STAMP} >= {soql_instant(start)} AND {STAMP} < {soql_instant(end)}"
