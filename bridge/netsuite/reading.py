"""SuiteTalk answers → plain values, by local name and by the types of the loaded schemas.

``Reader`` turns a record element into a ``Record``; ``parse`` reads a whole small answer; ``local`` and ``child`` look
at elements without caring for namespaces, which change with every endpoint version. What the schemas do not hold comes
back as text and is remembered in ``Reader.unknown``: NetSuite adds fields to a live endpoint, and an answer that tells
of a committed write must stay readable.

Must not know: HTTP, which operation was called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from lxml import etree

from bridge.netsuite.kinds import CUSTOM_RECORD, KINDS
from bridge.netsuite.shapes import Field, Holds, Name, parser
from bridge.netsuite.wsdl import Bindings
from bridge.ports import Record, Ref

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
# Those of NetSuite's own time, and of Greenwich.
_ZONES = {"-08:00": timedelta(hours=-8), "-07:00": timedelta(hours=-7), "+00:00": timedelta(0)}
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
    zone = _ZONES.get(value[-6:])
    if zone is not None:
        return datetime.fromisoformat(value[:-6] + "+00:00") - zone  # several times faster than astimezone
    found = datetime.fromisoformat(value.strip())
    if found.tzinfo is None:
        raise ValueError("a time without a zone")
    return found.astimezone(UTC)


def ref_of(element: etree._Element, kind: str) -> Ref:
    """Read a RecordRef, CustomRecordRef or ListOrRecordRef; *kind* is used where the element names no type."""
    get = element.get
    name = next((one.text for one in element if _ends(one, "}name")), None)
    return Ref(get("type") or kind, get("internalId") or None, get("externalId") or None, name)


def _ends(element: etree._Element, name: str) -> bool:
    tag: object = element.tag  # of a comment it is no text
    return isinstance(tag, str) and tag.endswith(name)


def _decimal(found: str) -> Decimal:
    value = Decimal(found)
    if not value.is_finite():
        raise InvalidOperation("not a finite number")
    return value


def _flag(found: str) -> bool:
    return _FLAGS[found] if found in _FLAGS else _FLAGS[found.strip()]


Convert = Callable[[str], Any]  # of a text that is there; an element without one is no value, and an empty text
Met = dict[tuple[Any, ...], Ref]  # the references of one answer, by field and attributes
Read = Callable[[etree._Element, Met], Any]
MOST_KEPT = 4096  # references, and other things that come again in every record, that are remembered
_CONVERT: dict[Holds, Convert | None] = {
    Holds.TEXT: None,
    Holds.CHOICE: None,
    Holds.DECIMAL: _decimal,
    Holds.WHOLE: int,
    Holds.FLAG: _flag,
    Holds.TIME: instant,
}
_CUSTOM: dict[str, Convert | None] = {
    "StringCustomFieldRef": None,
    "LongCustomFieldRef": int,
    "DoubleCustomFieldRef": _decimal,
    "BooleanCustomFieldRef": _flag,
    "DateCustomFieldRef": instant,
}


class _Step(NamedTuple):
    """What becomes of one element of a type, which is *name* in the record.

    Its text is converted; or it *refers* to another record; or it is what *read* makes of all of it, without a name a
    dict of values of the record; or, with none of these, it is its text.
    """

    name: str
    convert: Convert | None = None
    refers: bool = False
    read: Read | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one type is read: its fields, and what becomes of each by the tags with their namespace met so far."""

    type: str
    fields: Mapping[str, Field]
    tags: dict[str, tuple[str, Convert | None, bool, Read | None]] = field(default_factory=dict)


class Reader:
    """Reads the records of one set of bindings. Safe to share between threads.

    A page of 1,000 orders has 73,000 elements, so every one must cost as few steps of the interpreter as can be: each
    type has a plan, in which one look-up of an element's tag says all that is to be done with it.
    """

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self._plans: dict[Name, _Plan] = {}
        self._types: dict[tuple[str, str], tuple[_Plan, str]] = {}
        self._customs: dict[tuple[str, ...], _Step] = {}
        self.unknown: set[str] = set()  # "Type.element" met but not in the schemas

    def record(self, element: etree._Element, kind: str | None = None, met: Met | None = None) -> Record:
        """Read a ``record`` element. *kind* names a custom record's type, which the element itself does not.

        The references in *met* are not read again: give the records of one answer the same, and no other answer, since
        a name may have been changed between two. Raises Unreadable when a value is not what its type says.
        """
        plan, known = self._typed(element)
        try:
            fields = self._fields(element, plan, {} if met is None else met)
        except (ValueError, KeyError, ArithmeticError) as error:
            raise Unreadable(f"a value of {plan.type} {element.get('internalId')} cannot be read: {error}") from error
        if kind is not None and known in (CUSTOM_RECORD.name, ""):
            known = kind
        modified = fields.get("lastModifiedDate") or fields.get("lastModified")
        ref = Ref(known, element.get("internalId") or None, element.get("externalId") or None)
        return Record(ref, fields, modified if isinstance(modified, datetime) else None)

    def _typed(self, element: etree._Element) -> tuple[_Plan, str]:
        """Return the plan for a record element and the name of its kind."""
        type_ = element.get(XSI_TYPE) or ""
        # What a prefix stands for is costly to ask, and cannot differ where the elements have the same namespace.
        key = (type_, element[0].tag) if len(element) else (type_, "")
        found = self._types.get(key)
        if found is None:
            prefix, _, name = type_.rpartition(":")
            namespace = element.nsmap.get(prefix or None) or ""
            found = self._plan((namespace, name)), _TYPES.get(name) or (name[:1].lower() + name[1:])
            if key[1].startswith(f"{{{namespace}}}"):
                if len(self._types) >= MOST_KEPT:
                    self._types.clear()
                self._types[key] = found
        return found

    def _fields(self, element: etree._Element, plan: _Plan, met: Met) -> dict[str, Any]:
        values: dict[str, Any] = {}
        known = plan.tags
        for one in element[:]:  # type: ignore[index]  # a slice, which the stubs do not know, takes all at once
            try:
                name, convert, refers, read = known[one.tag]
            except KeyError:
                name, convert, refers, read = self._first(one, plan)
            if convert is not None:
                found = one.text  # asked for once: lxml makes the text anew each time
                values[name] = None if found is None else convert(found)
            elif refers:
                key = (name, *one.items())
                values[name] = met.get(key) or _ref(one, name, met, key)
            elif read is None:
                values[name] = one.text or ""
            elif name:
                values[name] = read(one, met)
            else:
                values.update(read(one, met))
        return values

    def _custom_fields(self, element: etree._Element, met: Met) -> dict[str, Any]:
        """Flatten a customFieldList to script id → value."""
        values: dict[str, Any] = {}
        for one in element[:]:  # type: ignore[index]  # as above
            # Without the attributes' names, which cost as much again: an internal id is a number, a script id begins
            # with cust and a type ends in FieldRef, so none is taken for another.
            kept: Any = tuple(one.values())
            name, convert, refers, read = self._customs.get(kept) or self._custom(one, kept)
            if read is not None:
                values[name] = read(one, met)
                continue
            only = one[0] if len(one) == 1 else child(one, "value")  # no type has a child of another name
            if only is None:
                values[name] = None
            elif refers:
                key = (name, *only.items())
                values[name] = met.get(key) or _ref(only, name, met, key)
            else:
                values[name] = _converted(only, convert)
        return values

    def _custom(self, element: etree._Element, kept: tuple[str, ...]) -> _Step:
        """Say what becomes of a custom field that is met for the first time."""
        name = element.get("scriptId") or f"custom field {element.get('internalId')}"
        type_ = element.get(XSI_TYPE, "").rpartition(":")[2]
        if type_ == "MultiSelectCustomFieldRef":
            step = _Step(name, read=lambda one, _: [ref_of(value, name) for value in children(one, "value")])
        elif type_ == "SelectCustomFieldRef":
            step = _Step(name, refers=True)
        else:
            step = _Step(name, _CUSTOM.get(type_))
        if len(self._customs) < MOST_KEPT:
            self._customs[kept] = step
        return step

    def _first(self, element: etree._Element, plan: _Plan) -> _Step:
        """Say what becomes of an element whose tag is met for the first time, or is in no schema."""
        name = local(element)
        if not name:
            return _Step("", read=lambda *_: {})  # a comment
        field = plan.fields.get(name)
        if field is None:
            self.unknown.add(f"{plan.type}.{name}")
            return _Step(name, read=_words)
        step = self._step(field)
        # Of names in the schema only, so that no answer can make it grow. A plain tuple is unpacked faster.
        plan.tags[element.tag] = (step.name, step.convert, step.refers, step.read)
        return step

    def _plan(self, name: Name) -> _Plan:
        plan = self._plans.get(name)
        if plan is None:
            shape = self._bindings.shapes.shape(name)
            plan = self._plans[name] = _Plan(name[1], shape.fields if shape is not None else {})
        return plan

    def _step(self, field: Field) -> _Step:
        name, type_ = field.name, field.type
        if field.holds in _CONVERT:
            return _Step(name, _CONVERT[field.holds])
        if field.holds is Holds.REF:
            return _Step(name, refers=True)
        if field.holds is Holds.CUSTOM:
            return _Step("", read=self._custom_fields)
        if field.holds is Holds.NULLS:
            return _Step("", read=lambda *_: {})
        repeated = self._repeated(type_) if field.holds is Holds.LIST else None
        if repeated is None:
            return _Step(name, read=lambda element, met: self._fields(element, self._plan(type_), met))
        inner, each = repeated.type, repeated.name
        if repeated.holds is Holds.REF:
            return _Step(name, read=lambda element, _: [ref_of(one, each) for one in element])
        if repeated.holds in _CONVERT:
            convert = _CONVERT[repeated.holds]
            return _Step(name, read=lambda element, _: [_converted(one, convert) for one in element])
        return _Step(name, read=lambda element, met: self._rows(element, inner, met))

    def _repeated(self, name: Name) -> Field | None:
        shape = self._bindings.shapes.shape(name)
        return shape.repeated if shape else None

    def _rows(self, element: etree._Element, name: Name, met: Met) -> list[dict[str, Any]]:
        fields, plan = self._fields, self._plan(name)
        return [fields(one, plan, met) for one in element]


def _ref(element: etree._Element, kind: str, met: Met, key: tuple[Any, ...]) -> Ref:
    """Read a reference and remember it; not one without an id, which only its name tells from others."""
    ref = ref_of(element, kind)
    if ref.id and len(ref.name or "") < 200:
        if len(met) >= MOST_KEPT:
            met.clear()
        met[key] = ref
    return ref


def _words(element: etree._Element, *_: Any) -> str:
    return " ".join(str(part).strip() for part in element.itertext() if part.strip())


def _converted(element: etree._Element, convert: Convert | None) -> Any:
    found = element.text
    if convert is None:
        return found or ""
    return None if found is None else convert(found)
