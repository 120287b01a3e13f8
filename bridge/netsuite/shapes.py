"""What the schemas say about each type: its fields in order, what each holds, and its attributes.

``Shapes`` reads the XSDs of one set once; ``Shape`` is one complex type; ``Field`` one of its elements. The codec
and the reader are both driven by it, so a larger set needs no change of code.

Must not know: zeep, values, HTTP.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

from lxml import etree

XSD = "http://www.w3.org/2001/XMLSchema"
_X = f"{{{XSD}}}"
Name: TypeAlias = tuple[str, str]  # namespace, local name


def parser() -> etree.XMLParser:
    """A parser that fetches nothing, expands nothing and has libxml2's size limits."""
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )


class Holds(Enum):
    """What an element holds, in the words of the port."""

    TEXT = "text"
    DECIMAL = "decimal"
    WHOLE = "whole number"
    FLAG = "flag"
    TIME = "time"
    CHOICE = "choice"
    REF = "reference"
    LIST = "list"
    CUSTOM = "custom fields"
    NULLS = "cleared fields"
    OTHER = "other"


_SIMPLE = {
    "string": Holds.TEXT,
    "double": Holds.DECIMAL,
    "decimal": Holds.DECIMAL,
    "float": Holds.DECIMAL,
    "long": Holds.WHOLE,
    "int": Holds.WHOLE,
    "integer": Holds.WHOLE,
    "boolean": Holds.FLAG,
    "dateTime": Holds.TIME,
}


@dataclass(frozen=True, slots=True)
class Field:
    """One element of a type. *many* when it may repeat; *choices* are the words an enumeration allows."""

    name: str
    type: Name
    holds: Holds
    many: bool = False
    choices: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Shape:
    """One complex type with everything it inherits, in schema order."""

    name: Name
    fields: dict[str, Field]
    attributes: frozenset[str]

    @property
    def repeated(self) -> Field | None:
        """The element that repeats, when this type is a list."""
        only = [one for one in self.fields.values() if one.many]
        return only[0] if len(only) == 1 and len(self.fields) == 1 else None


@dataclass(slots=True)
class _Raw:
    """One named type as it stands in its file, before what it inherits is added."""

    base: Name | None = None
    elements: list[tuple[str, Name, bool]] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    choices: frozenset[str] = frozenset()
    simple: bool = False


class Shapes:
    """All named types of one set of schemas, each a file or its content.

    A schema is read when one of its types is first asked for.
    """

    def __init__(self, schemas: Iterable[Path | bytes]) -> None:
        self._files: dict[str, list[Path | bytes]] = {}  # by target namespace
        self._raw: dict[Name, _Raw] = {}
        self._elements: dict[Name, Name] = {}
        self._known: dict[Name, Shape] = {}
        self._lock, self._reading = threading.RLock(), set[str]()
        for schema in schemas:
            self._files.setdefault(_target(schema), []).append(schema)
        self.namespaces = frozenset(self._files)

    def __contains__(self, name: Name) -> bool:
        return self._named(name) is not None

    def shape(self, name: Name) -> Shape | None:
        """Return the complex type *name*, or None when the set does not hold it."""
        if name not in self._known:
            raw = self._named(name)
            if raw is None or raw.simple:
                return None
            self._known[name] = self._build(name, raw)
        return self._known[name]

    def _named(self, name: Name) -> _Raw | None:
        self._load(name[0])
        return self._raw.get(name)

    def _load(self, namespace: str) -> None:
        """Read the files of *namespace*, once."""
        if namespace not in self._files:
            return
        with self._lock:  # others wait until all of it is read
            if namespace not in self._files or namespace in self._reading:
                return
            self._reading.add(namespace)
            roots = [etree.parse(_opened(it), parser()).getroot() for it in self._files[namespace]]
            for root in roots:  # first, because types may refer to elements of their own namespace
                for node in root.findall(f"{_X}element"):
                    self._elements[(namespace, node.get("name") or "")] = _qualified(node, node.get("type") or "")
            for root in roots:
                for node in root:
                    if node.tag in (f"{_X}complexType", f"{_X}simpleType"):
                        self._raw[(namespace, node.get("name") or "")] = self._read(node)
            del self._files[namespace]

    def _read(self, node: etree._Element) -> _Raw:
        raw = _Raw(simple=node.tag == f"{_X}simpleType")
        for derived in node.iter(f"{_X}extension", f"{_X}restriction"):
            raw.base = _qualified(derived, derived.get("base") or "")
        for one in node.iter(f"{_X}element"):
            many = one.get("maxOccurs", "1") not in ("0", "1")
            if one.get("ref"):
                target = _qualified(one, one.get("ref") or "")
                self._load(target[0])
                raw.elements.append((target[1], self._elements.get(target, (XSD, "string")), many))
            else:
                raw.elements.append((one.get("name") or "", _qualified(one, one.get("type") or ""), many))
        raw.attributes = [one.get("name") or "" for one in node.iter(f"{_X}attribute")]
        if raw.simple:
            raw.choices = frozenset(one.get("value") or "" for one in node.iter(f"{_X}enumeration"))
        return raw

    def _build(self, name: Name, raw: _Raw) -> Shape:
        fields: dict[str, Field] = {}
        attributes: frozenset[str] = frozenset()
        if raw.base and raw.base[0] != XSD:
            parent = self.shape(raw.base)
            if parent:
                fields.update(parent.fields)
                attributes = parent.attributes
        for local, type_, many in raw.elements:
            fields[local] = self._field(local, type_, many)
        return Shape(name, fields, attributes | frozenset(raw.attributes))

    def _field(self, name: str, type_: Name, many: bool) -> Field:
        if type_[0] == XSD:
            return Field(name, type_, _SIMPLE.get(type_[1], Holds.TEXT), many)
        raw = self._named(type_)
        if raw is not None and raw.simple:
            return Field(name, type_, Holds.CHOICE, many, raw.choices)
        if type_[1] in ("RecordRef", "CustomRecordRef", "BaseRef", "ListOrRecordRef"):
            return Field(name, type_, Holds.REF, many)
        if type_[1] == "CustomFieldList":
            return Field(name, type_, Holds.CUSTOM, many)
        if type_[1] == "NullField":
            return Field(name, type_, Holds.NULLS, many)
        if raw is not None and len(raw.elements) == 1 and raw.elements[0][2]:
            return Field(name, type_, Holds.LIST, many)
        return Field(name, type_, Holds.OTHER, many)


def _opened(schema: Path | bytes) -> str | BytesIO:
    return BytesIO(schema) if isinstance(schema, bytes) else str(schema)


def _target(schema: Path | bytes) -> str:
    """Return the namespace that a schema is about, from its first element."""
    for _, root in etree.iterparse(
        _opened(schema), events=("start",), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    ):
        return str(root.get("targetNamespace") or "")
    return ""


def _qualified(node: etree._Element, name: str) -> Name:
    prefix, _, local = name.rpartition(":")
    return (node.nsmap.get(prefix or None) or "", local)
