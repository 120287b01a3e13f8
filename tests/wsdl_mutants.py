"""Sets of bindings that NetSuite never published: another version, something gone, renamed, moved, of another type."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from lxml import etree

X = "{http://www.w3.org/2001/XMLSchema}"
W = "{http://schemas.xmlsoap.org/wsdl/}"
ROOT = Path(__file__).parents[1]
SUBSET = ROOT / "suitetalk_wsdl" / "2025_2"
FULL = Path(os.environ.get("BRIDGE_SHARED") or ROOT.parent / "shared") / "suitetalk"

Files = dict[str, bytes]
Trees = dict[str, etree._Element]
Change = Callable[[Trees], None]


def read(folder: Path) -> Files:
    found = (it for it in folder.rglob("*") if it.suffix in (".wsdl", ".xsd"))
    return {it.relative_to(folder).as_posix(): it.read_bytes() for it in found}


def full(version: str) -> Files:
    """A set as NetSuite publishes it; the test is skipped where there is none."""
    folder = FULL / version
    if not (folder / "netsuite.wsdl").exists():
        pytest.skip("the full SuiteTalk schemas are not next to the checkout")
    return read(folder)


def as_version(files: Mapping[str, bytes], version: str, was: str = "2025_2") -> Files:
    """The same set under another version's name."""
    return {name: content.replace(was.encode(), version.encode()) for name, content in files.items()}


def mutated(files: Mapping[str, bytes], *changes: Change) -> Files:
    """The set with all *changes*."""
    trees = {name: etree.fromstring(content) for name, content in files.items()}
    for change in changes:
        change(trees)
    return {name: etree.tostring(root, xml_declaration=True, encoding="utf-8") for name, root in trees.items()}


def write(files: Mapping[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def type_of(trees: Trees, name: str) -> etree._Element:
    (found,) = [
        one
        for root in trees.values()
        for one in root
        if one.tag in (f"{X}complexType", f"{X}simpleType") and one.get("name") == name
    ]
    return found


def element(trees: Trees, type_name: str, name: str) -> etree._Element:
    (found,) = [one for one in type_of(trees, type_name).iter(f"{X}element") if one.get("name") == name]
    return found


def field_removed(type_name: str, name: str) -> Change:
    def change(trees: Trees) -> None:
        one = element(trees, type_name, name)
        one.getparent().remove(one)

    return change


def field_changed(type_name: str, name: str, /, **attributes: str) -> Change:
    """Another name, type, minOccurs or maxOccurs."""

    def change(trees: Trees) -> None:
        one = element(trees, type_name, name)
        for key, value in attributes.items():
            one.set(key, value if not value.startswith("xs:") else _plain(one, value))

    return change


def _plain(node: etree._Element, value: str) -> str:
    prefix = next(key for key, uri in node.nsmap.items() if uri == X[1:-1] and key)
    return value.replace("xs:", f"{prefix}:")


def field_added(type_name: str, name: str, /, **attributes: str) -> Change:
    def change(trees: Trees) -> None:
        holder = next(type_of(trees, type_name).iter(f"{X}sequence"))
        one = etree.SubElement(holder, f"{X}element", name=name, minOccurs="0")
        one.set("type", _plain(one, "xs:string"))
        for key, value in attributes.items():
            one.set(key, value)

    return change


def field_moved_to_the_end(type_name: str, name: str) -> Change:
    def change(trees: Trees) -> None:
        one = element(trees, type_name, name)
        one.getparent().append(one)

    return change


def word_dropped(type_name: str, word: str) -> Change:
    def change(trees: Trees) -> None:
        (one,) = [it for it in type_of(trees, type_name).iter(f"{X}enumeration") if it.get("value") == word]
        one.getparent().remove(one)

    return change


def attribute_removed(type_name: str, name: str) -> Change:
    def change(trees: Trees) -> None:
        (one,) = [it for it in type_of(trees, type_name).iter(f"{X}attribute") if it.get("name") == name]
        one.getparent().remove(one)

    return change


def operation_removed(name: str) -> Change:
    def change(trees: Trees) -> None:
        for one in list(trees["netsuite.wsdl"].iter(f"{W}operation")):
            if one.get("name") == name:
                one.getparent().remove(one)

    return change


def fault_removed(operation: str, name: str) -> Change:
    def change(trees: Trees) -> None:
        for one in list(trees["netsuite.wsdl"].iter(f"{W}fault")):
            if one.getparent().get("name") == operation and one.get("name") == name:
                one.getparent().remove(one)

    return change


def type_made_abstract(name: str) -> Change:
    def change(trees: Trees) -> None:
        type_of(trees, name).set("abstract", "true")

    return change
