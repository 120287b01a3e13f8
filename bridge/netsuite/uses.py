"""What of a set of bindings the bridge and a site's syncs use: the ground on which two sets are compared.

``Uses`` says it in the words of the mapping: kinds and paths of fields. ``needs`` follows them, and the operations that
the adapter calls, into the types of the schemas: which elements, attributes and words are asked with or read.

Must not know: zeep, values of records, HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bridge.netsuite.codec import is_custom_field
from bridge.netsuite.inventory import PLAIN, Inventory, Name
from bridge.netsuite.kinds import CUSTOM_RECORD, KINDS, Kind, is_custom, kind_of

# What the adapter calls; the header parts that it sends with each.
OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "update": ("tokenPassport",),
    "upsert": ("tokenPassport",),
    "upsertList": ("tokenPassport",),
    "get": ("tokenPassport",),
    "getList": ("tokenPassport",),
    "getAll": ("tokenPassport",),
    "getCustomizationId": ("tokenPassport",),
    "getSelectValue": ("tokenPassport",),
    "getDeleted": ("tokenPassport",),
    "getServerTime": ("tokenPassport",),
    "getCurrencyRate": ("tokenPassport",),
    "search": ("tokenPassport", "searchPreferences"),
    "searchMoreWithId": ("tokenPassport", "searchPreferences"),
}
# Words of enumerations that the adapter itself writes, beside those that depend on the kinds.
WORDS: Mapping[str, frozenset[str]] = {
    "SearchDateFieldOperator": frozenset({"within"}),
    "SearchEnumMultiSelectFieldOperator": frozenset({"anyOf"}),
    "SearchStringFieldOperator": frozenset({"is", "startsWith"}),
    "SearchLongFieldOperator": frozenset({"between"}),
    "GetSelectValueFilterOperator": frozenset({"contains"}),
    "GetAllRecordType": frozenset({"currency"}),
    "GetCustomizationType": frozenset({"customRecordType"}),
}
CUSTOM_TYPES = ("String", "Long", "Double", "Boolean", "Date", "Select", "MultiSelect")
ANY: None = None  # instead of the words that may be sent: every word may


@dataclass(frozen=True)
class Uses:
    """What a site's syncs write and read, by kind and path (``"itemList.rate"``).

    *writes* gives the words that a field may be sent with, or None for any. *always* are the paths that are never left
    out. *syncs* names who uses a kind, for people.
    """

    writes: Mapping[str, Mapping[str, frozenset[str] | None]] = field(default_factory=dict)
    always: Mapping[str, frozenset[str]] = field(default_factory=dict)
    reads: Mapping[str, frozenset[str]] = field(default_factory=dict)
    searched: frozenset[str] = frozenset()  # kinds that are pulled or reconciled
    syncs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.writes, *self.reads)))


@dataclass
class Need:
    """What is used of one type. *asked*: the bridge writes it; *read*: it comes in answers. *who* is for people."""

    asked: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    always: set[str] = field(default_factory=set)
    is_asked: bool = False
    words: set[str] | None = field(default_factory=set)  # of an enumeration; None for any
    who: set[str] = field(default_factory=set)


class Needs:
    """All needs of a site, by type, followed through *known* (the sets that are compared, and the shipped one)."""

    def __init__(self, uses: Uses, known: Iterable[Inventory], shipped: Inventory) -> None:
        self.by_type: dict[Name, Need] = {}
        self.lost: list[tuple[str, str]] = []  # (kind, path) that no set knows
        self._known, self._shipped, self._uses = tuple(known), shipped, uses
        self._done: set[tuple[Name, bool]] = set()
        kinds = frozenset(CUSTOM_RECORD.name if is_custom(it) else it for it in uses.kinds)
        filters = (kind_of(it) for it in uses.searched)
        self._words = {
            **WORDS,
            "RecordType": kinds,
            "DeletedRecordType": frozenset(CUSTOM_RECORD.name if is_custom(it) else it for it in uses.searched),
            "TransactionType": frozenset(it.filter for it in filters if it is not None and it.filter),
        }
        for name, headers in OPERATIONS.items():
            operation = shipped.operations.get(name)
            if operation is None:
                continue
            self._whole(shipped.elements[operation.request], asked=True, who="every sync")
            self._whole(shipped.elements[operation.answer], asked=False, who="every sync")
            for part in headers:
                self._whole(shipped.elements[operation.headers[part]], asked=True, who="every sync")
            for fault in operation.faults.values():
                self._whole(shipped.elements[fault], asked=False, who="every sync")
        self._whole(self.record(KINDS["accountingPeriod"]), asked=False, who="every sync")
        self._whole(("common.platform", "AccountingPeriodSearchBasic"), asked=True, who="every sync")
        for local in ("RecordRef", *(("CustomRecordRef",) if CUSTOM_RECORD.name in kinds else ())):
            for asked in (True, False):
                self._whole(("core.platform", local), asked=asked, who="every sync")
        for kind in uses.kinds:
            self._kind(kind)

    def _need(self, name: Name, who: str) -> Need:
        need = self.by_type.setdefault(name, Need())
        need.who.add(who)
        return need

    def _whole(self, name: Name, *, asked: bool, who: str) -> None:
        """Need everything that the shipped set has of a type, and of the types under it."""
        if name[0] == PLAIN or (name, asked) in self._done:
            return
        self._done.add((name, asked))
        need = self._need(name, who)
        need.is_asked |= asked
        shipped = self._shipped.types.get(name)
        if shipped is None:
            return
        if shipped.values:
            if asked:
                self._say(need, self._words.get(name[1], frozenset(shipped.values)))
            return
        names = need.asked if asked else need.read
        for member in self._shipped.members(name):
            names.add(member.name)
            self._whole(member.type, asked=asked, who=who)
        for attribute in self._shipped.attributes(name).values():
            names.add(f"@{attribute.name}")
            self._whole(attribute.type, asked=asked, who=who)

    @staticmethod
    def _say(need: Need, words: frozenset[str] | None) -> None:
        if words is None:
            need.words = None
        elif need.words is not None:
            need.words |= words

    def _kind(self, name: str) -> None:
        kind = kind_of(name)
        if kind is None:
            self.lost.append((name, ""))
            return
        root = self.record(kind)
        who = " and ".join(self._uses.syncs.get(name, (name,)))
        always = self._uses.always.get(name, frozenset())
        need = self._need(root, who)
        for path, words in self._uses.writes.get(name, {}).items():
            need.is_asked = True
            self._path(name, root, path, True, words, who, path in always)
        if name in self._uses.writes:
            need.asked |= {"@externalId"}
            self._path(name, root, "nullFieldList", True, ANY, who, False)
        need.read |= {"@internalId", "@externalId"}
        for path in self._uses.reads.get(name, frozenset()):
            self._path(name, root, path, False, ANY, who, False)
        if name in self._uses.searched:
            self._path(name, root, kind.modified, False, ANY, who, False)
            self._search(kind, name, who)
        if kind is CUSTOM_RECORD:
            self._path(name, root, "recType", True, ANY, who, True)

    def record(self, kind: Kind) -> Name:
        """Return the type of a kind's records, wherever it stands."""
        for it in (*self._known, self._shipped):
            found = it.named(kind.namespace, kind.type)
            if found is not None:
                return found
        return kind.namespace, kind.type

    def _search(self, kind: Kind, name: str, who: str) -> None:
        if kind.search is None:
            return
        root = ("common.platform", kind.search)
        names = [kind.modified, "internalIdNumber", "externalIdString"]
        names += ["type"] if kind.filter else []
        names += ["recType"] if kind is CUSTOM_RECORD else []
        self._need(root, who).is_asked = True
        for one in names:
            self._path(name, root, one, True, ANY, who, one == "recType")
        if kind.filter:
            found = next((it for it in self._known if it.named("types.sales", "TransactionType")), self._shipped)
            enumeration = found.named("types.sales", "TransactionType")
            if enumeration is not None:
                self._say(self._need(enumeration, who), frozenset({kind.filter}))
                self.by_type[enumeration].is_asked = True

    def _path(
        self, kind: str, root: Name, path: str, asked: bool, words: frozenset[str] | None, who: str, always: bool
    ) -> None:
        """Need the field that *path* leads to, and everything on the way."""
        head, _, rest = path.partition(".")
        if is_custom_field(head):
            head, rest = "customFieldList", ""
            self._custom(who, asked)
        member = next((found for it in (*self._known, self._shipped) if (found := it.member(root, head))), None)
        need = self._need(root, who)
        if member is None:
            if asked:
                self.lost.append((kind, path))
                need.asked.add(head)
            return
        (need.asked if asked else need.read).add(head)
        need.is_asked |= asked
        if always:
            need.always.add(head)
        inner = next((it for it in self._known if member.type in it.types), self._shipped)
        line = inner.line_of(member.type)
        if rest or (line is not None and member.type[1].endswith("List")):
            self._list(kind, inner, member.type, rest, asked, words, who, always)
        elif member.type in inner.types and inner.types[member.type].values:
            if asked:
                chosen = self._need(member.type, who)
                chosen.is_asked = True
                self._say(chosen, words)
            else:
                self._need(member.type, who)
        else:
            self._whole(member.type, asked=asked, who=who)

    def _list(
        self,
        kind: str,
        inner: Inventory,
        name: Name,
        rest: str,
        asked: bool,
        words: frozenset[str] | None,
        who: str,
        always: bool,
    ) -> None:
        need = self._need(name, who)
        need.is_asked |= asked
        line = inner.line_of(name)
        if line is None:
            return
        (need.asked if asked else need.read).add(line.name)
        if asked:
            need.always.add(line.name)
            if "replaceAll" in inner.attributes(name):
                need.asked.add("@replaceAll")
        if rest:
            self._path(kind, line.type, rest, asked, words, who, always)

    def _custom(self, who: str, asked: bool) -> None:
        for one in CUSTOM_TYPES:
            self._whole(("core.platform", f"{one}CustomFieldRef"), asked=asked, who=who)
