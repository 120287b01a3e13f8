"""What every rule shares: the context it maps in, the words for a field, the value that was not there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from bridge.errors import Rejected
from bridge.ports import Fields

PACIFIC: Final = ZoneInfo("America/Los_Angeles")
# NetSuite answers dates as midnight Pacific (NetSuite Help section_1521451348), whatever the account's own zone is.

LINE_ID: Final = "@id"  # the Salesforce id of a line, carried beside its fields until the line's NetSuite key is known
LINE_LISTS: Final = ("itemList", "expenseList")
LARGEST: Final = Decimal("1e15")  # a double holds cents exactly up to here, and Salesforce numbers end at 18 digits


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()  # the source did not carry the field: nothing is sent for it, nothing is cleared


@dataclass(frozen=True, slots=True)
class Context:
    """What a mapping may look at besides the record: the site's choices and where links lead.

    *targets* gives, for a sync's name, the kind it writes and the short word in its external ids.
    """

    site: Fields
    targets: Mapping[str, tuple[str, str]]


class Rule(Protocol):
    """One target field's source. ``reads`` lists source fields; ``describe`` is for people."""

    def reads(self) -> tuple[str, ...]: ...
    def value(self, source: Fields, context: Context) -> Any: ...
    def describe(self) -> str: ...


def external_id(short: str, salesforce_id: str) -> str:
    """Return our external id, ``sf-<kind>-<18-character id>``: NetSuite's id groups span kinds, so it names them."""
    return f"sf-{short}-{salesforce_id}"


def label(name: str) -> str:
    """Return the words a person knows a Salesforce field by."""
    known = {"StageName": "Stage", "AccountId": "Account", "CloseDate": "Close Date", "ParentId": "Parent Account"}
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("__c").replace("_", " "))
    return known.get(name) or words.replace("Net Suite", "NetSuite")


def missing(name: str) -> Rejected:
    return Rejected(
        f"{label(name)} is empty, and NetSuite needs it.", code="REQUIRED_FIELD_MISSING", who="sales", field=name
    )


def blank(value: Any) -> bool:
    return value is None or value is ABSENT or value == ""


def decimal(value: Any, name: str) -> Decimal:
    """Return *value* as an exact number. Raises Rejected for what is none, or is beyond what either system holds."""
    if type(value) is int:
        value = Decimal(value)
    elif not isinstance(value, Decimal):
        # A float is never exact, and Decimal would read "1_000" as a thousand.
        if isinstance(value, bool | float) or "_" in str(value):
            raise _no_number(name)
        try:
            value = Decimal(str(value))
        except InvalidOperation as error:
            raise _no_number(name) from error
    got: Decimal = value
    if not got.is_finite():
        raise _no_number(name)
    if not -LARGEST < got < LARGEST:
        raise Rejected(f"{label(name)} is too large for NetSuite.", code="AMOUNT_TOO_LARGE", who="sales", field=name)
    return got


def _no_number(name: str) -> Rejected:
    return Rejected(f"{label(name)} is not a number.", code="NOT_A_NUMBER", who="sales", field=name)


def plain(value: Any) -> str:
    """Return *value* as a person writes it: 1000.00 and 1E+3 are both ``1000``, for a fingerprint must not differ."""
    if type(value) is str:
        return value
    if type(value) is not int and isinstance(value, Decimal) and value.is_finite():
        whole = format(value, "f")
        return whole.rstrip("0").rstrip(".") if "." in whole else whole
    return str(value)


def apply(fields: Mapping[str, Rule], source: Fields, context: Context) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, rule in fields.items():
        got = rule.value(source, context)
        if got is not ABSENT:
            values[name] = got
    return values
