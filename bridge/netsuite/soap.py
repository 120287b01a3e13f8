"""NetSuite over SuiteTalk SOAP, as the port wants it: ``SoapNetSuite``.

One call, one slot, one passport, one attempt: whether and when to try again is the engine's business. Requests are
built by zeep from the loaded bindings, answers are read by us.

Must not know: Salesforce, the ledger, when to retry.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from copy import copy
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import requests
from lxml import etree

from bridge.errors import BridgeError, Deferred, Misconfigured
from bridge.netsuite import checks, codec, envelopes, faults, showing
from bridge.netsuite.criteria import criteria, within
from bridge.netsuite.fitting import Fitting
from bridge.netsuite.kinds import CURRENCY_FIELDS, CUSTOM_RECORD, Kind, is_custom, kind_of
from bridge.netsuite.lists import Lists, Ready
from bridge.netsuite.looking import Looking
from bridge.netsuite.names import Names
from bridge.netsuite.passport import Identity, TokenCredentials
from bridge.netsuite.rates import Rates
from bridge.netsuite.reading import Reader, Unreadable, child, children, instant, text
from bridge.netsuite.transport import Limits, Transport, new_session
from bridge.netsuite.windows import SMALLEST_PAGE, Named, Windows
from bridge.netsuite.wire import TOO_LARGE, SearchPage, Wire, breathe
from bridge.netsuite.wsdl import Bindings
from bridge.ports import Check, Deleted, Record, Ref, Slots, Window, Written

HOST = re.compile(r"https://[a-z0-9-]+\.suitetalk\.api\.netsuite\.com")
LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?")
EXTERNAL_ID = re.compile(r"[A-Za-z0-9_-]+")  # what REST paths allow too (NetSuite Help section_156334828635)
PAGE_SIZE = 1000  # the largest a synchronous search may have (NetSuite Help section_N3418637)
GET_LIST = 1000  # records in one getList
DEFAULT_KINDS = ("customer", "vendor", "contact", "salesOrder", "purchaseOrder", "customerPayment", "invoice")
_UTC_NOW = partial(datetime.now, UTC)


def account_host(account: str) -> str:
    """Return the account's part of a host name: ``1234567_SB1`` → ``1234567-sb1``."""
    return account.lower().replace("_", "-")


class SoapNetSuite(Looking):
    """One NetSuite account. Safe to share between threads.

    Args:
        account: as NetSuite spells it, ``1234567_SB1``.
        base_url: only when the account's own domain is another; ``https://<name>.suitetalk.api.netsuite.com``.
        slots: shared permission to have calls in flight.
        session: only for tests and proxies; its redirects, cookies and environment are not used.
        application_base_url: where people open records, default ``https://<account>.app.netsuite.com``.
        allow_loopback: also accept a plain address on this machine, for the sandbox.
        clock: aware UTC time, for passports and caches.
        kinds: what ``check`` tries to read. breathe: called now and then in long pages, to give way to saves.
    """

    name = "netsuite"

    def __init__(
        self,
        *,
        account: str,
        credentials: TokenCredentials,
        bindings: Bindings,
        slots: Slots,
        base_url: str | None = None,
        session: requests.Session | None = None,
        application_base_url: str | None = None,
        allow_loopback: bool = False,
        clock: Callable[[], datetime] = _UTC_NOW,
        limits: Limits | None = None,
        page_size: int = PAGE_SIZE,
        pool_size: int = 8,
        kinds: Sequence[str] = DEFAULT_KINDS,
        breathe: Callable[[], None] = breathe,
    ) -> None:
        base = base_url or f"https://{account_host(account)}.suitetalk.api.netsuite.com"
        if not (HOST.fullmatch(base) or (allow_loopback and LOOPBACK.fullmatch(base))):
            raise Misconfigured(
                "The NetSuite address is not an account's own SuiteTalk domain.", code="NETSUITE_HOST", detail=base
            )
        self._host = account_host(account)
        self._belongs(credentials)
        self._application = application_base_url or f"https://{account_host(account)}.app.netsuite.com"
        self._clock = clock
        self._page_size = page_size
        self._kinds = tuple(kinds)
        self._limits = limits or Limits()
        url, me = f"{base}/services/NetSuitePort_{bindings.version}", Identity(credentials)
        way = Transport(session or new_session(pool_size), url, self._limits)
        wire = Wire(bindings=bindings, transport=way, slots=slots, identity=me, clock=clock, breathe=breathe)
        self._bind(wire, Names(bindings, wire.ask, clock))

    def _bind(self, wire: Wire, names: Names) -> None:
        self._bindings, self._wire, self._names = wire.bindings, wire, names
        self._reader, self.bindings, self.selectable = Reader(wire.bindings), wire.bindings, names.selectable
        self._rates = Rates(wire.ask, names, self._clock)
        self._fitting = Fitting(lambda refs: self._get(refs, False), names, self._clock)
        # Of its own for each set: requests built from two sets cannot go out as one list.
        self._lists = Lists(wire.slots, self._call, self._shown)

    def _belongs(self, credentials: TokenCredentials) -> None:
        if account_host(credentials.account) != self._host:
            raise Misconfigured(
                "The NetSuite credentials belong to another account.", code="NETSUITE_ACCOUNT", detail=self._host
            )

    def sign_as(self, credentials: TokenCredentials) -> None:
        """Sign by other credentials of the same account from the next attempt on. Raises Misconfigured for another."""
        self._belongs(credentials)
        self._wire.identity.become(credentials)

    def through(self, bindings: Bindings) -> SoapNetSuite:
        """Return this account through other bindings, with the same connections and the same knowledge of names."""
        other, wire = copy(self), self._wire.through(bindings)
        other._bind(wire, self._names.through(bindings, wire.ask))
        return other

    # Writing

    def upsert(self, records: Sequence[Record], *, interactive: bool = False) -> list[Written | BridgeError]:
        """Create or update each record by its external id; see the port.

        Several records go out in list calls of bounded weight, one after the other, in order.
        """
        outcomes: dict[int, Written | BridgeError] = {}
        ready: list[Ready] = []
        asked = time.monotonic()
        for position, record in enumerate(records):
            try:
                kind, encoded = self._encoded(record, interactive)
            except BridgeError as error:
                outcomes[position] = error
            else:
                ready.append((position, record, kind, encoded))
        stopped = None
        if time.monotonic() - asked > self._limits.names_s:
            # The caller's right to write these records is good for one call only; the names are known next time.
            stopped = Deferred("Names had to be looked up in NetSuite first.", code="NAMES_FIRST", throttled=True)
        outcomes.update(self._lists.send(ready, interactive=interactive, stopped=stopped))
        return [self._fitting.explained(record, outcomes[position]) for position, record in enumerate(records)]

    def _encoded(self, record: Record, interactive: bool) -> tuple[Kind, Any]:
        kind = self._kind(record.ref.kind)
        if not EXTERNAL_ID.fullmatch(record.ref.external_id or ""):
            raise Misconfigured(
                "A record without a plain external id cannot be written so that repeating is harmless.",
                code="EXTERNAL_ID_MISSING",
                detail=f"{record.ref.kind} {record.ref.external_id!r}",
            )
        type_id = self._type_id(record.ref.kind, interactive)
        resolved = self._names.resolve(record, interactive=interactive)
        self._fitting.check(resolved, interactive=interactive)
        return kind, codec.encode(self._bindings, kind, resolved, type_id=type_id)

    def _shown(self, chunk: list[Ready], error: BridgeError) -> list[Written | BridgeError]:
        return showing.shown(self._wire, [made for *_, made in chunk], [error] * len(chunk))

    def _call(self, chunk: list[Ready]) -> list[Written | BridgeError]:
        """Send one call in the slot that is held. Raises what is wrong with all of it."""
        records = [record for _, record, _, _ in chunk]
        encoded = [made for *_, made in chunk]
        listed = len(chunk) > 1
        answer = self._wire.exchange(
            "upsertList" if listed else "upsert",
            write=True,
            listed=listed,
            held=True,
            record=encoded if listed else encoded[0],
        )
        holder = child(answer, "writeResponseList") if listed else answer
        responses = children(holder, "writeResponse") if holder is not None else []
        outcomes = envelopes.settled_all(responses, records)
        self._wire.noted(next((one for one in outcomes if isinstance(one, Deferred) and one.throttled), None))
        return showing.shown(self._wire, encoded, outcomes, responses)

    # Reading

    def get(self, refs: Sequence[Ref], fields: Sequence[str] = (), *, interactive: bool = False) -> list[Record | None]:
        """Read records by id or external id; see the port. NetSuite has no choice of fields: all come back."""
        found: list[Record | None] = []
        for start in range(0, len(refs), GET_LIST):
            found += self._get(refs[start : start + GET_LIST], interactive)
        return [None if record is None else self._worded(record) for record in found]

    def _worded(self, record: Record) -> Record:
        """Name the record's currency by its symbol, as Salesforce does."""
        found = {name: value for name in CURRENCY_FIELDS if isinstance(value := record.fields.get(name), Ref)}
        if not found:
            return record
        symbols = {name: self._names.symbol(value) for name, value in found.items()}
        return replace(record, fields={**record.fields, **symbols})

    def _get(self, refs: Sequence[Ref], interactive: bool) -> list[Record | None]:
        made = [self._base_ref(ref) for ref in refs]
        listed = len(refs) > 1
        try:
            answer = self._wire.exchange(
                "getList" if listed else "get",
                write=False,
                listed=listed,
                interactive=interactive,
                baseRef=made if listed else made[0],
            )
        except Deferred as error:
            if error.code != TOO_LARGE or len(refs) == 1:
                raise
            middle = len(refs) // 2
            return self._get(refs[:middle], interactive) + self._get(refs[middle:], interactive)
        holder = child(answer, "readResponseList") if listed else answer
        responses = children(holder, "readResponse") if holder is not None else []
        if len(responses) != len(refs):
            reason = f"{len(responses)} answers to {len(refs)} references"
            raise faults.in_doubt(reason, write=False, code="ANSWER_COUNT")
        return [self._read(response, ref) for response, ref in zip(responses, refs, strict=True)]

    def _read(self, response: etree._Element, ref: Ref) -> Record | None:
        error = envelopes.status_error(response, write=False)
        if error is not None:
            if envelopes.missing(error):
                return None
            raise error
        element = child(response, "record")
        if element is None:
            raise faults.in_doubt("a success without a record", write=False, code="UNREADABLE_ANSWER")
        try:
            return self._reader.record(element, ref.kind)
        except Unreadable as unreadable:
            raise faults.in_doubt(str(unreadable), write=False, code="UNREADABLE_ANSWER") from unreadable

    def changed(self, kind: str, since: datetime, until: datetime, fields: Sequence[str] = ()) -> Iterator[Record]:
        """Yield every *kind* last modified in ``[since, until]``; see the port.

        *since* is rounded down to the second, *until* up. A page that is too large is asked for again in smaller ones;
        a record that moved between pages is yielded once.
        """
        seen: set[str | None] = set()
        size = self._page_size
        while True:
            try:
                for record in self._pages(kind, since, until, size, seen):
                    yield self._worded(record)
                return
            except Deferred as error:
                if error.code != TOO_LARGE or size <= SMALLEST_PAGE:
                    raise
                size = max(size // 2, SMALLEST_PAGE)

    def _pages(self, kind: str, since: datetime, until: datetime, size: int, seen: set[str | None]) -> Iterator[Record]:
        search_id: str | None = None
        index = 1
        while True:
            with closing(self.search_page(kind, since, until, size=size, search_id=search_id, index=index)) as page:
                for record in page:
                    if record.ref.id not in seen:
                        seen.add(record.ref.id)
                        yield record
                head = page.head
            if index >= head.total_pages or head.search_id is None:
                return
            index, search_id = index + 1, head.search_id

    def search_page(
        self,
        kind: str,
        since: datetime,
        until: datetime,
        *,
        size: int | None = None,
        search_id: str | None = None,
        index: int = 1,
        bare: bool = False,
        ids: tuple[int, int] | None = None,
        prefix: str | None = None,
    ) -> SearchPage:
        """Return page *index* of the records of *kind* modified in ``[since, until]``, not yet fetched.

        *bare* leaves out sublists. *ids* are the first and the last internal id, *prefix* what external ids begin with.
        """
        wire, reader, rows = self._wire, self._reader, size or self._page_size
        if search_id is None:
            found, type_id = self._kind(kind), self._type_id(kind, False)
            given: dict[str, Any] = {"type_id": type_id, "ids": ids, "prefix": prefix}
            wanted = criteria(self._bindings, kind, found, since, until, **given)
            return SearchPage(wire, reader, kind, rows, "search", bare=bare, searchRecord=wanted)
        return SearchPage(wire, reader, kind, rows, "searchMoreWithId", bare=bare, searchId=search_id, pageIndex=index)

    def windows(self, kind: str, since: datetime, until: datetime, prefix: str | None = None) -> Iterator[Window]:
        """Yield everything of *kind* modified in ``[since, until]``, proven against NetSuite's counts; see the port."""
        account = self if prefix is None else Named(self, prefix)
        return Windows(account, kind, self._page_size, self._worded).read(since, until)

    def count(self, kind: str, since: datetime, until: datetime) -> int:
        """Say how many records of *kind* were modified in ``[since, until]``."""
        return Windows(self, kind, self._page_size, self._worded).count(since, until)

    def deleted(self, kind: str, since: datetime, until: datetime) -> Iterator[Deleted]:
        """Yield every *kind* deleted in ``[since, until]``. Needs the Deleted Records permission."""
        wanted = self._kind(kind)
        filter_: dict[str, Any] = {
            "deletedDate": within(since, until),
            "type": {"operator": "anyOf", "searchValue": [wanted.name]},
        }
        if wanted is CUSTOM_RECORD:
            filter_["scriptId"] = {"operator": "is", "searchValue": kind}
        index = 1
        while True:
            found = self._wire.ask("getDeleted", interactive=False, getDeletedFilter=filter_, pageIndex=index)
            for one in found.iter("{*}deletedRecord"):
                record, at = child(one, "record"), text(child(one, "deletedDate"))
                if record is None or at is None or not record.get("internalId"):
                    continue
                ref = Ref(kind, id=record.get("internalId"), external_id=record.get("externalId") or None)
                yield Deleted(ref, _instant(at))
            if index >= int(text(child(found, "totalPages")) or 1):
                return
            index += 1

    def now(self) -> datetime:
        """NetSuite's own clock, aware UTC."""
        found = self._wire.ask("getServerTime", interactive=False)
        return _instant(text(child(found, "serverTime")) or "")

    def rate(self, source: str, target: str, on: date) -> Decimal | None:
        """Say what one unit of *source* was worth in *target* on a day; see the port."""
        return self._rates.rate(source, target, on)

    def url(self, ref: Ref) -> str | None:
        """The page of *ref* in NetSuite's own interface; None without an id or a page."""
        kind = kind_of(ref.kind)
        if kind is None or kind.page is None or ref.id is None or not ref.id.lstrip("-").isdigit():
            return None
        if kind is CUSTOM_RECORD:
            type_id = self._names.known_custom_type(ref.kind)
            return f"{self._application}{kind.page}?rectype={type_id}&id={ref.id}" if type_id else None
        return f"{self._application}{kind.page}?id={ref.id}"

    def learn(self, records: Iterable[Record]) -> list[BridgeError]:
        """Ask for the names in *records* ahead of time, and return what NetSuite does not know.

        Raises Deferred or Misconfigured when NetSuite cannot be asked.
        """
        return self._names.learn(records)

    def check(self) -> Iterator[Check]:
        """Say in plain words what is reachable and permitted; stops asking after a refused login."""
        return checks.run(self, self._names, self._kinds, self._clock)

    @property
    def version(self) -> str:
        """The endpoint version that is spoken."""
        return self._bindings.version

    @property
    def unknown(self) -> frozenset[str]:
        """``Type.element`` names in answers that the bindings do not hold: NetSuite has changed its schema."""
        return frozenset(self._reader.unknown)

    # One call

    def _kind(self, name: str) -> Kind:
        found = kind_of(name)
        if found is None:
            raise Misconfigured(f"The bridge does not know the NetSuite record '{name}'.", code="KIND_UNKNOWN")
        return found

    def _type_id(self, kind: str, interactive: bool) -> str | None:
        return self._names.custom_type(kind, interactive=interactive) if is_custom(kind) else None

    def _base_ref(self, ref: Ref) -> Any:
        kind = self._kind(ref.kind)
        try:
            values: dict[str, Any] = codec.reference(ref)
        except ValueError as error:
            raise Misconfigured("A record was asked for without an id.", code="ID_MISSING", detail=ref.kind) from error
        if kind is CUSTOM_RECORD:
            return self._bindings.type("core", "CustomRecordRef")(typeId=self._type_id(ref.kind, False), **values)
        return self._bindings.type("core", "RecordRef")(type=ref.kind, **values)


def _instant(value: str) -> datetime:
    try:
        return instant(value)
    except ValueError as error:
        raise faults.in_doubt(f"not a time: {value!r}", write=False, code="UNREADABLE_ANSWER") from error
