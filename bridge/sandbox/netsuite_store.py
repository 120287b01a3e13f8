"""What the fake NetSuite remembers: records with their indices, deletions, numbers. No rules, no XML.

A ``Stored`` record keeps each field as the text that goes out again, a ``Link`` to another record, or lines. Indices by
external id, name and time of change keep 50,000 records quick.

Must not know: SOAP, what is allowed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from bridge.sandbox.netsuite_kinds import CUSTOM_FIELDS, KINDS, TRANSACTIONS, CustomField

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACIFIC = ZoneInfo("America/Los_Angeles")


class Link(NamedTuple):
    """A reference to a record that exists."""

    kind: str
    id: str


class Custom(NamedTuple):
    """The value of a custom field: its xsi:type and its text or links."""

    type: str
    values: tuple[str | Link, ...]


Line = dict[str, Any]


@dataclass(slots=True, eq=False)
class Stored:
    """One record. *subtype* is the script id of a custom record's type. *revision* counts its changes."""

    kind: str
    id: str
    created: datetime
    modified: datetime
    external_id: str | None = None
    subtype: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, list[Line]] = field(default_factory=dict)
    custom: dict[str, Custom] = field(default_factory=dict)
    revision: int = 1
    last_line: int = 0
    cache: dict[tuple[str, bool], tuple[int, bytes]] = field(default_factory=dict)

    @property
    def link(self) -> Link:
        return Link(self.kind, self.id)

    @property
    def name(self) -> str:
        """What a reference to this record shows."""
        for key in ("entityId", "tranId", "itemId", "acctName", "name", "recordName", "periodName"):
            if self.fields.get(key):
                return str(self.fields[key])
        return self.id


@dataclass(frozen=True, slots=True)
class Gone:
    """A deleted record, kept indefinitely (section_N3497592)."""

    kind: str
    id: str
    external_id: str | None
    deleted: datetime
    subtype: str = ""


class Store:
    """All records of the account. Callers hold the account's lock."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.records: dict[str, dict[str, Stored]] = {kind: {} for kind in KINDS}
        self.gone: list[Gone] = []
        self.rates: dict[tuple[str, str], list[tuple[date, str]]] = {}  # (from, base): since when, rate
        self.hidden: dict[tuple[str, str], str] = {}  # (kind, id) -> the code with which the role may not see it
        self.item_subsidiaries: dict[str, frozenset[str]] = {}  # of items that not every subsidiary has
        self.revision = 0  # counts every change: a search of an unchanged account need not run again
        self.renames = 0  # counts changes of names: rendered references to them are stale
        self._external: dict[tuple[str, str], Stored] = {}
        self._by_time: dict[str, list[tuple[datetime, int, Stored, int]]] = {kind: [] for kind in KINDS}
        self._sequence = 0
        self._next_id = 900
        self._numbers: dict[str, int] = {}
        self.entity_names: dict[str, Stored] = {}
        self.contact_names: dict[tuple[str, str], Stored] = {}
        self.with_transactions: dict[str, int] = {}
        self.periods: dict[str, Stored] = {}  # accounting periods, which are months here, by month: 2026-11
        self._next_line_key = 9000
        self.custom_fields: dict[str, CustomField] = {item.script_id: item for item in CUSTOM_FIELDS}

    def now(self) -> datetime:
        """NetSuite's clock: whole seconds (recorded responses)."""
        return self._clock().astimezone(UTC).replace(microsecond=0)

    def new(self, kind: str, *, subtype: str = "", fixed_id: str | None = None) -> Stored:
        """An empty record with the next internal id, not yet added. Ids are one sequence (assumption)."""
        if fixed_id is None:
            self._next_id += 1
            fixed_id = str(self._next_id)
        now = self.now()
        return Stored(kind, fixed_id, now, now, subtype=subtype)

    def number(self, prefix: str) -> str:
        """The next document number, from 1001 (assumption: auto-numbering is on for transactions)."""
        self._numbers[prefix] = self._numbers.get(prefix, 1000) + 1
        return f"{prefix}{self._numbers[prefix]}"

    def line_key(self) -> str:
        """The next lineUniqueKey, never used again in the account."""
        self._next_line_key += 1
        return str(self._next_line_key)

    def get(self, kind: str, internal_id: str) -> Stored | None:
        return self.records[kind].get(internal_id)

    def find(self, group: str, external_id: str) -> Stored | None:
        """By external id, whose case does not matter (section_N3433806), within a group (section_N3436356)."""
        return self._external.get((group, external_id.lower()))

    def group(self, kind: str, subtype: str = "") -> str:
        """The external-id group; a custom record type is one of its own (assumption)."""
        return subtype or KINDS[kind].group or kind

    def add(self, record: Stored) -> None:
        self.records[record.kind][record.id] = record
        self._index(record)
        if record.kind in TRANSACTIONS:
            owner = record.fields.get("entity") or record.fields.get("customer")
            if owner:
                self.with_transactions[owner.id] = self.with_transactions.get(owner.id, 0) + 1

    def changed(self, record: Stored) -> None:
        """Stamp *record* as changed now."""
        record.modified = self.now()
        record.revision += 1
        record.cache.clear()
        self._index(record)

    def set_external_id(self, record: Stored, external_id: str) -> None:
        group = self.group(record.kind, record.subtype)
        if record.external_id:
            self._external.pop((group, record.external_id.lower()), None)
        record.external_id = external_id
        self._external[group, external_id.lower()] = record

    def has_item(self, subsidiary: Link, item_id: str) -> bool:
        """Say whether an item is one of a subsidiary; by default of all (parent company, *Include Children*)."""
        only = self.item_subsidiaries.get(item_id)
        return only is None or subsidiary.id in only

    def remove(self, record: Stored) -> None:
        """Delete *record*; its external id becomes free, its number and id do not."""
        del self.records[record.kind][record.id]
        group = self.group(record.kind, record.subtype)
        if record.external_id:
            self._external.pop((group, record.external_id.lower()), None)
        self.entity_names = {key: other for key, other in self.entity_names.items() if other is not record}
        self.contact_names = {key: other for key, other in self.contact_names.items() if other is not record}
        owner = record.fields.get("entity") or record.fields.get("customer")
        if owner and owner.id in self.with_transactions:
            self.with_transactions[owner.id] -= 1
        record.revision += 1
        self.gone.append(Gone(record.kind, record.id, record.external_id, self.now(), record.subtype))
        self.revision += 1

    def modified_between(self, kind: str, since: datetime, until: datetime) -> Iterator[Stored]:
        """Records of *kind* changed in ``[since, until]``."""
        entries = self._by_time[kind]
        start = bisect_left(entries, (since, 0))
        for moment, _, record, revision in entries[start:]:
            if moment > until:
                return
            if record.revision == revision:
                yield record

    def _index(self, record: Stored) -> None:
        self.revision += 1
        self._sequence += 1
        entries = self._by_time[record.kind]
        entry = (record.modified, self._sequence, record, record.revision)
        if entries and entries[-1][0] > record.modified:
            insort(entries, entry)  # the clock went back
        else:
            entries.append(entry)
        if len(entries) > 2000 and len(entries) > 3 * len(self.records[record.kind]):
            self._by_time[record.kind] = [item for item in entries if item[2].revision == item[3]]


def pacific(moment: datetime) -> str:
    """A moment as NetSuite writes it: Pacific offset, whole seconds (recorded responses)."""
    return _pacific(int(moment.timestamp()))


@lru_cache(maxsize=4096)
def _pacific(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, PACIFIC).isoformat(timespec="milliseconds")


@lru_cache(maxsize=4096)
def moment(text: str) -> datetime:
    """An xsd:dateTime as aware UTC; without an offset it is Pacific, not UTC (section_1521451348)."""
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        value = value.replace(tzinfo=PACIFIC)
    return value.astimezone(UTC)


@lru_cache(maxsize=4096)
def midnight(text: str) -> str:
    """A date field as kept: the date in the user's zone (Pacific), given back as its midnight (section_1521451348)."""
    local = moment(text).astimezone(PACIFIC)
    return local.replace(hour=0, minute=0, second=0, microsecond=0).isoformat(timespec="milliseconds")
