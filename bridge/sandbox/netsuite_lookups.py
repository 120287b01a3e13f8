"""Operations that look things up: searches with their pages, deletions, select values, currencies, the clock.

Must not know: HTTP, how records are written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from bridge.sandbox.netsuite_auth import SoapFault
from bridge.sandbox.netsuite_kinds import ITEMS, KINDS, REFERENCES
from bridge.sandbox.netsuite_render import Detail, Writer
from bridge.sandbox.netsuite_rules import NotSimulated, Refusal
from bridge.sandbox.netsuite_search import Criteria, date_window, parse
from bridge.sandbox.netsuite_store import PACIFIC, Link, Store, Stored, midnight, pacific

if TYPE_CHECKING:
    from lxml import etree

    from bridge.sandbox.netsuite_operations import Call
    from bridge.sandbox.netsuite_schema import Schema

PAGE_SIZES = range(5, 1001)  # section_N3418637
SEARCH_KEPT_FOR = timedelta(minutes=15)  # section_N3523074
SELECT_PAGE = 1000  # assumption


@dataclass
class Search:
    """A search whose id a client holds. *found* is what it gave when the account was at *revision*."""

    criteria: Criteria
    used: datetime
    revision: int = -1
    found: tuple[Stored, ...] = ()


class Lookups:
    """What can be asked without writing."""

    def __init__(
        self, schema: Schema, store: Store, writer: Writer, *, default_page_size: int, concurrency: int
    ) -> None:
        self.schema, self.store, self.writer = schema, store, writer
        self.default_page_size, self.concurrency = default_page_size, concurrency
        self._searches: dict[str, Search] = {}
        self._search_number = 0

    def do_search(self, call: Call) -> bytes:
        try:
            criteria = parse(self.schema, _children(call)[0])
        except Refusal as refusal:
            return self._search_failed(refusal.code, refusal.message)
        self._search_number += 1
        search_id = f"WEBSERVICES_SANDBOX_{self._search_number:08d}"
        self._forget_old()
        self._searches[search_id] = Search(criteria, self.store.now())
        return self._page(call, search_id, 1)

    def do_searchMoreWithId(self, call: Call) -> bytes:  # noqa: N802 - named by the protocol
        """Run the search again for another page, so rows may have shifted (section_N3523074)."""
        self._forget_old()
        parts = {_local(child.tag): child.text or "" for child in _children(call)}
        if parts["searchId"] not in self._searches:
            return self._search_failed("INVALID_JOB_ID", "Invalid search id.")
        return self._page(call, parts["searchId"], int(parts["pageIndex"]))

    def do_getDeleted(self, call: Call) -> bytes:  # noqa: N802 - named by the protocol
        """Deletions, kept indefinitely; pageSize follows the search preference (section_N3497592)."""
        kinds: set[str] | None = None
        since, until = datetime.min.replace(tzinfo=self.store.now().tzinfo), None
        page, script_id = 1, ""
        for part in _children(call):
            if _local(part.tag) == "pageIndex":
                page = int(part.text or "1")
                continue
            for item in part:
                texts = [child.text or "" for child in item]
                if _local(item.tag) == "deletedDate":
                    since, until = date_window(item)
                elif _local(item.tag) == "type":
                    if item.get("operator") != "anyOf":
                        raise NotSimulated(f"getDeleted by type {item.get('operator')}")
                    kinds = set(texts)
                else:
                    script_id = texts[0]
        gone = [
            item
            for item in self.store.gone
            if (kinds is None or item.kind in kinds)
            and item.deleted >= since
            and (until is None or item.deleted < until)
            and (not script_id or item.subtype == script_id.lower())
        ]
        size = self._page_size(call)
        pages = -(-len(gone) // size)
        shown = gone[(page - 1) * size : page * size]
        rows = b"".join(
            b"<platformCore:deletedRecord><platformCore:deletedDate>"
            + pacific(item.deleted).encode()
            + b"</platformCore:deletedDate>"
            + self.writer.base_ref("platformCore:record", item.kind, item.id, item.external_id, item.subtype)
            + b"</platformCore:deletedRecord>"
            for item in shown
        )
        listed = b"<platformCore:deletedRecordList>" + rows + b"</platformCore:deletedRecordList>"
        counts = self._counts(len(gone), size, pages, page)
        return b"".join((_open("getDeletedResult"), self.writer.status(), counts, listed, _close("getDeletedResult")))

    def do_getServerTime(self, call: Call) -> bytes:  # noqa: N802 - named by the protocol
        time = f"<platformCore:serverTime>{pacific(self.store.now())}</platformCore:serverTime>".encode()
        return _open("getServerTimeResult") + self.writer.status() + time + _close("getServerTimeResult")

    def do_getCurrencyRate(self, call: Call) -> bytes:  # noqa: N802 - named by the protocol
        """Every pair's newest rate up to the day asked for, today's by default (section_N3492280).

        One unit of ``fromCurrency`` is worth ``exchangeRate`` units of ``baseCurrency`` (inferred from its samples).
        """
        wanted = {_local(it.tag): it for it in next(iter(_children(call)))}
        given = wanted["effectiveDate"].text if "effectiveDate" in wanted else None
        moment = datetime.fromisoformat(given) if given else self.store.now()
        day = moment.astimezone(PACIFIC).date()
        asked = [wanted[it].get("internalId") if it in wanted else None for it in ("fromCurrency", "baseCurrency")]
        rows = []
        for pair, rates in self.store.rates.items():
            known = [it for it in rates if it[0] <= day]
            if not known or any(one not in (None, own) for one, own in zip(asked, pair, strict=True)):
                continue
            refs = "".join(
                f'<platformCore:{tag} internalId="{it}"><platformCore:name>{self.store.records["currency"][it].name}'
                f"</platformCore:name></platformCore:{tag}>"
                for tag, it in (("baseCurrency", pair[1]), ("fromCurrency", pair[0]))
            )
            since = midnight(known[-1][0].isoformat())
            rows.append(
                f"<platformCore:currencyRate>{refs}<platformCore:exchangeRate>{known[-1][1]}"
                f"</platformCore:exchangeRate><platformCore:effectiveDate>{since}</platformCore:effectiveDate>"
                "</platformCore:currencyRate>"
            )
        listed = f"<platformCore:currencyRateList>{''.join(rows)}</platformCore:currencyRateList>".encode()
        return _open("getCurrencyRateResult") + self.writer.status() + listed + _close("getCurrencyRateResult")

    def do_getAll(self, call: Call) -> bytes:  # noqa: N802 - named by the protocol
        kind = _children(call)[0].get("recordType") or ""
        if kind != "currency":
            raise NotSimulated(f"getAll of {kind}")
        records = list(self.store.records[kind].values())
        rows = b"".join(self.writer.record(item, tag="platformCore:record", body_only=False) for item in records)
        total = f"<platformCore:totalRecords>{len(records)}</platformCore:totalRecords><platformCore:recordList>"
        parts = (_open("getAllResult"), self.writer.status(), total.encode(), rows, b"</platformCore:recordList>")
        return b"".join((*parts, _close("getAllResult")))

    def do_getSelectValue(self, call: Call) -> bytes:  # noqa: N802 - named by the protocol
        """The values of a select field, for finding a term, an item or an account by name."""
        parts = {_local(child.tag): child for child in _children(call)}
        description = {_local(child.tag): child for child in parts["fieldDescription"]}
        unknown = set(description) - {
            "recordType",
            "sublist",
            "field",
            "filter",
            "filterByValueList",
            "customRecordType",
        }
        if unknown:
            raise NotSimulated(f"getSelectValue with {', '.join(sorted(unknown))}")
        name = description["field"].text or ""
        record_type = description["recordType"].text if "recordType" in description else None
        targets = REFERENCES.get(name, ())
        if record_type in KINDS:
            targets = KINDS[record_type].refs.get(name) or targets
        if not targets and name == "item":
            targets = ITEMS
        if not targets:
            details = [Detail("INVALID_FLD_VALUE", f"{name} is not a select field of {record_type}.")]
            return _open("getSelectValueResult") + self.writer.status(details) + _close("getSelectValueResult")
        found = [record for kind in targets for record in self.store.records[kind].values()]
        if "filter" in description:
            wanted = (description["filter"][0].text or "").lower()
            operator = description["filter"].get("operator")
            found = [record for record in found if _matches(operator, record.name.lower(), wanted)]
        found = [record for record in found if record.fields.get("isInactive") != "true"]
        if "filterByValueList" in description:
            try:
                own = self._subsidiary_by(description["filterByValueList"])
            except Refusal as refusal:
                status = self.writer.status([Detail(refusal.code, refusal.message)])
                return _open("getSelectValueResult") + status + _close("getSelectValueResult")
            found = [record for record in found if record.kind not in ITEMS or self.store.has_item(own, record.id)]
        page = int(parts["pageIndex"].text or "1") if "pageIndex" in parts else 1
        shown = found[(page - 1) * SELECT_PAGE : page * SELECT_PAGE]
        rows = "".join(
            f'<platformCore:baseRef xsi:type="platformCore:RecordRef" internalId="{record.id}">'
            f"<platformCore:name>{escape(record.name)}</platformCore:name></platformCore:baseRef>"
            for record in shown
        )
        counts = (
            f"<platformCore:totalRecords>{len(found)}</platformCore:totalRecords>"
            f"<platformCore:totalPages>{-(-len(found) // SELECT_PAGE)}</platformCore:totalPages>"
            f"<platformCore:baseRefList>{rows}</platformCore:baseRefList>"
        )
        return _open("getSelectValueResult") + self.writer.status() + counts.encode() + _close("getSelectValueResult")

    def _subsidiary_by(self, listed: etree._Element) -> Link:
        """The subsidiary whose choices are wanted; a transaction's depend on its entity (section_N3504236)."""
        parts = [{_local(it.tag): it.text or "" for it in one} for one in listed]
        if len(parts) != 1 or parts[0].get("field") != "entity" or "sublist" in parts[0]:
            raise NotSimulated(f"getSelectValue by {parts}")
        key = parts[0]["internalId"]
        entity = self.store.get("customer", key) or self.store.get("vendor", key)
        if entity is None:
            raise Refusal("INVALID_KEY_OR_REF", f"Invalid entity reference key {key}.")
        own: Link = entity.fields["subsidiary"]
        return own

    def do_getCustomizationId(self, call: Call) -> bytes:  # noqa: N802 - named by the protocol
        """Internal ids and script ids of custom record types and custom fields."""
        wanted = _children(call)[0].get("getCustomizationType") or ""
        prefixes = {
            "transactionBodyCustomField": "custbody",
            "customRecordCustomField": "custrecord",
            "entityCustomField": "custentity",
            "transactionColumnCustomField": "custcol",
        }
        if wanted == "customRecordType":
            types = self.store.records["customRecordType"].values()
            rows = [(record.id, str(record.fields["scriptId"]), record.name) for record in types]
        elif wanted in prefixes:
            fields = enumerate(self.store.custom_fields.values(), 201)
            prefix = prefixes[wanted]
            rows = [(str(key), item.script_id, item.label) for key, item in fields if item.script_id.startswith(prefix)]
        else:
            raise NotSimulated(f"getCustomizationId of {wanted}")
        refs = "".join(
            f'<platformCore:customizationRef internalId="{key}" scriptId="{script}" type="{wanted}">'
            f"<platformCore:name>{escape(label)}</platformCore:name></platformCore:customizationRef>"
            for key, script, label in rows
        )
        total = f"<platformCore:totalRecords>{len(rows)}</platformCore:totalRecords>"
        listed = f"{total}<platformCore:customizationRefList>{refs}</platformCore:customizationRefList>".encode()
        return _open("getCustomizationIdResult") + self.writer.status() + listed + _close("getCustomizationIdResult")

    def do_getAccountGovernanceInfo(self, call: Call) -> bytes:  # noqa: N802 - named by the protocol
        """The account's concurrency limit; none of it is reserved for one integration (bridgehead_156224824287)."""
        tags = ("accountConcurrencyLimit", "unallocatedConcurrencyLimit")
        limits = "".join(f"<platformCore:{tag}>{self.concurrency}</platformCore:{tag}>" for tag in tags).encode()
        result = "getAccountGovernanceInfoResult"
        return _open(result) + self.writer.status() + limits + _close(result)

    def data_center_urls(self, base: str) -> bytes:
        """The three domains of the account (section_N3494684: no authentication, any account gets an answer)."""
        tags = ("restDomain", "webservicesDomain", "systemDomain")
        urls = "".join(f"<platformCore:{tag}>{escape(base)}</platformCore:{tag}>" for tag in tags)
        inner = f"<platformCore:dataCenterUrls>{urls}</platformCore:dataCenterUrls>".encode()
        return _open("getDataCenterUrlsResult") + self.writer.status() + inner + _close("getDataCenterUrlsResult")

    def _page_size(self, call: Call) -> int:
        """The page size of this very call: preferences are not remembered from page 1 (bound header, not state)."""
        text = call.preference("searchPreferences", "pageSize")
        size = int(text) if text else self.default_page_size
        if size not in PAGE_SIZES:
            # The code is documented (section_4170181850) but in no XSD.
            raise SoapFault("unexpectedErrorFault", "WS_INVALID_SEARCH_PAGE_SIZE", "The page size must be 5 to 1000.")
        return size

    def _page(self, call: Call, search_id: str, page: int) -> bytes:
        size = self._page_size(call)
        body_only = (call.preference("searchPreferences", "bodyFieldsOnly") or "true") in ("true", "1")
        search = self._searches[search_id]
        search.used = self.store.now()
        if search.revision != self.store.revision:
            search.found, search.revision = tuple(search.criteria.run(self.store)), self.store.revision
        found = search.found
        pages = -(-len(found) // size)
        if page < 1 or page > max(pages, 1):
            return self._search_failed("INVALID_SEARCH_PAGE_INDEX", f"There is no page {page}.")
        shown = found[(page - 1) * size : page * size]
        hidden = self.store.hidden
        records = [
            self.writer.record(item, tag="platformCore:record", body_only=body_only)
            for item in shown
            if not hidden or (item.kind, item.id) not in hidden
        ]
        identity = f"<platformCore:searchId>{search_id}</platformCore:searchId><platformCore:recordList>".encode()
        counts = self._counts(len(found), size, pages, page)
        head = (_open("searchResult"), self.writer.status(), counts, identity)
        return b"".join((*head, *records, b"</platformCore:recordList>", _close("searchResult")))

    def _counts(self, total: int, size: int, pages: int, page: int) -> bytes:
        return (
            f"<platformCore:totalRecords>{total}</platformCore:totalRecords><platformCore:pageSize>{size}"
            f"</platformCore:pageSize><platformCore:totalPages>{pages}</platformCore:totalPages>"
            f"<platformCore:pageIndex>{page}</platformCore:pageIndex>"
        ).encode()

    def _search_failed(self, code: str, message: str) -> bytes:
        return _open("searchResult") + self.writer.status([Detail(code, message)]) + _close("searchResult")

    def _forget_old(self) -> None:
        limit = self.store.now() - SEARCH_KEPT_FOR
        for key in [key for key, search in self._searches.items() if search.used < limit]:
            del self._searches[key]


def _local(tag: object) -> str:
    return str(tag).rpartition("}")[2]


def _children(call: Call) -> list:  # type: ignore[type-arg]
    return [child for child in call.element if isinstance(child.tag, str)]


def _open(tag: str) -> bytes:
    return f"<platformCore:{tag}>".encode()


def _close(tag: str) -> bytes:
    return f"</platformCore:{tag}>".encode()


def _matches(operator: str | None, name: str, wanted: str) -> bool:
    if operator == "is":
        return name == wanted
    return name.startswith(wanted) if operator == "startsWith" else wanted in name
