"""SuiteTalk answers → plain values, by local name and by the types of the loaded schemas.

``Reader`` turns a record element into a ``Record``; ``parse`` reads a whole small answer; ``local`` and ``child`` look
at elements without caring for namespaces, which change with every endpoint version. What the schemas do not hold comes
back as text and is remembered in ``Reader.unknown``: NetSuite adds fields to a live endpoint, and an answer that tells
of a committed write must stay readable.

Must not know: HTTP, which operation was called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from lxml import etree

from bridge.netsuite.kinds import CUSTOM_RECORD, KINDS
from bridge.netsuite.shapes import Field, Holds, Shape, parser
from bridge.netsuite.wsdl import Bindings
from bridge.ports import Record, Ref

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_TYPES = {kind.type: kind.name for kind in (*KINDS.values(), CUSTOM_RECORD)}


class Unreadable(Exception):
    """The bytes are not the answer they should be."""


def parse(body: bytes) -> etree._Element:
    """Parse one answer and return its Envelope. Raises Unreadable; nothing is ever recovered or guessed."""
    try:
        root = etree.fromstring(body, parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable(f"no well-formed XML: {error}") from error
    if root.tag != f"{{{SOAP}}}Envelope":
        raise Unreadable(f"the root element is {local(root)}, not Envelope")
    if doctype(root):
        raise Unreadable("the answer carries a document type")
    return root


def doctype(root: etree._Element) -> str:
    """Return the document type declaration, which a SOAP message must not have; empty without one."""
    info: Any = root.getroottree().docinfo  # the stubs lack most of it
    return str(info.doctype)


def local(element: etree._Element) -> str:
    """Return the name of *element* without its namespace."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def children(element: etree._Element, name: str) -> list[etree._Element]:
    """Return the children called *name*."""
    return [one for one in element if local(one) == name]


def child(element: etree._Element | None, *path: str) -> etree._Element | None:
    """Follow *path* of local names downwards; None where it breaks off."""
    for name in path:
        if element is None:
            return None
        element = next((one for one in element if local(one) == name), None)
    return element


def text(element: etree._Element | None) -> str | None:
    """Return an element's own text, or None without one."""
    return None if element is None or element.text is None else element.text.strip()


def flag(value: str | None) -> bool | None:
    """Read an XML boolean; None for anything else."""
    return _FLAGS.get(value.strip()) if value is not None else None


def instant(value: str) -> datetime:
    """Read an xsd:dateTime as aware UTC. Raises ValueError; a time without a zone is one."""
    found = datetime.fromisoformat(value)
    if found.tzinfo is None:
        raise ValueError("a time without a zone")
    return found.astimezone(UTC)


def ref_of(element: etree._Element, kind: str) -> Ref:
    """Read a RecordRef, CustomRecordRef or ListOrRecordRef; *kind* is used where the element names no type."""
    name = None
    for one in element:
        tag = one.tag
        if isinstance(tag, str) and tag.endswith("}name"):
            name = one.text
            break
    get = element.get
    return Ref(get("type") or kind, get("internalId") or None, get("externalId") or None, name)


def _attribute(element: etree._Element, name: str) -> str | None:
    value = element.get(name)
    return value if value else None


def _text(element: etree._Element) -> str:
    return element.text or ""


def _decimal(element: etree._Element) -> Decimal | None:
    found = element.text  # asked for once: lxml makes the text anew each time
    if found is None:
        return None  # an empty element is no value; only something that is there can be wrong
    value = Decimal(found)
    if not value.is_finite():
        raise InvalidOperation("not a finite number")
    return value


def _whole(element: etree._Element) -> int | None:
    found = element.text
    return None if found is None else int(found)


def _flag(element: etree._Element) -> bool | None:
    return None if element.text is None else _FLAGS[element.text.strip()]


def _time(element: etree._Element) -> datetime | None:
    return None if element.text is None else instant(element.text.strip())


_PLAIN: dict[Holds, Callable[[etree._Element], Any]] = {
    Holds.TEXT: _text,
    Holds.CHOICE: _text,
    Holds.DECIMAL: _decimal,
    Holds.WHOLE: _whole,
    Holds.FLAG: _flag,
    Holds.TIME: _time,
}
_CUSTOM: dict[str, Callable[[etree._Element], Any]] = {
    "StringCustomFieldRef": _text,
    "LongCustomFieldRef": _whole,
    "DoubleCustomFieldRef": _decimal,
    "BooleanCustomFieldRef": _flag,
    "DateCustomFieldRef": _time,
}
Read = Callable[[etree._Element], Any]


class Reader:
    """Reads the records of one set of bindings. Safe to share between threads."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self._tables: dict[tuple[str, str], dict[str, Read]] = {}
        self._tags: dict[tuple[str, str], dict[str, tuple[str, Read]]] = {}  # the same by names with their namespace
        self.unknown: set[str] = set()  # "Type.element" met but not in the schemas

    def record(self, element: etree._Element, kind: str | None = None) -> Record:
        """Read a ``record`` element. *kind* names a custom record's type, which the element itself does not.

        Raises Unreadable when a value is not what its type says.
        """
        prefix, _, name = (element.get(XSI_TYPE) or "").rpartition(":")
        namespace = element.nsmap.get(prefix or None) or ""
        try:
            fields = self._fields(element, (namespace, name))
        except (ValueError, KeyError, ArithmeticError) as error:
            raise Unreadable(f"a value of {name} {element.get('internalId')} cannot be read: {error}") from error
        known = _TYPES.get(name) or (name[:1].lower() + name[1:])
        if kind is not None and known in (CUSTOM_RECORD.name, ""):
            known = kind
        modified = fields.get("lastModifiedDate") or fields.get("lastModified")
        ref = Ref(known, id=_attribute(element, "internalId"), external_id=_attribute(element, "externalId"))
        return Record(ref, fields, modified if isinstance(modified, datetime) else None)

    def _fields(self, element: etree._Element, name: tuple[str, str]) -> dict[str, Any]:
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = self._table(name)
        tags = self._tags.setdefault(name, {})
        values: dict[str, Any] = {}
        for one in element:
            known = tags.get(one.tag)
            if known is not None:
                values[known[0]] = one.text or "" if known[1] is _text else known[1](one)
                continue
            key = local(one)
            if not key:
                continue  # a comment
            read = table.get(key)
            if read is None:
                self.unknown.add(f"{name[1]}.{key}")
                values[key] = " ".join(str(part).strip() for part in one.itertext() if part.strip())
            elif read is _custom_fields:
                values.update(_custom_fields(one))
            else:
                values[key] = read(one)
                tags[one.tag] = (key, read)  # of names in the schema only, so that no answer can make it grow
        values.pop("nullFieldList", None)
        return values

    def _table(self, name: tuple[str, str]) -> dict[str, Read]:
        shape = self._bindings.shapes.shape(name)
        return {} if shape is None else {one.name: self._read(shape, one) for one in shape.fields.values()}

    def _read(self, shape: Shape, field: Field) -> Read:
        plain = _PLAIN.get(field.holds)
        if plain is not None:
            return plain
        if field.holds is Holds.REF:
            kind = field.name
            return lambda element: ref_of(element, kind)
        if field.holds is Holds.CUSTOM:
            return _custom_fields
        if field.holds is Holds.LIST:
            inner = self._bindings.shapes.shape(field.type)
            repeated = inner.repeated if inner else None
            if repeated is not None:
                if repeated.holds is Holds.REF:
                    return lambda element: [ref_of(one, repeated.name) for one in element]
                if repeated.holds in _PLAIN:
                    each = _PLAIN[repeated.holds]
                    return lambda element: [each(one) for one in element]
                return lambda element: [self._fields(one, repeated.type) for one in element]
        return lambda element: self._fields(element, field.type)


def _custom_fields(element: etree._Element) -> dict[str, Any]:
    """Flatten a customFieldList to script id → value."""
    values: dict[str, Any] = {}
    for one in element:
        name = one.get("scriptId") or f"custom field {one.get('internalId')}"
        type_ = (one.get(XSI_TYPE) or "").rpartition(":")[2]
        found = list(_values(one))
        if type_ == "SelectCustomFieldRef":
            values[name] = ref_of(found[0], name) if found else None
        elif type_ == "MultiSelectCustomFieldRef":
            values[name] = [ref_of(value, name) for value in found]
        elif found:
            values[name] = _CUSTOM.get(type_, _text)(found[0])
    return values


def _values(element: etree._Element) -> Iterator[etree._Element]:
    return (one for one in element if local(one) == "value")
