"""References that carry only a name → internal ids, asked of NetSuite once an hour.

``Names.resolve`` replaces every such ``Ref`` of a record; ``Names.custom_type`` finds a custom record type by its
script id.

Must not know: HTTP, how a record is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Protocol

from lxml import etree

from bridge.errors import BridgeError, Misconfigured, Rejected
from bridge.netsuite.codec import clean
from bridge.netsuite.kinds import CUSTOM_RECORD, is_custom
from bridge.netsuite.reading import Reader, child, text
from bridge.netsuite.wsdl import Bindings
from bridge.ports import Record, Ref

KEPT = timedelta(hours=1)  # NetSuite itself shows changed settings to a session only after as long
MISSED = timedelta(seconds=10)  # a name that was not there may be added any moment; a batch asks for it only once
LEARNERS = 3  # questions at once while learning names ahead; saves go first
PAGES = 20  # of a select list; a name that matches more than that is no choice


class Call(Protocol):
    """One read operation: returns the result element of a successful answer."""

    def __call__(self, operation: str, *, interactive: bool, **values: Any) -> etree._Element: ...


class Names:
    """The names and types NetSuite knows, remembered for an hour. Safe to share between threads."""

    def __init__(self, bindings: Bindings, call: Call, clock: Callable[[], datetime]) -> None:
        self._bindings = bindings
        self._call = call
        self._clock = clock
        self._reader = Reader(bindings)
        self._ids: dict[tuple[str, str, str, str], tuple[datetime, str | None]] = {}
        self._types: dict[str, tuple[datetime, str]] = {}
        self._currencies: tuple[datetime, dict[str, str]] | None = None
        self._symbols: dict[str, str] = {}
        self._base: set[str] = set()

    def through(self, bindings: Bindings, call: Call) -> Names:
        """Return the same knowledge, asked for through other bindings: ids do not depend on them."""
        other = Names(bindings, call, self._clock)
        other._ids, other._types, other._symbols, other._base = self._ids, self._types, self._symbols, self._base
        other._currencies = self._currencies
        return other

    def resolve(self, record: Record, *, interactive: bool) -> Record:
        """Return *record* with an id in every reference.

        Raises Rejected (``ITEM_UNKNOWN`` …) when NetSuite has no such name: accounting adds it or the mapping changes.
        """
        changed: dict[str, Any] = {}
        entity = record.fields.get("entity")
        by = entity.id if isinstance(entity, Ref) else None
        for name, value in record.fields.items():
            if isinstance(value, Ref):
                changed[name] = self._resolved(record.ref.kind, "", name, value, interactive)
            elif isinstance(value, list | tuple):
                changed[name] = [self._line(record.ref.kind, name, line, interactive, by) for line in value]
        return Record(record.ref, {**record.fields, **changed}, record.modified_at) if changed else record

    def learn(self, records: Iterable[Record]) -> list[BridgeError]:
        """Ask for every name in *records* anew, and return what NetSuite does not know.

        Raises Deferred or Misconfigured when NetSuite cannot be asked; what is known stays known.
        """
        with ThreadPoolExecutor(LEARNERS, thread_name_prefix="learn") as pool:
            return [error for error in pool.map(self._learn, list(records)) if error is not None]

    def _learn(self, record: Record) -> BridgeError | None:
        fresh = Names(self._bindings, self._call, self._clock)
        # What the account has few of is asked for once: a fresh look at it brings all of it.
        fresh._types, fresh._currencies = self._types, self._currencies
        fresh._symbols, fresh._base = self._symbols, self._base
        try:
            if is_custom(record.ref.kind):
                fresh.custom_type(record.ref.kind, interactive=False)
            fresh.resolve(record, interactive=False)
        except Rejected as error:
            return error
        except Misconfigured as error:
            if error.code != "CUSTOM_RECORD_TYPE_UNKNOWN":
                raise
            return error
        finally:
            self._ids.update(fresh._ids)
            self._currencies = fresh._currencies or self._currencies
        return None

    def custom_type(self, script_id: str, *, interactive: bool) -> str:
        """Return the internal id of a custom record type. Raises Misconfigured when NetSuite has none of that name."""
        key = script_id.lower()
        kept = self._types.get(key)
        if kept is None or kept[0] < self._clock():
            result = self._call(
                "getCustomizationId",
                interactive=interactive,
                customizationType={"getCustomizationType": "customRecordType"},
                includeInactives=False,
            )
            until = self._clock() + KEPT
            for one in result.iter("{*}customizationRef"):
                name, found = one.get("scriptId"), one.get("internalId")
                if name and found:
                    self._types[name.lower()] = (until, found)
            kept = self._types.get(key)
            if kept is None or kept[0] < self._clock():
                raise Misconfigured(
                    f"NetSuite has no custom record type '{script_id}', or the bridge's role may not see it.",
                    code="CUSTOM_RECORD_TYPE_UNKNOWN",
                    detail=script_id,
                )
        return kept[1]

    def known_custom_type(self, script_id: str) -> str | None:
        """Return the internal id of a custom record type if it has been asked for already."""
        kept = self._types.get(script_id.lower())
        return kept[1] if kept else None

    def currencies(self, *, interactive: bool) -> dict[str, str]:
        """Return the ids of all active currencies by symbol and by name, in upper case."""
        result = self._call("getAll", interactive=interactive, record={"recordType": "currency"})
        found: dict[str, str] = {}
        for one in result.iter("{*}record"):
            fields = self._reader.record(one).fields
            for word in (fields.get("name"), fields.get("symbol")):
                if word and one.get("internalId") and not fields.get("isInactive"):
                    found[str(word).upper()] = one.get("internalId") or ""
            if fields.get("isBaseCurrency") is True:
                self._base.add(one.get("internalId") or "")
            if fields.get("symbol") and one.get("internalId"):
                self._symbols[one.get("internalId") or ""] = str(fields["symbol"]).upper()
        self._currencies = (self._clock(), found)
        return found

    def symbols(self) -> dict[str, str]:
        """Return the ISO symbol of every currency by its id."""
        if not self._symbols:
            self.currencies(interactive=False)
        return self._symbols

    def is_base(self, currency: Ref) -> bool:
        """Say whether *currency* is the account's own; True too where that is not known, as with a single currency."""
        if not self._symbols:
            self.currencies(interactive=False)
        return not self._base or currency.id in self._base

    def symbol(self, currency: Ref) -> Ref:
        """Return *currency* named by its ISO symbol: a record names it in the account's own words ("US Dollar")."""
        if currency.id is not None and currency.id not in self._symbols:
            self.currencies(interactive=False)
        return Ref(
            currency.kind, currency.id, currency.external_id, self._symbols.get(currency.id or "", currency.name)
        )

    def _line(self, kind: str, sublist: str, line: Any, interactive: bool, by: str | None) -> Any:
        if isinstance(line, Ref):
            return self._resolved(kind, "", sublist, line, interactive)
        if not isinstance(line, Mapping):
            return line
        return {
            name: self._resolved(kind, sublist, name, value, interactive, by) if isinstance(value, Ref) else value
            for name, value in line.items()
        }

    def _resolved(self, kind: str, sublist: str, field: str, ref: Ref, interactive: bool, by: str | None = None) -> Ref:
        if ref.id is not None or ref.external_id is not None:
            return ref
        place = f"{sublist}.{field}" if sublist else field
        if not ref.name:
            raise Rejected(f"'{place}' names no {ref.kind}.", code=f"{ref.kind.upper()}_UNKNOWN", field=place)
        if ref.kind == "currency":
            found = self._currency(ref.name, interactive)
        else:
            found = self._selected(kind, sublist, field, ref, place, interactive, by)
        if found is None:
            raise Rejected(
                f"NetSuite has no {ref.kind} named '{ref.name}'.",
                code=f"{ref.kind.upper()}_UNKNOWN",
                who="accounting",
                field=place,
            )
        return Ref(ref.kind, id=found, name=ref.name)

    def _currency(self, name: str, interactive: bool) -> str | None:
        word = name.strip().upper()
        kept = self._currencies
        now = self._clock()
        if kept is not None and kept[0] + KEPT > now and (word in kept[1] or kept[0] + MISSED > now):
            return kept[1].get(word)
        return self.currencies(interactive=interactive).get(word)

    def _selected(
        self, kind: str, sublist: str, field: str, ref: Ref, place: str, interactive: bool, by: str | None
    ) -> str | None:
        wanted = (ref.name or "").strip()
        key = (kind, sublist, field, wanted.casefold())
        kept = self._ids.get(key)
        if kept is not None and kept[0] > self._clock():
            return kept[1]
        matches = self._select(kind, sublist, field, wanted, interactive)
        if not matches and by is not None:
            # Choices that depend on the customer may be shown for a customer only (NetSuite Help section_N3504236).
            with suppress(Rejected, Misconfigured):
                matches = self._select(kind, sublist, field, wanted, interactive, by)
        # NetSuite writes a nested name as "Parent : Child"; the full name wins over its last part.
        whole = {found for name, found in matches if name.casefold() == wanted.casefold()}
        last = {found for name, found in matches if name.rpartition(" : ")[2].casefold() == wanted.casefold()}
        ids = whole or last
        if len(ids) > 1:
            raise Rejected(
                f"NetSuite has more than one {ref.kind} named '{wanted}'.",
                code=f"{ref.kind.upper()}_AMBIGUOUS",
                who="accounting",
                field=place,
            )
        found = ids.pop() if ids else None
        self._ids[key] = (self._clock() + (KEPT if found else MISSED), found)
        return found

    def selectable(self, kind: str, sublist: str, field: str) -> list[str]:
        """Return every name that may stand in a field now: the active items that an order can have, for example."""
        return sorted({name for name, _ in self._select(kind, sublist, field, "", False)})

    def offered(self, kind: str, sublist: str, field: str, entity_id: str, *, interactive: bool) -> frozenset[str]:
        """Return the ids that may stand in a field of a transaction of one customer or vendor; none if too many."""
        found = self._select(kind, sublist, field, "", interactive, entity_id, whole=True)
        return frozenset(id_ for _, id_ in found)

    def _select(
        self, kind: str, sublist: str, field: str, name: str, interactive: bool, by: str | None = None,
        whole: bool = False,
    ) -> list[tuple[str, str]]:  # fmt: skip
        """Ask for the choices of a field that contain *name*, on a transaction of entity *by*; none if not *whole*."""
        description: dict[str, Any] = {"field": field}
        if is_custom(kind):
            type_id = self.custom_type(kind, interactive=interactive)
            description["customRecordType"] = {"internalId": type_id, "type": CUSTOM_RECORD.name + "Type"}
        else:
            description["recordType"] = kind
        if sublist:
            description["sublist"] = sublist
        if by is not None:
            description["filterByValueList"] = {"filterBy": [{"field": "entity", "internalId": by}]}
        if name:
            description["filter"] = {"operator": "contains", "filterValue": clean(name)}
        found: list[tuple[str, str]] = []
        for page in range(1, PAGES + 1):
            result = self._call("getSelectValue", interactive=interactive, fieldDescription=description, pageIndex=page)
            for one in result.iter("{*}baseRef"):
                label, id_ = text(child(one, "name")), one.get("internalId")
                if label and id_:
                    found.append((label, id_))
            if page >= int(text(child(result, "totalPages")) or 1):
                return found
        return [] if whole else found
