"""Reads the Salesforce package as it would be with some files changed: ``Package``, ``STANDARD_FIELDS``.

Must not know: what is right or wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lxml import etree

from bridge.sandbox.salesforce_standard import OBJECTS, SYSTEM

SOURCES = ("force-app", "prerequisites", "production")
META = "{http://soap.sforce.com/2006/04/metadata}"
PARSER = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)

# Standard fields that a layout or report names and the fake Salesforce has no use for.
MORE = {"OwnerId", "Owner", "Account", "BillingAddress", "ShippingAddress", "RecordTypeId", "Name", "Id"}
STANDARD_FIELDS = {
    name: {line.split("|")[0] for line in (SYSTEM + rows).split("\n") if line} | MORE
    for name, (_, _, _, rows) in OBJECTS.items()
}
CHILDREN = {"Account": {"Contacts", "Opportunities"}, "Opportunity": {"OpportunityLineItems"}}


@dataclass(frozen=True)
class Component:
    """One metadata file: its folder, its name without suffix, and what it says."""

    path: str
    folder: str
    name: str
    root: etree._Element

    def texts(self, path: str) -> list[str]:
        """The texts at *path*, a path of element names."""
        return [(node.text or "").strip() for node in self.nodes(path)]

    def text(self, path: str) -> str:
        """The first text at *path*, or nothing."""
        return next(iter(self.texts(path)), "")

    def nodes(self, path: str) -> list[etree._Element]:
        """The elements at *path*."""
        return self.root.findall("/".join(META + step if step not in (".", "..") else step for step in path.split("/")))


def child(node: etree._Element, name: str) -> str:
    """The text of the child *name*, or nothing."""
    return (node.findtext(META + name) or "").strip()


class Package:
    """All files of the package, with *changes* (path → text, or None for a file that is not there) on top."""

    def __init__(self, root: Path, changes: Mapping[str, str | None] | None = None) -> None:
        self._root = root
        self._changes = dict(changes or {})

    @cached_property
    def paths(self) -> list[str]:
        """Every file of the package, relative to its folder."""
        found = {
            path.relative_to(self._root).as_posix()
            for source in (*SOURCES, "manifest", "destructive")
            for path in (self._root / source).rglob("*")
            if path.is_file()
        }
        found.add("sfdx-project.json")
        found |= {path for path, text in self._changes.items() if text is not None}
        return sorted(found - {path for path, text in self._changes.items() if text is None})

    def read(self, path: str) -> str:
        """The text of a file."""
        changed = self._changes.get(path)
        return changed if changed is not None else (self._root / path).read_text(encoding="utf-8")

    @cached_property
    def components(self) -> list[Component]:
        """Every metadata file."""
        return [self._component(path) for path in self.paths if path.endswith("-meta.xml")]

    def of(self, folder: str) -> list[Component]:
        """The components of one kind, by the folder that holds them."""
        return [one for one in self.components if one.folder == folder]

    def names(self, folder: str) -> set[str]:
        """The names of the components of one kind."""
        return {one.name for one in self.of(folder)}

    def parse(self, path: str) -> Component:
        """A file of XML that is not a component."""
        return self._component(path)

    def _component(self, path: str) -> Component:
        parts = path.split("/")
        name = re.sub(r"\.[A-Za-z]+-meta\.xml$", "", parts[-1])
        folder = parts[-2]
        if "main" in parts:
            kind = parts[parts.index("default") + 1]
            folder = parts[-2] if kind == "objects" and len(parts) > parts.index("default") + 4 else kind
        return Component(path, folder, name, etree.fromstring(self.read(path).encode(), PARSER))

    @cached_property
    def fields(self) -> dict[str, dict[str, Component]]:
        """Custom fields by object."""
        found: dict[str, dict[str, Component]] = {}
        for one in self.of("fields"):
            found.setdefault(one.path.split("/")[-3], {})[one.name] = one
        return found

    @cached_property
    def objects(self) -> set[str]:
        """Standard objects that the package may name, and its own."""
        return {one.name for one in self.of("objects") if one.name.endswith(("__c", "__mdt"))} | set(STANDARD_FIELDS)

    def has_field(self, object_name: str, field: str) -> bool:
        """Whether the object has the field."""
        standard = STANDARD_FIELDS.get(object_name, MORE)
        return field in self.fields.get(object_name, {}) or field in standard

    @cached_property
    def relationships(self) -> dict[tuple[str, str], str]:
        """(parent, name of its child list) → child object."""
        found = {(parent, name): name for parent, names in CHILDREN.items() for name in names}
        for object_name, fields in self.fields.items():
            for one in fields.values():
                if one.text("relationshipName"):
                    found[one.text("referenceTo"), one.text("relationshipName") + "__r"] = object_name
        return found

    def scripts(self, folder: str, suffix: str) -> Iterator[tuple[str, str]]:
        """(path, text) of the sources under *folder* that end in *suffix*, without tests."""
        for path in self.paths:
            if f"/{folder}/" in path and path.endswith(suffix) and "__tests__" not in path:
                yield path, self.read(path)
