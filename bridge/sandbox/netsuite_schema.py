"""The WSDL and XSDs of one endpoint version: validates envelopes and knows each type's fields in their order.

``Schema`` is compiled once per folder and shared. Reading a request (``values``) and writing an answer both follow the
types found here, so the fake speaks whatever set it is given, a full one or a subset.

Must not know: what a record means.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lxml import etree

if TYPE_CHECKING:
    from pathlib import Path

XSD = "{http://www.w3.org/2001/XMLSchema}"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
CORE, MESSAGES, FAULTS = "core", "messages", "faults"

# The SOAP 1.1 envelope (W3C note of 2000-05-08), strict about the Body so that whole messages can be validated:
# xsi:type prefixes are often declared on the Envelope and would be lost if the Body's child were validated alone.
ENVELOPE = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:soap="{soap}" targetNamespace="{soap}"
 elementFormDefault="qualified">{imports}
 <xs:element name="Envelope"><xs:complexType><xs:sequence>
  <xs:element name="Header" minOccurs="0"><xs:complexType><xs:sequence>
   <xs:any processContents="lax" minOccurs="0" maxOccurs="unbounded"/></xs:sequence></xs:complexType></xs:element>
  <xs:element name="Body"><xs:complexType><xs:sequence>
   <xs:any processContents="strict"/></xs:sequence></xs:complexType></xs:element>
 </xs:sequence><xs:anyAttribute processContents="lax"/></xs:complexType></xs:element>
 <xs:element name="Fault"><xs:complexType><xs:sequence>
  <xs:element name="faultcode" form="unqualified" type="xs:QName"/>
  <xs:element name="faultstring" form="unqualified" type="xs:string"/>
  <xs:element name="faultactor" form="unqualified" type="xs:anyURI" minOccurs="0"/>
  <xs:element name="detail" form="unqualified" minOccurs="0"><xs:complexType><xs:sequence>
   <xs:any processContents="lax" minOccurs="0" maxOccurs="unbounded"/></xs:sequence></xs:complexType></xs:element>
 </xs:sequence></xs:complexType></xs:element></xs:schema>"""


@dataclass(frozen=True, slots=True)
class Field:
    """One element of a complex type."""

    name: str
    namespace: str
    type: str
    many: bool
    complex: bool


@dataclass(slots=True)
class ComplexType:
    """A complex type with the elements of its bases first, as XSD orders them."""

    name: str
    namespace: str
    base: str | None
    own: list[Field]
    keyed: bool
    fields: tuple[Field, ...] = ()
    by_name: dict[str, Field] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefValue:
    """A reference as it stands in a request: either id may be absent."""

    internal_id: str | None
    external_id: str | None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class CustomValue:
    """One custom field of a request: its script id or internal id, the xsi:type's local name and its values."""

    script_id: str | None
    internal_id: str | None
    type: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Sublist:
    """A list of lines as sent. *replace_all* is true unless the request says otherwise (page section_N3441570)."""

    replace_all: bool
    lines: tuple[dict[str, Any], ...]


class Schema:
    """One endpoint version's schemas, e.g. ``2025_2``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wsdl = (folder / "netsuite.wsdl").read_bytes()
        found = re.search(rb"urn:platform_(\d{4}_\d)\.webservices", self.wsdl)
        if found is None:
            raise ValueError(f"no SuiteTalk WSDL in {folder}")
        self.version = found.group(1).decode()
        self.operations = frozenset(re.findall(r'soapAction="(\w+)"', self.wsdl.decode()))
        self.types: dict[str, ComplexType] = {}
        self.enums: dict[str, frozenset[str]] = {}
        self._simple: dict[str, str] = {}
        files = sorted((folder / "xsd").glob("*.xsd"))
        imports = "".join(self._read(path) for path in files)
        self._link()
        # libxml2's compiled schema is read-only, but lxml keeps the error log of the last validation on it.
        self._lock = threading.Lock()
        self._compiled = etree.XMLSchema(etree.fromstring(ENVELOPE.format(soap=SOAP, imports=imports)))

    def error(self, envelope: etree._Element) -> str | None:
        """Why *envelope* is not valid, or None."""
        with self._lock:
            if self._compiled.validate(envelope):
                return None
            log: Any = self._compiled.error_log
            return str(log[0].message)

    def ns(self, name: str) -> str:
        """The namespace of ``core``, ``messages`` or ``faults`` of this version."""
        return f"urn:{name}_{self.version}.platform.webservices.netsuite.com"

    def type_named(self, local: str) -> ComplexType | None:
        """The complex type called *local*; names used here are unique over all namespaces."""
        return self._by_local.get(local)

    def resolve(self, element: etree._Element) -> ComplexType:
        """The type that *element* declares with xsi:type."""
        value = element.get(XSI_TYPE) or ""
        prefix, _, local = value.rpartition(":")
        name = f"{{{element.nsmap.get(prefix or None)}}}{local}"
        return self.types[name]

    def is_a(self, type_: ComplexType | None, base: str) -> bool:
        """Whether *type_* is or extends the type whose local name is *base*."""
        while type_ is not None:
            if type_.name == base:
                return True
            type_ = self.types.get(type_.base) if type_.base else None
        return False

    def values(self, element: etree._Element, type_: ComplexType) -> dict[str, Any]:
        """The children of *element* as plain values by field name. Comments must be gone already."""
        out: dict[str, Any] = {}
        for child in element:
            known = type_.by_name[child.tag.rpartition("}")[2]]
            value = self._value(child, known)
            if known.many:
                out.setdefault(known.name, []).append(value)
            else:
                out[known.name] = value
        return out

    def _value(self, element: etree._Element, known: Field) -> Any:
        if not known.complex:
            return element.text or ""
        type_ = self.resolve(element) if element.get(XSI_TYPE) else self.types[known.type]
        if self.is_a(type_, "BaseRef"):
            return RefValue(element.get("internalId"), element.get("externalId"), element.get("type"))
        if type_.name == "ListOrRecordRef":
            return RefValue(element.get("internalId"), element.get("externalId"), element.get("typeId"))
        if type_.name == "CustomFieldList":
            return [self._custom(child) for child in element if isinstance(child.tag, str)]
        if type_.name == "NullField":
            return [child.text or "" for child in element if isinstance(child.tag, str)]
        if type_.keyed:
            lines = self.values(element, type_)
            rows: list[dict[str, Any]] = next(iter(lines.values()), [])
            return Sublist(element.get("replaceAll", "true") in ("true", "1"), tuple(rows))
        return self.values(element, type_)

    def _custom(self, element: etree._Element) -> CustomValue:
        type_ = self.resolve(element)
        values = self.values(element, type_)
        sent = values.get("value", ())
        many = tuple(sent) if isinstance(sent, list) else (sent,) if sent != () else ()
        return CustomValue(element.get("scriptId"), element.get("internalId"), type_.name, many)

    def _read(self, path: Path) -> str:
        root = etree.parse(str(path)).getroot()
        namespace = root.get("targetNamespace") or ""
        for simple in root.iterchildren(XSD + "simpleType"):
            name = f"{{{namespace}}}{simple.get('name')}"
            values = [item.get("value") or "" for item in simple.iter(XSD + "enumeration")]
            if values:
                self.enums[name] = frozenset(values)
        for node in root.iterchildren(XSD + "complexType"):
            self._read_type(node, namespace)
        return f'<xs:import namespace="{namespace}" schemaLocation="{path.resolve().as_uri()}"/>'

    def _read_type(self, node: etree._Element, namespace: str) -> None:
        extension = node.find(f"{XSD}complexContent/{XSD}extension")
        base = _qname(extension, extension.get("base")) if extension is not None else None
        own = []
        for element in node.iter(XSD + "element"):
            target = element.get("ref") or element.get("name") or ""
            qname = _qname(element, element.get("ref")) if element.get("ref") else f"{{{namespace}}}{target}"
            own.append(
                Field(
                    name=qname.rpartition("}")[2],
                    namespace=qname[1:].partition("}")[0],
                    type=_qname(element, element.get("type")) if element.get("type") else "",
                    many=element.get("maxOccurs") == "unbounded",
                    complex=False,
                )
            )
        keyed = any(attribute.get("name") == "replaceAll" for attribute in node.iter(XSD + "attribute"))
        name = node.get("name") or ""
        self.types[f"{{{namespace}}}{name}"] = ComplexType(name, namespace, base, own, keyed)

    def _link(self) -> None:
        for type_ in self.types.values():
            self._inherit(type_)
        self._by_local: dict[str, ComplexType] = {}
        for name, type_ in self.types.items():
            # Two types are called CurrencyRate; nothing here uses either.
            self._by_local.setdefault(name.rpartition("}")[2], type_)

    def _inherit(self, type_: ComplexType) -> None:
        if type_.fields or not (type_.own or type_.base):
            return
        fields: list[Field] = []
        if type_.base and type_.base in self.types:
            self._inherit(self.types[type_.base])
            fields += self.types[type_.base].fields
        for own in type_.own:
            fields.append(Field(own.name, own.namespace, own.type, own.many, own.type in self.types))
        type_.fields = tuple(fields)
        type_.by_name = {item.name: item for item in fields}


def _qname(element: etree._Element, value: str | None) -> str:
    prefix, _, local = (value or "").rpartition(":")
    return f"{{{element.nsmap.get(prefix or None)}}}{local}"


@lru_cache(maxsize=8)
def load_schema(folder: Path) -> Schema:
    """The schema of *folder*, compiled once in this process (a full set takes 1.4 s and more)."""
    return Schema(folder)
