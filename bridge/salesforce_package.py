"""The Salesforce package, seen from the mapping: the field list that Apex watches and sends, and the zip to deploy.

`compare` and `write` keep ``Bridge_Field`` records equal to what the mapping reads, so that a new field is one line in
``bridge.toml`` and one deployed record. `pack` turns the source format into the metadata format that a deployment
sends; `scripts/check-salesforce` compares the same conversion with Salesforce's own.

Must not know: any system's protocol, SQL.

Source: Metadata API Developer Guide, "Metadata Types"; Salesforce DX Developer Guide, "Project Structure and Source
Format": an object's fields, list views and rules are files of their own there, but elements of one deployed file.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, unescape

from bridge.mapping import Syncs
from bridge.ports import Fact

SOURCE = Path("force-app") / "main" / "default"
LINES = "OpportunityLineItem"  # what the mapping calls Lines
DYNAMIC = ("CurrencyIsoCode",)  # absent in an organisation with one currency, so Apex looks before it asks
NOT_SENT = ("Id", "SystemModstamp", "Bridge_Version__c")  # every record carries these anyway
META = "-meta.xml"
# Folders of one object and one translation, whose files become elements of the one file.
PARTS = {
    "fields": "fields",
    "listViews": "listViews",
    "validationRules": "validationRules",
    "compactLayouts": "compactLayouts",
    "recordTypes": "recordTypes",
    "webLinks": "webLinks",
    "fieldSets": "fieldSets",
    "indexes": "indexes",
}

RECORD = """<?xml version="1.0" encoding="UTF-8" ?>
<CustomMetadata xmlns="http://soap.sforce.com/2006/04/metadata" \
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">
    <label>{label}</label>
    <protected>false</protected>
    <values>
        <field>Active__c</field>
        <value xsi:type="xsd:boolean">true</value>
    </values>
    <values>
        <field>Dynamic__c</field>
        <value xsi:type="xsd:boolean">{dynamic}</value>
    </values>
    <values>
        <field>Field__c</field>
        <value xsi:type="xsd:string">{field}</value>
    </values>
    <values>
        <field>Object__c</field>
        <value xsi:type="xsd:string">{object}</value>
    </values>
</CustomMetadata>
"""

Field = tuple[str, str]  # object, field


@dataclass(frozen=True, slots=True)
class Differences:
    """How mapping and package differ. *missing* is read and not sent, *extra* sent and not read, *unknown* nowhere."""

    missing: tuple[Field, ...]
    extra: tuple[Field, ...]
    unknown: tuple[Field, ...]

    @property
    def is_wrong(self) -> bool:
        """Say whether a record would arrive without a field that the mapping needs."""
        return bool(self.missing or self.unknown)


def needed(syncs: Syncs) -> list[Field]:
    """List the fields that the mapping reads and Apex must therefore watch and send."""
    found: dict[Field, None] = {}
    for kind in dict.fromkeys(push.source for push in syncs.pushes.values()):
        for name in syncs.reads(kind):
            child, _, part = name.partition(".")
            field = (LINES, part) if part and child == "Lines" else (kind, name)
            if field[1] not in NOT_SENT:
                found[field] = None
    return sorted(found)


def listed(project: Path) -> list[Field]:
    """List the fields that the package's ``Bridge_Field`` records name."""
    return sorted(_listed(path) for path in (project / SOURCE / "customMetadata").glob("Bridge_Field.*.md-meta.xml"))


def _listed(path: Path) -> Field:
    text = path.read_text(encoding="utf-8")
    found = dict(re.findall(r"<field>(\w+)</field>\s*<value[^>]*>([^<]*)</value>", text))
    return found["Object__c"], found["Field__c"]


def compare(project: Path, syncs: Syncs) -> Differences:
    """Compare the mapping with the package's field list and with the fields that its objects define."""
    wanted, there = set(needed(syncs)), set(listed(project))
    custom = {name for name in wanted if name[1].endswith("__c")}
    defined = {(path.parts[-3], path.name.removesuffix(f".field{META}")) for path in _field_files(project)}
    return Differences(tuple(sorted(wanted - there)), tuple(sorted(there - wanted)), tuple(sorted(custom - defined)))


def _field_files(project: Path) -> Iterator[Path]:
    return (project / SOURCE / "objects").glob(f"*/fields/*.field{META}")


TYPES = {
    "Currency": "number", "Number": "number", "Percent": "number", "Summary": "number", "Checkbox": "flag",
    "Date": "day", "DateTime": "time", "Picklist": "choice", "Lookup": "reference", "MasterDetail": "reference",
}  # fmt: skip


def facts(project: Path, kind: str) -> dict[str, Fact]:
    """Return what the package says of the custom fields of *kind*, those of its lines as ``Lines.Fee_Type__c``."""
    found: dict[str, Fact] = {}
    for path in _field_files(project):
        owner, prefix = path.parts[-3], ""
        if owner == LINES and kind == "Opportunity":
            prefix = "Lines."
        elif owner != kind:
            continue
        text = path.read_text(encoding="utf-8")
        name = prefix + path.name.removesuffix(f".field{META}")
        told = re.search(r"^    <type>(\w+)</type>", text, re.MULTILINE)
        length = re.search(r"<length>(\d+)</length>", text)
        choices = re.findall(r"<value>\s*<fullName>([^<]+)</fullName>", text)
        holds = TYPES.get(told[1] if told else "", "text")
        found[name] = Fact(name, holds, frozenset(map(unescape, choices)), int(length[1]) if length else None)
    return found


def record_file(field: Field) -> tuple[str, str]:
    """Return the name and the text of the ``Bridge_Field`` record of *field*.

    The record is named ``<Object>_<Field>``, without ``__c``: a developer name may not hold two underscores in a row.
    """
    kind, name = field
    label = f"{kind.removesuffix('__c')}_{name.removesuffix('__c')}"
    dynamic = "true" if name in DYNAMIC else "false"
    text = RECORD.format(label=escape(label), dynamic=dynamic, field=escape(name), object=escape(kind))
    return f"Bridge_Field.{label}.md{META}", text


def write(project: Path, syncs: Syncs, *, prune: bool = False) -> list[str]:
    """Write the records that are missing, with *prune* also delete those that nothing reads; return the file names."""
    differences, folder = compare(project, syncs), project / SOURCE / "customMetadata"
    changed = []
    for field in differences.missing:
        name, text = record_file(field)
        (folder / name).write_text(text, encoding="utf-8")
        changed.append(name)
    for field in differences.extra if prune else ():
        name, _ = record_file(field)
        (folder / name).unlink()
        changed.append(name)
    return changed


def package_xml(project: Path, members: list[Field]) -> str:
    """Return the package's manifest with the ``Bridge_Field`` records of *members* instead of those it names."""
    text = (project / "manifest" / "package.xml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "<members>Bridge_Field." not in line]
    place = next(n for n, line in enumerate(lines) if "<members>Bridge_Setting." in line)
    names = [record_file(field)[0].removesuffix(f".md{META}") for field in members]
    lines[place:place] = [f"        <members>{name}</members>" for name in sorted(names)]
    return "\n".join(lines) + "\n"


def pack(project: Path, target: Path) -> list[str]:
    """Write a zip that a deployment takes as it is, and return the names in it."""
    members = {**dict(_members(project / SOURCE)), "package.xml": package_xml(project, listed(project)).encode()}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(members):
            # A fixed time makes equal content an equal file.
            archive.writestr(zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0)), members[name])
    return sorted(members)


def _members(source: Path) -> Iterator[tuple[str, bytes]]:
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        if folder.name in ("objects", "objectTranslations"):
            for one in sorted(path for path in folder.iterdir() if path.is_dir()):
                yield from _merged(folder.name, one)
        else:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                name = _deployed(folder, path)
                if name is not None:
                    yield name, path.read_bytes()


def _deployed(folder: Path, path: Path) -> str | None:
    """Return where a file of the source format lies in a deployment; None for what stays behind."""
    relative = path.relative_to(folder)
    if "__tests__" in relative.parts or path.suffix == ".md":
        return None
    if folder.name == "lwc":
        return f"lwc/{relative.as_posix()}"
    if folder.name in ("classes", "triggers"):
        return f"{folder.name}/{path.name}"  # no folders there
    if path.name.endswith(f".reportFolder{META}"):
        return f"reports/{path.name.removesuffix(f'.reportFolder{META}')}{META}"
    return f"{folder.name}/{relative.as_posix().removesuffix(META)}"


def _merged(kind: str, folder: Path) -> Iterator[tuple[str, bytes]]:
    root, suffix, own = (
        ("CustomObject", "object", folder / f"{folder.name}.object{META}")
        if kind == "objects"
        else ("CustomObjectTranslation", "objectTranslation", folder / f"{folder.name}.objectTranslation{META}")
    )
    parts = [_inside(own.read_text(encoding="utf-8"))] if own.exists() else []
    for path in sorted(path for path in folder.rglob(f"*{META}") if path != own):
        element = PARTS[path.parent.name] if kind == "objects" else "fields"
        parts.append(f"    <{element}>\n{_inside(path.read_text(encoding='utf-8'))}\n    </{element}>")
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    body = "\n".join(part for part in parts if part.strip())
    text = f'{head}<{root} xmlns="http://soap.sforce.com/2006/04/metadata">\n{body}\n</{root}>\n'
    yield f"{kind}/{folder.name}.{suffix}", text.encode()


def _inside(text: str) -> str:
    """Return what stands between the root element's tags. The files are ours, checked against the schema."""
    found = re.search(r"<(\w+)\s[^>]*xmlns=[^>]*?(?:/>|>(.*)</\1>)", text, re.DOTALL)
    if found is None:
        raise ValueError("a metadata file has no root element")
    return (found[2] or "").strip("\n").rstrip()
