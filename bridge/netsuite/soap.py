"""NetSuite over SuiteTalk SOAP, as the port wants it: ``SoapNetSuite``.

One call, one slot, one passport, one attempt: whether and when to try again is the engine's business. Requests are
built by zeep from the loaded bindings, answers are read by us.

Must not know: Salesforce, the ledger, when to retry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from lxml import etree

from bridge.errors import BridgeError, Deferred, Misconfigured
from bridge.netsuite import checks, codec, envelopes, faults
from bridge.netsuite.envelopes import Page
from bridge.netsuite.kinds import CALL_WEIGHT, CUSTOM_RECORD, Kind, is_custom, kind_of
from bridge.netsuite.names import Names
from bridge.netsuite.passport import TokenCredentials, passport
from bridge.netsuite.reading import SOAP, Reader, Unreadable, child, children, instant, text
from bridge.netsuite.transport import Broken, Limits, NotSent, TooLarge, Transport, new_session
from bridge.netsuite.wsdl import Bindings
from bridge.ports import Check, Deleted, Record, Ref, Slots, Written

HOST = re.compile(r"https://[a-z0-9-]+\.suitetalk\.api\.netsuite\.com")
LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?")
PAGE_SIZE = 1000  # the largest a synchronous search may have (NetSuite Help section_N3418637)
SMALLEST_PAGE = 5
GET_LIST = 1000  # records in one getList
SECOND = timedelta(seconds=1)
DEFAULT_KINDS = (
    "customer", "vendor", "contact", "salesOrder", "purchaseOrder", "customerPayment", "invoice",
)  # fmt: skip


def account_host(account: str) -> str:
    """Return the account's part of a host name: ``1234567_SB1`` → ``1234567-sb1``."""
    return account.lower().replace("_", "-")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SoapNetSuite:
    """One NetSuite account. Safe to share between threads.

    Args:
        account: as NetSuite spells it, ``1234567_SB1``.
        base_url: only when the account's own domain is another; ``https://<name>.suitetalk.api.netsuite.com``.
        slots: shared permission to have calls in flight.
        session: only for tests and proxies; its redirects, cookies and environment are not used.
        application_base_url: where people open records, default ``https://<account>.app.netsuite.com``.
        allow_loopback: also accept a plain address on this machine, for the sandbox.
        clock: aware UTC time, for passports and caches.
        kinds: what ``check`` tries to read.
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
        clock: Callable[[], datetime] = _utc_now,
        limits: Limits | None = None,
        page_size: int = PAGE_SIZE,
        pool_size: int = 8,
        kinds: Sequence[str] = DEFAULT_KINDS,
    ) -> None:
        base = base_url or f"https://{account_host(account)}.suitetalk.api.netsuite.com"
        if not (HOST.fullmatch(base) or (allow_loopback and LOOPBACK.fullmatch(base))):
            raise Misconfigured(
                "The NetSuite address is not an account's own SuiteTalk domain.", code="NETSUITE_HOST", detail=base
            )
        self._application = application_base_url or f"https://{account_host(account)}.app.netsuite.com"
        self._credentials = credentials
        self._bindings = bindings
        self._slots = slots
        self._clock = clock
        self._limits = limits or Limits()
        self._page_size = page_size
        self._kinds = tuple(kinds)
        self._transport = Transport(
            session or new_session(pool_size), f"{base}/services/NetSuitePort_{bindings.version}", self._limits
        )
        self._reader = Reader(bindings)
        self._names = Names(bindings, self._ask, clock)

    # Writing

    def upsert(self, records: Sequence[Record], *, interactive: bool = False) -> list[Written | BridgeError]:
        """Create or update each record by its external id; see the port.

        Several records go out in list calls of bounded weight, one after the other, in order.
        """
        outcomes: dict[int, Written | BridgeError] = {}
        ready: list[tuple[int, Record, Kind, Any]] = []
        for position, record in enumerate(records):
            try:
                kind, encoded = self._encoded(record, interactive)
            except BridgeError as error:
                outcomes[position] = error
            else:
                ready.append((position, record, kind, encoded))
        stopped: BridgeError | None = None
        for chunk in _chunks(ready):
            if stopped is None:
                answered, stopped = self._write(chunk, interactive)
            else:
                answered = [stopped] * len(chunk)
            outcomes.update((one[0], outcome) for one, outcome in zip(chunk, answered, strict=True))
        return [outcomes[position] for position in range(len(records))]

    def _encoded(self, record: Record, interactive: bool) -> tuple[Kind, Any]:
        kind = self._kind(record.ref.kind)
        if record.ref.external_id is None:
            raise Misconfigured(
                "A record without an external id cannot be written so that repeating is harmless.",
                code="EXTERNAL_ID_MISSING",
                detail=record.ref.kind,
            )
        type_id = self._type_id(record.ref.kind, interactive)
        resolved = self._names.resolve(record, interactive=interactive)
        return kind, codec.encode(self._bindings, kind, resolved, type_id=type_id)

    def _write(
        self, chunk: list[tuple[int, Record, Kind, Any]], interactive: bool
    ) -> tuple[list[Written | BridgeError], BridgeError | None]:
        """Send one call. The second value is an error after which the remaining calls must not be sent."""
        records = [record for _, record, _, _ in chunk]
        encoded = [made for *_, made in chunk]
        operation = "upsert" if len(chunk) == 1 else "upsertList"
        try:
            answer = self._exchange(
                operation,
                self._bindings.message(operation, record=encoded[0] if len(encoded) == 1 else encoded),
                write=True,
                interactive=interactive,
                timeout_s=self._limits.single_s if len(chunk) == 1 else self._limits.list_s,
            )
        except BridgeError as error:
            # A second login attempt, or more load on a busy account, would only make it worse.
            halt = isinstance(error, Misconfigured) or (isinstance(error, Deferred) and error.throttled)
            return [error] * len(chunk), error if halt else None
        holder = answer if len(chunk) == 1 else child(answer, "writeResponseList")
        responses = children(holder, "writeResponse") if holder is not None else []
        outcomes = envelopes.settled_all(responses, records)
        if any(isinstance(one, Deferred) and one.throttled for one in outcomes):
            self._slots.throttled()
        return outcomes, None

    # Reading

    def get(self, refs: Sequence[Ref], fields: Sequence[str] = ()) -> list[Record | None]:
        """Read records by id or external id; see the port. NetSuite has no choice of fields: all come back."""
        found: list[Record | None] = []
        for start in range(0, len(refs), GET_LIST):
            found += self._get(refs[start : start + GET_LIST])
        return found

    def _get(self, refs: Sequence[Ref]) -> list[Record | None]:
        made = [self._base_ref(ref) for ref in refs]
        operation = "get" if len(refs) == 1 else "getList"
        envelope = self._bindings.message(operation, baseRef=made[0] if len(made) == 1 else made)
        timeout_s = self._limits.single_s if len(refs) == 1 else self._limits.list_s
        try:
            answer = self._exchange(operation, envelope, write=False, timeout_s=timeout_s)
        except Deferred as error:
            if error.code != "ANSWER_TOO_LARGE" or len(refs) == 1:
                raise
            middle = len(refs) // 2
            return self._get(refs[:middle]) + self._get(refs[middle:])
        holder = answer if len(refs) == 1 else child(answer, "readResponseList")
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
                yield from self._pages(kind, since, until, size, seen)
                return
            except Deferred as error:
                if error.code != "ANSWER_TOO_LARGE" or size <= SMALLEST_PAGE:
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
    ) -> SearchPage:
        """Return page *index* of the records of *kind* modified in ``[since, until]``, not yet fetched.

        Its ``head`` tells ``total_records``, ``total_pages`` and ``search_id`` once the first record, or the end, is
        there. NetSuite runs the search again for every page, so totals may drift between pages.
        """
        preferences = {"bodyFieldsOnly": "false", "pageSize": str(size or self._page_size)}
        if search_id is None:
            envelope = self._bindings.message("search", searchRecord=self._search(kind, since, until))
            return SearchPage(self, "search", envelope, preferences, kind)
        envelope = self._bindings.message("searchMoreWithId", searchId=search_id, pageIndex=index)
        # Without the preferences a further page silently loses its sublists.
        return SearchPage(self, "searchMoreWithId", envelope, preferences, kind)

    def _search(self, name: str, since: datetime, until: datetime) -> Any:
        kind = self._kind(name)
        if kind.search is None:
            raise Misconfigured(f"{name} cannot be searched for.", code="KIND_UNKNOWN", detail=name)
        values: dict[str, Any] = {kind.modified: _within(since, until)}
        if kind.filter:
            values["type"] = {"operator": "anyOf", "searchValue": [kind.filter]}
        if kind is CUSTOM_RECORD:
            values["recType"] = {"internalId": self._type_id(name, False)}
        return self._bindings.type("common", kind.search)(**values)

    def deleted(self, kind: str, since: datetime, until: datetime) -> Iterator[Deleted]:
        """Yield every *kind* deleted in ``[since, until]``. Needs the Deleted Records permission."""
        wanted = self._kind(kind)
        filter_: dict[str, Any] = {
            "deletedDate": _within(since, until),
            "type": {"operator": "anyOf", "searchValue": [wanted.name]},
        }
        if wanted is CUSTOM_RECORD:
            filter_["scriptId"] = {"operator": "is", "searchValue": kind}
        index = 1
        while True:
            found = self._ask("getDeleted", interactive=False, getDeletedFilter=filter_, pageIndex=index)
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
        found = self._ask("getServerTime", interactive=False)
        return _instant(text(child(found, "serverTime")) or "")

    def url(self, ref: Ref) -> str | None:
        """The page of *ref* in NetSuite's own interface; None without an id or a page."""
        kind = kind_of(ref.kind)
        if kind is None or kind.page is None or ref.id is None or not ref.id.lstrip("-").isdigit():
            return None
        if kind is CUSTOM_RECORD:
            type_id = self._names.known_custom_type(ref.kind)
            return f"{self._application}{kind.page}?rectype={type_id}&id={ref.id}" if type_id else None
        return f"{self._application}{kind.page}?id={ref.id}"

    def check(self) -> Iterator[Check]:
        """Say in plain words what is reachable and permitted; stops asking after a refused login."""
        return checks.run(self, self._names, self._kinds, self._clock)

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

    def _ask(self, operation: str, *, interactive: bool, **values: Any) -> etree._Element:
        """Call a read operation and return its ``…Result`` when its status is a success."""
        envelope = self._bindings.message(operation, **values)
        answer = self._exchange(
            operation, envelope, write=False, interactive=interactive, timeout_s=self._limits.single_s
        )
        found = next(iter(answer), answer)
        error = envelopes.status_error(found, write=False)
        if error is not None:
            raise error
        return found

    def _exchange(
        self, operation: str, envelope: etree._Element, *, write: bool, timeout_s: float, interactive: bool = False
    ) -> etree._Element:
        """Send one message in a slot of its own and return its response element."""
        with self._slots.lease(interactive=interactive):
            try:
                answer = self._transport.post(operation, self._signed(envelope), timeout_s=timeout_s)
                body = answer.read()
            except NotSent as error:
                raise faults.not_sent(str(error)) from error
            except TooLarge as error:
                raise faults.in_doubt(str(error), write=write, code="ANSWER_TOO_LARGE") from error
            except Broken as error:
                raise faults.in_doubt(str(error), write=write) from error
        try:
            return envelopes.result(answer, body, operation, write=write)
        except Deferred as error:
            self._noted(error)
            raise

    def _noted(self, error: Deferred) -> None:
        if error.throttled:
            self._slots.throttled()

    def _signed(self, envelope: etree._Element, preferences: dict[str, str] | None = None) -> bytes:
        """Put a fresh passport on *envelope* and write it out; call just before sending."""
        messages = self._bindings.namespace("messages")
        header = etree.Element(f"{{{SOAP}}}Header")
        header.append(
            passport(
                self._credentials,
                timestamp=int(self._clock().timestamp()),
                messages=messages,
                core=self._bindings.namespace("core"),
            )
        )
        if preferences is not None:
            part = etree.SubElement(header, f"{{{messages}}}searchPreferences")
            for name, value in preferences.items():
                etree.SubElement(part, f"{{{messages}}}{name}").text = value
        envelope.insert(0, header)
        return etree.tostring(envelope, xml_declaration=True, encoding="utf-8")


class SearchPage:
    """One page of a search: iterate it once, in the slot it holds; ``head`` then tells the totals."""

    def __init__(
        self,
        netsuite: SoapNetSuite,
        operation: str,
        envelope: etree._Element,
        preferences: dict[str, str],
        kind: str,
    ) -> None:
        self._netsuite = netsuite
        self._message = (operation, envelope, preferences)
        self._kind = kind
        self.head = Page((), netsuite._reader, kind)
        self._records: Iterator[Record] = self._stream()

    def __iter__(self) -> Iterator[Record]:
        return self._records

    def close(self) -> None:
        """Stop reading and give the slot back."""
        self._records.close()  # type: ignore[attr-defined]  # a generator

    def _stream(self) -> Iterator[Record]:
        netsuite, limits = self._netsuite, self._netsuite._limits
        operation, envelope, preferences = self._message
        with netsuite._slots.lease(interactive=False):
            try:
                body = netsuite._signed(envelope, preferences)
                with closing(netsuite._transport.post(operation, body, timeout_s=limits.list_s)) as answer:
                    if answer.status != 200 or not answer.is_xml:
                        envelopes.result(answer, answer.read(), operation, write=False)
                    self.head = Page(answer.pieces(limits.page_bytes), netsuite._reader, self._kind)
                    yield from self.head
            except NotSent as error:
                raise faults.not_sent(str(error)) from error
            except TooLarge as error:
                raise faults.in_doubt(str(error), write=False, code="ANSWER_TOO_LARGE") from error
            except Broken as error:
                raise faults.in_doubt(str(error), write=False) from error
            except Unreadable as error:
                raise faults.in_doubt(str(error), write=False, code="UNREADABLE_ANSWER") from error
            except Deferred as error:
                netsuite._noted(error)
                raise


def _chunks(ready: list[tuple[int, Record, Kind, Any]]) -> Iterator[list[tuple[int, Record, Kind, Any]]]:
    chunk: list[tuple[int, Record, Kind, Any]] = []
    weight = 0
    for one in ready:
        if chunk and weight + one[2].weight > CALL_WEIGHT:
            yield chunk
            chunk, weight = [], 0
        chunk.append(one)
        weight += one[2].weight
    if chunk:
        yield chunk


def _within(since: datetime, until: datetime) -> dict[str, str]:
    upper = until.replace(microsecond=0)
    if upper < until:
        upper += SECOND
    return {"operator": "within", "searchValue": codec.instant(since), "searchValue2": codec.instant(upper)}


def _instant(value: str) -> datetime:
    try:
        return instant(value)
    except ValueError as error:
        raise faults.in_doubt(f"not a time: {value!r}", write=False, code="UNREADABLE_ANSWER") from error
