"""Plain values → SuiteTalk types: fields by schema, custom fields by script id, sublists replaced as a whole.

``encode`` makes the typed record of an upsert; ``reference`` and ``named`` make references; ``instant`` and ``day``
write times. Names are resolved before: a ``Ref`` that has only a name does not belong here.

Must not know: HTTP, faults, where a value came from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from bridge.errors import Misconfigured, Rejected
from bridge.netsuite.kinds import CUSTOM_RECORD, Kind
from bridge.netsuite.shapes import Field, Holds, Shape
from bridge.netsuite.wsdl import Bindings
from bridge.ports import Record, Ref

PACIFIC = ZoneInfo("America/Los_Angeles")
# A date is midnight Pacific with the offset of that day; a UTC midnight lands on the day before
# (NetSuite Help section_1521451348).
CUSTOM_PREFIXES = ("custbody", "custcol", "custentity", "custrecord", "custitem")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # lxml refuses them before sending


def is_custom_field(name: str) -> bool:
    """Say whether *name* is a script id of a custom field rather than a field of the schema."""
    return name.startswith(CUSTOM_PREFIXES)


def clean(text: str) -> str:
    """Return *text* without the characters that XML cannot hold; people paste them into long text fields."""
    return _NOT_XML.sub("", text)


def number(value: Decimal | int) -> str:
    """Write a number without an exponent, exactly."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def day(value: date) -> str:
    """Write a date as midnight Pacific of that day."""
    return datetime(value.year, value.month, value.day, tzinfo=PACIFIC).isoformat()


def instant(value: datetime) -> str:
    """Write an aware time in UTC and whole seconds, as NetSuite keeps them. Raises ValueError for a naive one."""
    if value.tzinfo is None:
        raise ValueError("a time without a zone would be read as Pacific")
    return value.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def reference(ref: Ref) -> dict[str, str]:
    """Return the attributes of a RecordRef or ListOrRecordRef, by internal id, else by external id."""
    if ref.id is not None:
        return {"internalId": clean(ref.id)}
    if ref.external_id is not None:
        return {"externalId": clean(ref.external_id)}
    raise ValueError(f"a reference to a {ref.kind} has neither id nor external id")


def encode(bindings: Bindings, kind: Kind, record: Record, *, type_id: str | None = None) -> Any:
    """Return the typed record of an upsert by external id. *type_id* is the internal id of a custom record's type.

    Raises Rejected when a value does not fit the schema: an administrator corrects the mapping. Raises Misconfigured
    for a field that these bindings do not have: with others, or without the rule, the records can be sent.
    """
    shape = bindings.shape(kind)
    values: dict[str, Any] = {"externalId": record.ref.external_id}
    if kind is CUSTOM_RECORD:
        values["recType"] = {"internalId": type_id}
    cleared: list[str] = []
    custom: list[Any] = []
    for name, value in record.fields.items():
        if value is None and name.endswith("List"):
            raise _no_lines(name)
        if value is None:
            cleared.append(name)
        elif is_custom_field(name):
            custom.append(_custom(bindings, shape, name, value, name))
        else:
            values[name] = _value(bindings, _known(shape, name), value, name)
    if cleared:
        for name in cleared:
            if not is_custom_field(name):
                _known(shape, name)
        values["nullFieldList"] = {"name": cleared}
    if custom:
        values["customFieldList"] = {"customField": custom}
    return bindings.type(kind.namespace, kind.type)(**values)


def _known(shape: Shape, name: str, *, asked: str | None = None) -> Field:
    found = shape.fields.get(name)
    if found is None:
        # Of a site's own rule that is told at the start: so the bindings have changed since, and all would fail alike.
        raise Misconfigured(
            f"The mapping names a field '{asked or name}' that {shape.name[1]} does not have in these bindings.",
            code="FIELD_UNKNOWN",
            field=asked or name,
        )
    return found


def _no_lines(name: str) -> Rejected:
    # An empty list with replaceAll wipes every line of the record (NetSuite Help section_N3441570).
    return Rejected("There is not a single line to send.", code="EMPTY_LINES", who="sales", field=name)


def _value(bindings: Bindings, field: Field, value: Any, path: str) -> Any:
    holds = field.holds
    if holds is Holds.LIST:
        return _list(bindings, field, value, path)
    if holds is Holds.TEXT and isinstance(value, str):
        return clean(value)
    if holds in (Holds.TEXT, Holds.DECIMAL) and _is_number(value):
        return number(value)
    if holds is Holds.WHOLE and isinstance(value, Ref) and value.id is not None and value.id.isdigit():
        return value.id  # a list of applications names documents by their number alone
    if holds is Holds.WHOLE and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if holds is Holds.WHOLE and isinstance(value, Decimal) and value == value.to_integral_value():
        return format(value.to_integral_value(), "f")
    if holds is Holds.FLAG and isinstance(value, bool):
        return value
    if holds is Holds.TIME and isinstance(value, datetime) and value.tzinfo is not None:
        return instant(value)
    if holds is Holds.TIME and isinstance(value, date) and not isinstance(value, datetime):
        return day(value)
    if holds is Holds.REF and isinstance(value, Ref):
        return _reference(value, path)
    if holds is Holds.CHOICE and isinstance(value, str):
        if value not in field.choices:
            raise Rejected(
                f"NetSuite does not know the choice '{value}'.", code="CHOICE_UNKNOWN", field=path, detail=field.type[1]
            )
        return value
    raise _unfit(path, value, holds.value)


def _reference(ref: Ref, path: str) -> dict[str, str]:
    try:
        return reference(ref)
    except ValueError as error:
        raise _unfit(path, ref, "reference with an id") from error


def _is_number(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int) and not isinstance(value, bool)


def _unfit(path: str, value: Any, wanted: str) -> Rejected:
    return Rejected(
        f"The value for '{path}' is not a {wanted}.",
        code="VALUE_TYPE",
        field=path,
        detail=f"{type(value).__name__} where {wanted} is wanted",
    )


def _list(bindings: Bindings, field: Field, lines: Any, path: str) -> dict[str, Any]:
    shape = bindings.shapes.shape(field.type)
    element = shape.repeated if shape else None
    if shape is None or element is None or isinstance(lines, str) or not isinstance(lines, Sequence):
        raise _unfit(path, lines, "list")
    if not lines:
        raise _no_lines(path)
    if element.holds is Holds.REF:
        rows = [_value(bindings, element, line, path) for line in lines]
    else:
        inner = bindings.shapes.shape(element.type)
        if inner is None:
            raise _unfit(path, lines, "list the bridge can write")
        rows = [_line(bindings, inner, line, path) for line in lines]
    made: dict[str, Any] = {element.name: rows}
    if "replaceAll" in shape.attributes:
        made["replaceAll"] = True  # the full set each time is what makes a repeat harmless; never left to a default
    return made


def _line(bindings: Bindings, shape: Shape, line: Any, path: str) -> dict[str, Any]:
    if not isinstance(line, Mapping):
        raise _unfit(path, line, "line")
    values: dict[str, Any] = {}
    custom: list[Any] = []
    for name, value in line.items():
        if name.startswith("@"):
            continue  # carried for the bridge itself, such as the Salesforce id of the line
        if is_custom_field(name):
            if value is not None:
                custom.append(_custom(bindings, shape, name, value, f"{path}.{name}"))
        elif value is not None:
            values[name] = _value(bindings, _known(shape, name), value, f"{path}.{name}")
        elif _known(shape, name).holds is Holds.TEXT:
            values[name] = ""  # a line has no nullFieldList; an empty text is the only way to clear
    if custom:
        values["customFieldList"] = {"customField": custom}
    return values


def _custom(bindings: Bindings, shape: Shape, name: str, value: Any, path: str) -> Any:
    """Make a custom field of the type that *value* has; the type must be the field's own (section_N3438152)."""
    _known(shape, "customFieldList", asked=path)
    kind, made = custom_value(value, path)
    return bindings.type("core", f"{kind}CustomFieldRef")(scriptId=name, value=made)


def custom_value(value: Any, path: str) -> tuple[str, Any]:
    """Return the kind of custom field that *value* belongs in, and how it is written there. Raises Rejected."""
    match value:
        case bool():
            return "Boolean", value
        case int():
            return "Long", str(value)
        case Decimal() if value.is_finite():
            return "Double", number(value)
        case str():
            return "String", clean(value)
        case datetime() if value.tzinfo is not None:
            return "Date", instant(value)
        case date() if not isinstance(value, datetime):
            return "Date", day(value)
        case Ref():
            return "Select", _reference(value, path)
        case list() | tuple() if value and all(isinstance(one, Ref) for one in value):
            return "MultiSelect", [_reference(one, path) for one in value]
    raise _unfit(path, value, "value a custom field can hold")
