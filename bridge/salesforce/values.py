"""Plain values ⇄ what Salesforce reads and prints: ids, JSON numbers, dates, references.

``id18`` makes an id comparable, ``row_bytes`` writes one record as JSON, ``plain`` types one value read.

Must not know: HTTP, which objects exist.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

import orjson

from bridge.errors import Rejected
from bridge.ports import Ref

UPSERT_KEY = "NetSuite_Key__c"  # the external id of every mirror object of the package
_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
# Five characters as 1 for upper case and 0 for any other → the letter that says so; the first counts least.
_LETTERS = {f"{number:05b}"[::-1]: sign for number, sign in enumerate(_CHECK)}
_CASES = {code: "1" if chr(code).isupper() else "0" for code in range(128)}
_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-5]{3})?")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_MOST_DIGITS = 18  # of a Number, Currency or Percent field (Salesforce Help, "Custom Field Types")
_MOST_DECIMALS = 100  # more than any calculation leaves; Salesforce rounds what its field cannot hold
_WIDE = Context(prec=1000)  # more digits than any answered number may have: nothing is rounded
_STEPS = [Decimal((0, (1,), -places)) for places in range(19)]
_LARGEST_EXPONENT = 400  # a double ends at 1.8E308; more would only fill memory with zeros


class NotAnId(ValueError):
    """The text cannot be the id of any record."""


def id18(value: Any) -> str:
    """Return the 18-character form of a 15- or 18-character id. Raises NotAnId.

    The last three characters say which of the first 15 are upper case, so that ids that differ only in case differ
    for systems that ignore it; from 18 characters the right case is restored.

    Source: Salesforce Object Reference, "ID Field Type".
    """
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise NotAnId(f"{str(value)[:40]!r} is not a Salesforce id")
    letters = value[:15]
    if len(value) == 18:
        check = _check(letters)
        if check == value[15:]:
            return value  # as Salesforce writes it
        masks = [_CHECK.index(sign) for sign in value[15:].upper()]
        letters = "".join(
            sign.upper() if masks[place // 5] >> place % 5 & 1 else sign.lower() for place, sign in enumerate(letters)
        )
    check = _check(letters)
    if len(value) == 18 and check != value[15:].upper():
        raise NotAnId(f"{value!r} is not a Salesforce id: its check letters are wrong")
    return letters + check


def _check(letters: str) -> str:
    cases = letters.translate(_CASES)
    return _LETTERS[cases[:5]] + _LETTERS[cases[5:10]] + _LETTERS[cases[10:]]


@lru_cache(maxsize=4096)
def is_name(text: str) -> bool:
    """Say whether *text* can be the API name of an object, field or relationship: nothing else enters SOQL or a URL."""
    return bool(_NAME.fullmatch(text)) and len(text) <= 80


def soql_instant(value: datetime) -> str:
    """Return a SOQL date-time literal, whole seconds, UTC. *value* must be aware."""
    if value.tzinfo is None:
        raise ValueError("a time without a zone")
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- writing --------------------------------------------------------------------------------------------------------


def wire_instant(value: datetime) -> str:
    """Return *value* as Salesforce reads it: UTC, milliseconds, ``Z``."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def wire_number(value: Decimal) -> str:
    """Return every digit of *value*, without an exponent."""
    return format(value, "f")


@lru_cache(maxsize=4096)
def relationship(field: str) -> str:
    """Return the relationship name of a lookup field: ``Order__c`` → ``Order__r``, ``AccountId`` → ``Account``."""
    if field.endswith("__c"):
        return field[:-1] + "r"
    return field.removesuffix("Id")


def wire_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return *fields* ready for a request: references become ids or ``Rel__r``, values are checked. Raises Rejected."""
    made: dict[str, Any] = {}
    for name, value in fields.items():
        if not is_name(name):
            raise _unwritable(name, "is not a field name")
        if type(value) is str or value is None:
            made[name] = value
        elif isinstance(value, Ref):
            if value.id is not None:
                made[name] = _checked_id(name, value.id)
            elif value.external_id is not None:
                made[relationship(name)] = _by_key(value.external_id)
            else:
                raise _unwritable(name, "refers to a record without saying which")
        else:
            made[name] = _checked(name, value)
    return made


@lru_cache(maxsize=256)  # the lines of an order share it
def _by_key(external_id: str) -> Mapping[str, str]:
    return {UPSERT_KEY: external_id}


def _checked_id(name: str, value: str) -> str:
    try:
        return id18(value)
    except NotAnId as error:
        raise _unwritable(name, str(error)) from error


def _checked(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Decimal):
        written = str(value)
        if len(written) <= _MOST_DIGITS and written[-1].isdigit() and "E" not in written and "N" not in written:
            return value  # without the costly look at its digits, as nearly all are
        exponent = value.as_tuple().exponent
        if not isinstance(exponent, int) or value.adjusted() > _MOST_DIGITS or exponent < -_MOST_DECIMALS:
            raise _unwritable(name, f"holds a number outside Salesforce's range: {value}")
        return value
    if isinstance(value, int):
        return _checked(name, Decimal(value))
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise _unwritable(name, "holds a time without a zone")
        return value
    if isinstance(value, date):
        return value
    raise _unwritable(name, f"holds a {type(value).__name__}, which does not cross the port")


def _unwritable(name: str, words: str) -> Rejected:
    return Rejected(f"Field {name} cannot be written to Salesforce.", code="BAD_VALUE", field=name, detail=words)


def _default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(wire_number(value))
    if isinstance(value, datetime):
        return wire_instant(value)
    return value.isoformat()


def row_bytes(row: Any) -> bytes:
    """Return records of a request as JSON; numbers keep every digit. Raises Rejected for text that is no Unicode."""
    try:
        return orjson.dumps(row, default=_default, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except orjson.JSONEncodeError as error:
        raise Rejected(
            "The record holds text that is not valid Unicode.", code="BAD_VALUE", who="accounting", detail=str(error)
        ) from error


# --- reading --------------------------------------------------------------------------------------------------------


def instant(text: str) -> datetime:
    """Return a date-time such as ``2026-11-20T10:00:00.000+0000`` as aware UTC. Raises ValueError."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text!r:.60} has no zone")
    return found.astimezone(UTC)


def number(value: Decimal | int) -> Decimal:
    """Return a number read as a Decimal without an exponent: JSON's ``1.0E7`` is ``Decimal("10000000")``."""
    got = value if isinstance(value, Decimal) else Decimal(value)
    exponent = got.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > _LARGEST_EXPONENT or got.adjusted() > _LARGEST_EXPONENT:
        raise ValueError("a number that no field can hold")
    return got if exponent <= 0 else Decimal(format(got, "f"))


def scaled(value: Decimal | int, scale: int) -> Decimal | int:
    """Return a number with the decimals of its field, where none is lost; an ``int`` where the field has none.

    Apex prints ``50000.00`` where REST prints ``50000.0``: a record must read the same whichever way it came.
    """
    got = number(value)
    if -int(got.as_tuple().exponent) > scale and -int(got.normalize(_WIDE).as_tuple().exponent) > scale:
        return got
    return int(got) if scale == 0 else got.quantize(_STEPS[scale], context=_WIDE)


def plain(value: Any, kind: str, scale: int) -> Any:
    """Return *value* as read, typed as its field is described. Raises ValueError for what such a field cannot hold."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Decimal | int):
        return scaled(value, scale) if kind in ("double", "currency", "percent", "int") else number(value)
    if isinstance(value, str):
        if kind == "date":
            return date.fromisoformat(value)
        if kind == "datetime":
            return instant(value)
        if kind in ("reference", "id") and len(value) in (15, 18):
            return id18(value)
        return value
    raise ValueError(f"a {type(value).__name__} in a {kind} field")
