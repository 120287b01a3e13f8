"""Plain values as Salesforce keeps and prints them: ids, text, numbers, dates, and its error codes.

``Refused`` is one error in Salesforce's words; ``stored`` turns a JSON value into what the org keeps; ``to_json``
prints what it keeps. Kept values are ``str Decimal bool date datetime None``.

Sources: REST API Developer Guide, "Status Codes and Error Responses"; Object Reference, "Field Types". Where a
behaviour is not documented the comment beside it says "Assumption".

Must not know: HTTP, SOQL, records.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Protocol

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
TEXT_TYPES = frozenset(
    {"string", "textarea", "phone", "url", "email", "picklist", "multipicklist", "combobox", "encryptedstring"}
)
NUMBER_TYPES = frozenset({"double", "currency", "percent", "int"})
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATETIME = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(\.\d{1,6})?(Z|[+-]\d{2}:?\d{2})")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


class FieldLike(Protocol):
    """What a value needs to know of its field."""

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def type(self) -> str: ...

    @property
    def length(self) -> int: ...

    @property
    def precision(self) -> int: ...

    @property
    def scale(self) -> int: ...

    @property
    def restricted(self) -> bool: ...

    @property
    def picklist(self) -> tuple[str, ...]: ...


class Refused(Exception):
    """Salesforce says no: *code* is its errorCode, *message* its words, *status* the HTTP status of a single call."""

    def __init__(self, code: str, message: str, *, fields: tuple[str, ...] = (), status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.fields, self.status = code, message, fields, status

    def as_error(self) -> dict[str, Any]:
        """The error of a single call: ``errorCode``."""
        error: dict[str, Any] = {"message": self.message, "errorCode": self.code}
        if self.fields:
            error["fields"] = list(self.fields)
        return error

    def as_item(self) -> dict[str, Any]:
        """The error of one record of a collection: ``statusCode``, not ``errorCode``."""
        return {"statusCode": self.code, "message": self.message, "fields": list(self.fields)}


class NotImitated(Exception):
    """The sandbox does not know this route or option. Answered 501 so that nobody builds on a guess."""


def id18(value: str) -> str:
    """The 18-character form of a 15-character id: three checksum letters make it safe to compare without case."""
    letters = ""
    for start in (0, 5, 10):
        bits = sum(
            1 << place for place, sign in enumerate(value[start : start + 5]) if sign.isascii() and sign.isupper()
        )
        letters += CHECK[bits]
    return value[:15] + letters


def as_id(value: str) -> str | None:
    """*value* as an 18-character id, or None when it is not an id. The case of 15 characters is repaired from 18.

    Source: Object Reference, "ID Field Type": 18-character ids are case-insensitive, 15-character ids are not.
    """
    if len(value) not in (15, 18) or not value.isascii() or not value.isalnum():
        return None
    if len(value) == 15:
        return id18(value)
    bits = [CHECK.find(letter) for letter in value[15:].upper()]
    if min(bits) < 0:
        return None
    repaired = "".join(
        sign.upper() if bits[place // 5] >> (place % 5) & 1 else sign.lower() for place, sign in enumerate(value[:15])
    )
    full = repaired + value[15:].upper()
    return full if id18(repaired) == full else None


def base62(number: int, width: int) -> str:
    """*number* in the alphabet of Salesforce ids, so that later ids sort later."""
    digits = ""
    for _ in range(width):
        number, rest = divmod(number, 62)
        digits = BASE62[rest] + digits
    return digits


def instant(text: str) -> datetime | None:
    """A date-time with an offset, as aware UTC; None when *text* is not one."""
    match = _DATETIME.fullmatch(text)
    if not match:
        return None
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone == "Z" else zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    try:
        return datetime.fromisoformat(f"{day}T{clock}{(fraction or '.0').ljust(7, '0')}{zone}").astimezone(UTC)
    except ValueError:
        return None


def day(text: str) -> date | None:
    """A date as ``YYYY-MM-DD``; None when *text* is not one."""
    try:
        return date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None


def stored(field: FieldLike, value: Any) -> Any:
    """What the org keeps of the JSON *value* for *field*. Raises ``Refused`` in Salesforce's words."""
    if value is None:
        if field.type == "boolean":
            raise _unreadable(field, value)  # a checkbox is never null (Object Reference, "Field Types": boolean)
        return None
    if field.type in TEXT_TYPES or field.type in ("reference", "id"):
        return _text(field, value)
    if field.type in NUMBER_TYPES:
        return _number(field, value)
    if field.type == "boolean":
        if not isinstance(value, bool):
            raise _unreadable(field, value)
        return value
    if field.type == "date":
        kept = value if type(value) is date else day(value) if isinstance(value, str) else None
        # Assumption: a date-time for a date is refused; the real API may cut it.
    elif field.type == "datetime":
        kept = value.astimezone(UTC) if isinstance(value, datetime) else instant(value) if _is_text(value) else None
        kept = kept.replace(microsecond=kept.microsecond // 1000 * 1000) if kept else None
    else:
        raise NotImitated(f"field type {field.type} of {field.name}")
    if kept is None:
        raise _unreadable(field, value)
    return kept


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _text(field: FieldLike, value: Any) -> str | None:
    if not isinstance(value, str):
        raise _unreadable(field, value)
    # Text is trimmed and an empty string is kept as null (Object Reference, "String": empty becomes null).
    text = value.strip()
    if not text:
        return None
    if field.type in ("reference", "id"):
        full = as_id(text)
        if full is None:
            raise Refused("MALFORMED_ID", f"{field.label}: id value of incorrect type: {text}", fields=(field.name,))
        return full
    if field.length and len(text) > field.length:
        raise Refused(
            "STRING_TOO_LONG",
            f"{field.label}: data value too large: {text} (max length={field.length})",
            fields=(field.name,),
        )
    if field.type == "email" and not _EMAIL.fullmatch(text):
        raise Refused("INVALID_EMAIL_ADDRESS", f"{field.label}: invalid email address: {text}", fields=(field.name,))
    if field.restricted and field.type == "picklist":
        for known in field.picklist:
            if known.lower() == text.lower():
                return known
        raise Refused(
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            f"{field.label}: bad value for restricted picklist field: {text}",
            fields=(field.name,),
        )
    return text


def _number(field: FieldLike, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str | float):
        raise _unreadable(field, value)
    try:
        # A number in quotes is read, words are not: the error quoted in _unreadable names the value it failed on.
        number = Decimal(str(value))
    except InvalidOperation:
        raise _unreadable(field, value) from None
    if not number.is_finite():
        raise _unreadable(field, value)
    if number and number.adjusted() >= field.precision - field.scale:
        raise Refused(
            "NUMBER_OUTSIDE_VALID_RANGE",
            f"{field.label}: value outside of valid range on numeric field: {number}",
            fields=(field.name,),
        )
    # Assumption: surplus decimals are rounded half up when saved.
    return number.quantize(Decimal(1).scaleb(-field.scale), rounding=ROUND_HALF_UP)


def _unreadable(field: FieldLike, value: Any) -> Refused:
    """The words of a real org for text in a currency field (seen 2026-07)."""
    token, shown = "VALUE_STRING", str(value)
    if isinstance(value, bool):
        token, shown = f"VALUE_{str(value).upper()}", str(value).lower()
    elif isinstance(value, int):
        token = "VALUE_NUMBER_INT"
    elif isinstance(value, Decimal | float):
        token = "VALUE_NUMBER_FLOAT"
    elif value is None:
        token, shown = "VALUE_NULL", "null"
    elif isinstance(value, dict):
        token, shown = "START_OBJECT", "{"
    elif isinstance(value, list):
        token, shown = "START_ARRAY", "["
    return Refused(
        "JSON_PARSER_ERROR",
        f"Cannot deserialize instance of {field.type} from {token} value {shown} or request may be missing a required "
        "field at [line:1, column:2]",
    )


def number_text(value: Decimal) -> str:
    """A number as the REST API prints a Java double: ``1500.0``, and from ten million on ``1.0E7``.

    Assumption for the exponent: it follows Java's Double.toString, which public answers show ("3.5E8").
    """
    if value == 0:
        return "0.0"
    sign, digits, _ = value.normalize().as_tuple()
    text = "".join(map(str, digits))
    exponent = value.adjusted()
    minus = "-" if sign else ""
    if -3 <= exponent < 7:
        plain = format(value.normalize(), "f")
        return plain if "." in plain else plain + ".0"
    return f"{minus}{text[0]}.{text[1:] or '0'}E{exponent}"


def stamp_text(value: datetime, *, zone: str = "+0000") -> str:
    """A date-time as the REST API prints it, in milliseconds. Apex and CSV print ``Z`` for the zone."""
    value = value.astimezone(UTC)
    return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}{zone}"


def to_json(value: Any, *, zone: str = "+0000", number: Any = number_text) -> str:
    """JSON text. Numbers go from Decimal to digits and never meet float."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return str(number(value))
    if isinstance(value, dict):
        pairs = (
            f"{json.dumps(k, ensure_ascii=False)}:{to_json(v, zone=zone, number=number)}" for k, v in value.items()
        )
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(to_json(item, zone=zone, number=number) for item in value) + "]"
    if isinstance(value, datetime):
        return f'"{stamp_text(value, zone=zone)}"'
    if isinstance(value, date):
        return f'"{value.isoformat()}"'
    raise TypeError(f"no JSON for {type(value).__name__}")


def from_json(body: bytes) -> Any:
    """Parse a request body; numbers stay exact. Raises ``Refused`` JSON_PARSER_ERROR."""
    try:
        return json.loads(body.decode("utf-8"), parse_float=Decimal)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Refused("JSON_PARSER_ERROR", f"Unexpected character at [line:1, column:1]: {error}") from error
