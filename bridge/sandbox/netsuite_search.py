"""Searches: criteria of a request, run over the store. Unknown criteria are refused, never ignored.

Sources: section_N3659492 (transaction search), section_N3518534 (dates), section_N3523074 (paging), or "assumption".

Must not know: XML beyond the parsed element, HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bridge.sandbox.netsuite_kinds import ITEMS, KINDS, TRANSACTIONS
from bridge.sandbox.netsuite_rules import NotSimulated, Refusal
from bridge.sandbox.netsuite_store import PACIFIC, Custom, Link, Store, Stored, moment

if TYPE_CHECKING:
    from lxml import etree

    from bridge.sandbox.netsuite_schema import Schema

EVER, NEVER = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

SEARCHES: dict[str, tuple[str, ...]] = {
    "AccountingPeriodSearchBasic": ("accountingPeriod",),
    "CustomerSearchBasic": ("customer",),
    "VendorSearchBasic": ("vendor",),
    "ContactSearchBasic": ("contact",),
    "EntitySearchBasic": ("customer", "vendor", "contact"),
    "TransactionSearchBasic": TRANSACTIONS,
    "CustomRecordSearchBasic": ("customRecord",),
    "ItemSearchBasic": ITEMS,
    "AccountSearchBasic": ("account",),
    "SubsidiarySearchBasic": ("subsidiary",),
    "TermSearchBasic": ("term",),
    "PriceLevelSearchBasic": ("priceLevel",),
    "CustomerStatusSearchBasic": ("customerStatus",),
}
# Search fields whose record field has another name.
RENAMED = {"memoMain": "memo", "mainName": "entity", "lastModified": "lastModifiedDate", "created": "dateCreated"}
TEXT = frozenset(
    ("entityId", "companyName", "firstName", "lastName", "email", "phone", "tranId", "memo", "name", "itemId", "title",
     "comments", "url", "otherRefNum", "displayName")
)  # fmt: skip
LINKS = frozenset(("entity", "createdFrom", "subsidiary", "company", "currency", "customer", "parent", "terms"))
FLAGS = ("isInactive", "isYear", "isQuarter", "isAdjust")
STATUS_WORDS = {
    "_salesOrderFullyBilled": "_salesOrderBilled",
    "_purchaseOrderPendingBilling": "_purchaseOrderPendingBill",
}

Test = Callable[[Stored], bool]


@dataclass
class Criteria:
    """One search: which kinds, in which window of change, passing which tests."""

    kinds: tuple[str, ...]
    since: datetime = EVER
    until: datetime = NEVER
    tests: list[Test] = field(default_factory=list)

    def run(self, store: Store) -> list[Stored]:
        """The matching records in order of internal id (assumption: the help promises no order)."""
        found = [record for record in self._candidates(store) if all(test(record) for test in self.tests)]
        found.sort(key=lambda record: int(record.id))
        return found

    def _candidates(self, store: Store) -> Iterator[Stored]:
        for kind in self.kinds:
            if (self.since, self.until) == (EVER, NEVER):
                yield from store.records[kind].values()
            else:
                yield from store.modified_between(kind, self.since, self.until)


def parse(schema: Schema, element: etree._Element) -> Criteria:
    """The criteria of ``searchRecord``. Raises NotSimulated for what the fake cannot search by."""
    type_ = schema.resolve(element)
    basic: etree._Element | None = element
    if not type_.name.endswith("SearchBasic"):
        if not type_.name.endswith("Search"):
            raise NotSimulated(f"searching with {type_.name}")
        children = [child for child in element if isinstance(child.tag, str)]
        if any(_local(child) != "basic" for child in children):
            raise NotSimulated(f"joins of {type_.name}")
        basic = children[0] if children else None
        known = type_.by_name["basic"].type.rpartition("}")[2] if "basic" in type_.by_name else type_.name + "Basic"
        name = schema.resolve(basic).name if basic is not None and basic.get(_XSI) else known
    else:
        name = type_.name
    if name not in SEARCHES:
        raise NotSimulated(f"searching with {name}")
    criteria = Criteria(SEARCHES[name])
    for child in basic if basic is not None else ():
        if isinstance(child.tag, str):
            _add(criteria, child)
    return criteria


_XSI = "{http://www.w3.org/2001/XMLSchema-instance}type"


def _local(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _texts(element: etree._Element, name: str = "searchValue") -> list[str]:
    return [child.text or "" for child in element if isinstance(child.tag, str) and _local(child) == name]


def _add(criteria: Criteria, element: etree._Element) -> None:
    sent = _local(element)
    name = RENAMED.get(sent, sent)
    operator = element.get("operator") or ""
    if name == "type" and criteria.kinds in (TRANSACTIONS, ITEMS):
        criteria.kinds = _kinds(criteria.kinds, operator, _texts(element))
    elif name == "recType":
        criteria.tests.append(_rec_type(element.get("internalId") or ""))
    elif name == "lastModifiedDate":
        since, until = date_window(element)
        criteria.since, criteria.until = max(criteria.since, since), min(criteria.until, until - SECOND)
    elif name in ("dateCreated", "tranDate", "dueDate", "startDate", "endDate"):
        criteria.tests.append(_date_test(name, *date_window(element)))
    elif name == "internalIdNumber":
        values = [int(text) for text in _texts(element) + _texts(element, "searchValue2")]
        criteria.tests.append(_number_test(operator, values))
    elif name in ("internalId", "externalId"):
        criteria.tests.append(_id_test(name, operator, element))
    elif name in ("externalIdString", *TEXT):
        criteria.tests.append(_text_test(name, operator, (_texts(element) or [""])[0]))
    elif name in LINKS:
        criteria.tests.append(_link_test(name, operator, element))
    elif name == "mainLine":
        # A basic search returns whole records; asking for lines instead is another thing (section_N3659492).
        if _texts(element) not in (["true"], ["1"]):
            raise NotSimulated("mainLine=false")
    elif name in FLAGS:
        wanted = _texts(element) in (["true"], ["1"])
        criteria.tests.append(lambda record: (record.fields.get(name) == "true") is wanted)
    elif name in ("status", "stage"):
        criteria.tests.append(_enum_test(name, operator, frozenset(_texts(element))))
    elif name == "customFieldList":
        criteria.tests += [_custom_test(child) for child in element if isinstance(child.tag, str)]
    else:
        raise NotSimulated(f"searching by {sent}")


def _kinds(kinds: tuple[str, ...], operator: str, wanted: list[str]) -> tuple[str, ...]:
    """Kinds by the type filter: underscored enums, only anyOf and noneOf. Types the fake has none of match nothing."""
    if kinds == ITEMS:
        named = set(ITEMS) if "_service" in wanted else set()
    else:
        named = {value.removeprefix("_") for value in wanted}
    if operator == "anyOf":
        return tuple(kind for kind in kinds if kind in named)
    if operator == "noneOf":
        return tuple(kind for kind in kinds if kind not in named)
    raise Refusal("INVALID_SEARCH_OPERATOR", f"Invalid operator {operator} for type.")


def date_window(element: etree._Element) -> tuple[datetime, datetime]:
    """``[since, until)`` of a date criterion. Offsets are honoured, a naive value is Pacific (section_N3518534).

    ``within`` excludes its end: undocumented; measured so once in SuiteQL. Never rely on it.
    """
    operator = element.get("operator") or ""
    if _texts(element, "predefinedSearchValue"):
        raise NotSimulated("predefined search dates")
    values = [moment(text).replace(microsecond=0) for text in _texts(element) + _texts(element, "searchValue2")]
    if not values:
        raise Refusal("INVALID_SEARCH_VALUE", f"{_local(element)} needs a value.")
    first = values[0]
    if operator == "within":
        if len(values) != 2:
            raise Refusal("INVALID_SEARCH_VALUE", "within needs two values.")
        return first, values[1]
    if operator == "on":
        day = first.astimezone(PACIFIC).replace(hour=0, minute=0, second=0)
        return day.astimezone(UTC), (day + timedelta(days=1)).astimezone(UTC)
    windows = {
        "after": (first + SECOND, NEVER),
        "notOnOrBefore": (first + SECOND, NEVER),
        "onOrAfter": (first, NEVER),
        "notBefore": (first, NEVER),
        "before": (EVER, first),
        "notOnOrAfter": (EVER, first),
        "onOrBefore": (EVER, first + SECOND),
        "notAfter": (EVER, first + SECOND),
    }
    if operator not in windows:
        raise NotSimulated(f"the date operator {operator or '(none)'}")
    return windows[operator]


def _date_test(name: str, since: datetime, until: datetime) -> Test:
    def test(record: Stored) -> bool:
        if name == "dateCreated":
            return since <= record.created < until
        value = record.fields.get(name)
        return value is not None and since <= moment(value) < until

    return test


def _rec_type(type_id: str) -> Test:
    """Custom records of the type with this internal id; the type is required (section_N3768988)."""
    return lambda record: record.fields["recType"].id == type_id


def _picked(element: etree._Element) -> Iterable[etree._Element]:
    return (child for child in element if isinstance(child.tag, str) and _local(child) == "searchValue")


def _negated(operator: str) -> bool:
    if operator not in ("anyOf", "noneOf"):
        raise Refusal("INVALID_SEARCH_OPERATOR", f"Invalid operator {operator or '(none)'}.")
    return operator == "noneOf"


def _id_test(name: str, operator: str, element: etree._Element) -> Test:
    negated = _negated(operator)
    ids = {child.get("internalId") for child in _picked(element) if child.get("internalId")}
    external = {(child.get("externalId") or "").lower() for child in _picked(element) if child.get("externalId")}
    return lambda record: (record.id in ids or (record.external_id or "").lower() in external) is not negated


def _number_test(operator: str, values: list[int]) -> Test:
    tests: dict[str, Callable[[int], bool]] = {
        "equalTo": lambda number: number == values[0],
        "greaterThan": lambda number: number > values[0],
        "greaterThanOrEqualTo": lambda number: number >= values[0],
        "lessThan": lambda number: number < values[0],
        "lessThanOrEqualTo": lambda number: number <= values[0],
        "between": lambda number: values[0] <= number <= values[1],  # both ends: assumption
    }
    if operator not in tests or len(values) != (2 if operator == "between" else 1):
        raise NotSimulated(f"the number operator {operator or '(none)'} with {len(values)} values")
    return lambda record: tests[operator](int(record.id))


def _link_test(name: str, operator: str, element: etree._Element) -> Test:
    negated = _negated(operator)
    ids = {child.get("internalId") for child in _picked(element)}

    def test(record: Stored) -> bool:
        value = record.fields.get(name) or (record.fields.get("customer") if name == "entity" else None)
        return (isinstance(value, Link) and value.id in ids) is not negated

    return test


def _enum_test(name: str, operator: str, wanted: frozenset[str]) -> Test:
    negated = _negated(operator)

    def test(record: Stored) -> bool:
        word = str(record.fields.get("stage", ""))
        if name == "status":
            word = record.fields.get("orderStatus") or record.fields.get("status", "").title().replace(" ", "")
            word = f"_{record.kind}{word.removeprefix('_')[:1].upper()}{word.removeprefix('_')[1:]}"
            word = STATUS_WORDS.get(word, word)
        return (word in wanted) is not negated

    return test


def _text_test(name: str, operator: str, wanted: str) -> Test:
    """Text criteria ignore case (assumption)."""
    wanted = wanted.lower()
    tests: dict[str, Callable[[str], bool]] = {
        "is": lambda text: text == wanted,
        "isNot": lambda text: text != wanted,
        "contains": lambda text: wanted in text,
        "doesNotContain": lambda text: wanted not in text,
        "startsWith": lambda text: text.startswith(wanted),
        "doesNotStartWith": lambda text: not text.startswith(wanted),
        "empty": lambda text: not text,
        "notEmpty": bool,
    }
    if operator not in tests:
        raise NotSimulated(f"the text operator {operator or '(none)'}")
    compare = tests[operator]

    def test(record: Stored) -> bool:
        value: Any = record.external_id if name == "externalIdString" else record.fields.get(name)
        return compare(str(value or "").lower())

    return test


def _custom_test(element: etree._Element) -> Test:
    kind = (element.get(_XSI) or "").rpartition(":")[2]
    script_id, operator = element.get("scriptId") or "", element.get("operator") or ""
    if kind == "SearchMultiSelectCustomField":
        negated = _negated(operator)
        ids = {child.get("internalId") for child in _picked(element)}

        def linked(record: Stored) -> bool:
            values = record.custom.get(script_id, Custom("", ())).values
            return any(isinstance(value, Link) and value.id in ids for value in values) is not negated

        return linked
    if kind == "SearchStringCustomField" and operator == "is":
        wanted = (_texts(element) or [""])[0].lower()

        def same(record: Stored) -> bool:
            values = record.custom.get(script_id, Custom("", ())).values
            return any(isinstance(value, str) and value.lower() == wanted for value in values)

        return same
    raise NotSimulated(f"searching by {kind} with {operator}")


def status_kind(name: str) -> str:
    """The kind behind a RecordType or DeletedRecordType word; raises NotSimulated for one the fake does not hold."""
    if name not in KINDS:
        raise NotSimulated(f"the record type {name}")
    return name
