"""Check every metadata file against the types that Salesforce publishes: ``python3 metadata_schema.py PROJECT``.

The types are those of the Metadata API as npm ``@salesforce/types`` declares them for TypeScript. What the parser of a
deployment refuses is refused here: unknown elements, a second one where one is allowed, repeated elements that are not
adjacent, missing ones, and texts that are not of their type. Exit status 1 on any problem.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
DECLARATIONS = Path("node_modules/@salesforce/types/lib/metadata.d.ts")
SUFFIX = "-meta.xml"
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?\Z")
ALIAS = re.compile(r"export type (?P<name>\w+) =\s*(?P<body>[^;{]*(?:\{.*?^\})?);", re.M | re.S)
MEMBER = re.compile(r"^\s+(?P<name>\w+)(?P<optional>\?)?: (?P<type>[\w ]+?)(?P<many>\[\])?;", re.M)


@dataclass(frozen=True)
class Element:
    """One element that a type may hold."""

    type: str
    required: bool
    many: bool


@dataclass(frozen=True)
class Types:
    """The declarations: the values of each enumeration, and the elements of each type with those it inherits."""

    values: dict[str, frozenset[str]]
    elements: dict[str, dict[str, Element]]


def declared(text: str) -> Types:
    """Read the declarations."""
    values: dict[str, frozenset[str]] = {}
    own: dict[str, tuple[list[str], dict[str, Element]]] = {}
    for match in ALIAS.finditer(text):
        name, body = match["name"], match["body"]
        if "{" in body:
            before, inside = body.split("{", 1)
            members = {
                one["name"]: Element(one["type"], required=not (one["optional"] or one["many"]), many=bool(one["many"]))
                for one in MEMBER.finditer(inside)
            }
            own[name] = (re.findall(r"\w+", before), members)
        elif quoted := re.findall(r"'([^']*)'", body):
            values[name] = frozenset(quoted)
        elif body.strip() != "string":
            own[name] = ([body.strip()], {})  # another name for a type
    elements: dict[str, dict[str, Element]] = {}

    def resolved(name: str) -> dict[str, Element]:
        if name not in elements:
            bases, members = own.get(name, ([], {}))
            elements[name] = {key: one for base in bases for key, one in resolved(base).items()} | members
        return elements[name]

    for name in own:
        resolved(name)
    return Types(values, elements)


def problems(node: ET.Element, type_name: str, types: Types, where: str) -> Iterator[str]:
    """Yield what is wrong with one element and those inside it."""
    allowed = types.elements[type_name]
    seen: list[str] = []
    for child in node:
        namespace, _, tag = child.tag[1:].partition("}")
        place = f"{where}/{tag or child.tag}"
        if namespace != NAMESPACE:
            yield f"{place}: is not in the namespace of metadata"
            continue
        if tag not in allowed:
            yield f"{place}: {type_name} has no such element"
            continue
        if tag in seen and not allowed[tag].many:
            yield f"{place}: may stand only once"
        elif tag in seen and seen[-1] != tag:
            yield f"{place}: repeated elements must be adjacent"
        seen.append(tag)
        inner = allowed[tag].type
        if inner in types.elements:
            yield from problems(child, inner, types, place)
        else:
            yield from wrong_text((child.text or "").strip(), inner, types, place)
    for tag, element in allowed.items():
        if element.required and tag not in seen and tag != "fullName":
            yield f"{where}: lacks {tag}"


def wrong_text(text: str, type_name: str, types: Types, where: str) -> Iterator[str]:
    """Yield what is wrong with the text of an element that holds no others."""
    if type_name in types.values and text not in types.values[type_name]:
        yield f"{where}: {text!r} is not one of {type_name}"
    elif type_name == "boolean" and text not in {"true", "false"}:
        yield f"{where}: {text!r} is neither true nor false"
    elif type_name == "number" and not NUMBER.match(text):
        yield f"{where}: {text!r} is not a number"


def check(path: Path, types: Types) -> Iterator[str]:
    """Yield what is wrong with one file."""
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - our own files
    except ET.ParseError as error:
        yield f"is not well-formed: {error}"
        return
    namespace, _, name = root.tag[1:].partition("}")
    if namespace != NAMESPACE or name not in types.elements:
        yield f"<{root.tag}> is not a kind of metadata"
        return
    yield from problems(root, name, types, name)


def main(project: Path) -> int:
    """Check all files below the folders of *project*; return the exit status."""
    types = declared((project / DECLARATIONS).read_text(encoding="utf-8"))
    found = 0
    paths = [path for path in sorted(project.rglob(f"*{SUFFIX}")) if "node_modules" not in path.parts]
    for path in paths:
        for sentence in check(path, types):
            found += 1
            print(f"{path.relative_to(project)}: {sentence}")
    print(f"{len(paths)} files, {found} problems ({len(types.elements)} types known)")
    return 1 if found or not paths else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
