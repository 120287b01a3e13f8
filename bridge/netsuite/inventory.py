"""What a set of bindings holds, read by ourselves: operations, types, fields in order, enumerations, faults.

``Inventory.read`` takes the files of one set. Names are ``(short namespace, local name)``, without the version, so that
two versions can be compared: ``("core.platform", "RecordRef")`` is in ``urn:core_2025_2.platform.…`` and in
``urn:core_2023_2.platform.…`` alike. It shares no code with zeep and none with ``Shapes``: what compares the bindings
must not share the bugs of what speaks through them.

Must not know: values, HTTP, what the bridge uses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lxml import etree

from bridge.netsuite.shapes import XSD, parser

Name: TypeAlias = tuple[str, str]  # short namespace, local name

_X, _W = f"{{{XSD}}}", "{http://schemas.xmlsoap.org/wsdl/}"
_S = "{http://schemas.xmlsoap.org/wsdl/soap/}"
_URN = re.compile(r"urn:(?P<short>.+?)_(?P<version>20\d\d_\d)\.(?P<group>[a-z]+)")
_PLATFORM = re.compile(r"urn:platform_(20\d\d_\d)\.webservices\.netsuite\.com\Z")
PLAIN = "xsd"  # the short namespace of XML Schema's own types
ANYTHING = (PLAIN, "anyType")


class Broken(ValueError):
    """The files are no whole set of bindings; the text says in which way."""


@dataclass(frozen=True, slots=True)
class Member:
    """One element of a type. *least* is 1 when it must be there, *many* when it may repeat."""

    name: str
    type: Name
    least: int = 0
    many: bool = False
    qualified: bool = True


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a type."""

    name: str
    type: Name
    required: bool = False
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Type:
    """One named type as its file has it; *values* and *facets* are of a simple one."""

    name: Name
    base: Name | None = None
    abstract: bool = False
    simple: bool = False
    members: tuple[Member, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    values: tuple[str, ...] = ()
    facets: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: the elements it is asked and answered with, its header parts and its faults' elements."""

    name: str
    action: str
    request: Name
    answer: Name
    headers: Mapping[str, Name]
    faults: Mapping[str, Name]


@dataclass(slots=True)
class Inventory:
    """All of one set. *version* is the WSDL's own, ``"2025_2"``."""

    version: str
    types: dict[Name, Type] = field(default_factory=dict)
    elements: dict[Name, Name] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    _flat: dict[Name, tuple[Member, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, files: Mapping[str, bytes]) -> Inventory:
        """Read a whole set. Raises Broken: a file is no XML, versions are mixed, or a name leads nowhere."""
        roots = {name: _parsed(name, content) for name, content in files.items()}
        wsdls = [root for root in roots.values() if root.tag == f"{_W}definitions"]
        if len(wsdls) != 1:
            raise Broken(f"There must be one WSDL in a set; here are {len(wsdls)}.")
        found = _PLATFORM.match(wsdls[0].get("targetNamespace") or "")
        if found is None:
            raise Broken(
                "The WSDL is not NetSuite's: its namespace is not urn:platform_<version>.webservices.netsuite.com."
            )
        made = cls(found[1])
        schemas = [root for root in roots.values() if root.tag == f"{_X}schema"]
        schemas += [one for one in wsdls[0].iter(f"{_X}schema") if one.get("targetNamespace")]
        reader = _Reader(made)
        for root in schemas:
            reader.elements(root)
        for root in schemas:
            reader.schema(root)
        reader.wsdl(wsdls[0])
        lost = sorted(reader.lost())
        if lost:
            more = f", and {len(lost) - 3} more" if len(lost) > 3 else ""
            raise Broken(f"The set is not whole: {'; '.join(lost[:3])}{more}.")
        return made

    def members(self, name: Name) -> tuple[Member, ...]:
        """Return the elements of a type in order, what it inherits first."""
        if name not in self._flat:
            self._flat[name] = tuple(member for one in reversed(self.line(name)) for member in one.members)
        return self._flat[name]

    def attributes(self, name: Name) -> dict[str, Attribute]:
        """Return the attributes of a type by name, with those it inherits."""
        return {it.name: it for one in reversed(self.line(name)) for it in one.attributes}

    def line(self, name: Name) -> list[Type]:
        """Return the type and what it derives from, nearest first."""
        found: list[Type] = []
        at: Name | None = name
        while at is not None and at in self.types and len(found) < 32:
            found.append(self.types[at])
            at = self.types[at].base
        return found

    def named(self, space: str, local: str) -> Name | None:
        """Return the name of the type *local* in the namespace that begins with *space*: ``sales``, ``core``."""
        return next((it for it in self.types if it[1] == local and it[0].startswith(f"{space}.")), None)

    def member(self, name: Name, element: str) -> Member | None:
        """Return one element of a type."""
        return next((it for it in self.members(name) if it.name == element), None)

    def line_of(self, name: Name) -> Member | None:
        """Return the element that repeats, when the type is a list."""
        members = self.members(name)
        return members[0] if len(members) == 1 and members[0].many else None


def _parsed(name: str, content: bytes) -> etree._Element:
    try:
        root = etree.fromstring(content, parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Broken(f"{name} is no whole XML file ({error}).") from error
    info: Any = root.getroottree().docinfo  # the stubs lack most of it
    if info.doctype:
        raise Broken(f"{name} carries a document type, which bindings never have.")
    return root


def short(namespace: str) -> str:
    """Return *namespace* without its version: ``core.platform``, ``types.sales.transactions``."""
    if namespace == XSD:
        return PLAIN
    found = _URN.match(namespace)
    return f"{found['short']}.{found['group']}" if found else namespace


class _Reader:
    """Fills one inventory, and remembers which names were referred to."""

    def __init__(self, made: Inventory) -> None:
        self._made = made
        self._named: set[Name] = set()  # types
        self._used: set[Name] = set()  # elements

    def lost(self) -> Iterator[str]:
        """Yield what was referred to and is not there."""
        for space, local in self._named - self._made.types.keys():
            if space != PLAIN:
                yield f"the type {space}.{local} is missing"
        for space, local in self._used - self._made.elements.keys():
            yield f"the element {space}.{local} is missing"

    def _name(self, node: etree._Element, written: str) -> Name:
        prefix, _, local = written.rpartition(":")
        namespace = node.nsmap.get(prefix or None) or ""
        found = _URN.match(namespace)
        if found and found["version"] != self._made.version:
            raise Broken(f"The versions are mixed: {namespace} in a set of {self._made.version}.")
        return short(namespace), local

    def elements(self, root: etree._Element) -> None:
        """Read which elements a schema has; types may refer to those of any other schema."""
        space = short(self._target(root))
        for node in root.findall(f"{_X}element"):
            name = (space, node.get("name") or "")
            written = node.get("type")
            inside = ANYTHING if len(node) == 0 else (space, f"{name[1]} (inside)")
            self._made.elements[name] = self._name(node, written) if written else inside

    def schema(self, root: etree._Element) -> None:
        """Read the types of a schema."""
        space = short(self._target(root))
        qualified = root.get("elementFormDefault") == "qualified"
        for node in root:
            name = (space, node.get("name") or "")
            if node.tag == f"{_X}element":
                self._type_of(node, name, qualified)
            elif node.tag in (f"{_X}complexType", f"{_X}simpleType"):
                self._type(node, name, qualified)
            elif node.tag == f"{_X}redefine":
                raise Broken("A schema redefines another, which the bridge does not read.")

    def _target(self, root: etree._Element) -> str:
        target = root.get("targetNamespace") or ""
        found = _URN.match(target)
        if found and found["version"] != self._made.version:
            raise Broken(f"The versions are mixed: {target} in a set of {self._made.version}.")
        return target

    def _type_of(self, node: etree._Element, owner: Name, qualified: bool) -> Name:
        """Return the type of an element or attribute; one that is written inside it gets a name of its own."""
        written = node.get("type")
        if written:
            name = self._name(node, written)
            self._named.add(name)
            return name
        inside = next((one for one in node if one.tag in (f"{_X}complexType", f"{_X}simpleType")), None)
        if inside is None:
            return ANYTHING
        name = (owner[0], f"{owner[1]} (inside)")
        self._type(inside, name, qualified)
        return name

    def _type(self, node: etree._Element, name: Name, qualified: bool) -> None:
        simple = node.tag == f"{_X}simpleType"
        base: Name | None = None
        for derived in node.iter(f"{_X}extension", f"{_X}restriction"):
            base = self._name(derived, derived.get("base") or "")
            self._named.add(base)
            break
        values, facets, members, attributes = [], [], [], []
        for one in self._inside(node):
            tag = one.tag
            if tag == f"{_X}element":
                members.append(self._member(one, name, qualified))
            elif tag == f"{_X}attribute":
                attributes.append(self._attribute(one, name))
            elif tag == f"{_X}enumeration":
                values.append(one.get("value") or "")
            elif one.get("value") is not None and isinstance(tag, str):
                facets.append((tag.removeprefix(_X), one.get("value") or ""))
        kept = None if base is None or base[0] == PLAIN else base
        if simple and base is not None and base[0] == PLAIN:
            facets.append(("base", base[1]))
        self._made.types[name] = Type(
            name,
            kept,
            node.get("abstract") in ("true", "1"),
            simple,
            tuple(members),
            tuple(attributes),
            tuple(values),
            tuple(sorted(facets)),
        )

    def _inside(self, node: etree._Element) -> Iterator[etree._Element]:
        """Yield what belongs to a type itself, not to a type that is written inside one of its elements."""
        for one in node:
            yield one
            if one.tag not in (f"{_X}element", f"{_X}attribute"):
                yield from self._inside(one)

    def _member(self, node: etree._Element, owner: Name, qualified: bool) -> Member:
        many = node.get("maxOccurs", "1") not in ("0", "1")
        inside_choice = any(up.tag == f"{_X}choice" for up in node.iterancestors())
        least = 0 if inside_choice or node.get("minOccurs", "1") == "0" else 1
        if node.get("ref"):
            target = self._name(node, node.get("ref") or "")
            self._used.add(target)
            return Member(target[1], self._made.elements.get(target, target), least, many)
        name = node.get("name") or ""
        form = node.get("form")
        is_qualified = qualified if form is None else form == "qualified"
        return Member(name, self._type_of(node, (owner[0], f"{owner[1]}.{name}"), qualified), least, many, is_qualified)

    def _attribute(self, node: etree._Element, owner: Name) -> Attribute:
        name = node.get("name") or (node.get("ref") or "").rpartition(":")[2]
        type_ = self._type_of(node, (owner[0], f"{owner[1]}.@{name}"), True)
        return Attribute(name, type_, node.get("use") == "required", node.get("default"))

    # The WSDL

    def wsdl(self, root: etree._Element) -> None:
        messages: dict[str, dict[str, Name]] = {}
        for message in root.findall(f"{_W}message"):
            parts = messages.setdefault(message.get("name") or "", {})
            for part in message.findall(f"{_W}part"):
                element = self._name(part, part.get("element") or "")
                self._used.add(element)
                parts[part.get("name") or ""] = element
        bound = {
            one.get("name") or "": one
            for binding in root.findall(f"{_W}binding")
            for one in binding.findall(f"{_W}operation")
        }
        for port in root.findall(f"{_W}portType"):
            for node in port.findall(f"{_W}operation"):
                name = node.get("name") or ""
                if name in bound:
                    self._made.operations[name] = self._operation(name, node, bound[name], messages)

    def _operation(
        self, name: str, node: etree._Element, bound: etree._Element, messages: Mapping[str, Mapping[str, Name]]
    ) -> Operation:
        def parts(child: etree._Element | None) -> Mapping[str, Name]:
            asked = (child.get("message") or "").rpartition(":")[2] if child is not None else ""
            if asked not in messages:
                raise Broken(f"The set is not whole: the message {asked or '(none)'} of {name} is missing.")
            return messages[asked]

        headers: dict[str, Name] = {}
        for one in bound.iterfind(f"{_W}input/{_S}header"):
            part = one.get("part") or ""
            headers[part] = messages.get((one.get("message") or "").rpartition(":")[2], {}).get(part, ("", part))
        action = bound.find(f"{_S}operation")
        faults = {one.get("name") or "": next(iter(parts(one).values())) for one in node.findall(f"{_W}fault")}
        return Operation(
            name,
            (action.get("soapAction") or "") if action is not None else "",
            next(iter(parts(node.find(f"{_W}input")).values()), ("", "")),
            next(iter(parts(node.find(f"{_W}output")).values()), ("", "")),
            headers,
            faults,
        )
