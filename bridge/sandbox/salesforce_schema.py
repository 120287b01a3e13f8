"""What objects and fields the fake org has: the standard ones and what the package's metadata adds.

``Field``, ``SObjectType``, ``Schema``; ``Schema.load`` reads ``objects/**`` of a Salesforce DX folder, so a field
that the package lacks is unknown here too. Names are looked up without case, as Salesforce does.

Must not know: records, HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from lxml import etree

from bridge.sandbox import salesforce_standard as standard
from bridge.sandbox.salesforce_values import Refused, base62

CUSTOM_TYPES = {
    "Text": "string",
    "TextArea": "textarea",
    "LongTextArea": "textarea",
    "Html": "textarea",
    "Number": "double",
    "Currency": "currency",
    "Percent": "percent",
    "Checkbox": "boolean",
    "Date": "date",
    "DateTime": "datetime",
    "Lookup": "reference",
    "MasterDetail": "reference",
    "Picklist": "picklist",
    "Url": "url",
    "Email": "email",
    "Phone": "phone",
    "AutoNumber": "string",
    "Summary": "double",
}
DEFAULT_LENGTHS = {"TextArea": 255, "Url": 255, "Email": 80, "Phone": 40, "Picklist": 255, "AutoNumber": 30}


@dataclass(frozen=True)
class Summary:
    """A roll-up: *operation* over *summarized* of the children in *child* that point here by *foreign_key*."""

    child: str
    foreign_key: str
    operation: str
    summarized: str | None
    filters: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Field:
    """One field as the describe call tells it."""

    name: str
    label: str
    type: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    required: bool = False
    createable: bool = True
    updateable: bool = True
    unique: bool = False
    external_id: bool = False
    id_lookup: bool = False
    case_sensitive: bool = False
    custom: bool = False
    name_field: bool = False
    restricted: bool = False
    picklist: tuple[str, ...] = ()
    reference_to: str | None = None
    relationship: str | None = None
    child_relationship: str | None = None
    cascade: bool = False
    restrict_delete: bool = False
    default: Any = None
    auto_number: str | None = None
    summary: Summary | None = None
    calculated: bool = False
    formula: str | None = None

    @property
    def is_key(self) -> bool:
        """Records can be named by this field: an external id or an idLookup field."""
        return self.external_id or self.id_lookup

    @property
    def filterable(self) -> bool:
        """Long text cannot be filtered or sorted (SOQL Reference, "WHERE": textarea over 255 characters)."""
        return not (self.type == "textarea" and self.length > 255)


@dataclass
class SObjectType:
    """One object: its fields by lower-case name, and who points at it."""

    name: str
    label: str
    plural: str
    prefix: str
    custom: bool = False
    fields: dict[str, Field] = field(default_factory=dict)
    children: dict[str, tuple[str, str]] = field(default_factory=dict)
    relationships: dict[str, Field] = field(default_factory=dict)
    rules: list[tuple[str, str]] = field(default_factory=list)  # active validation rules: formula and sentence

    def field(self, name: str) -> Field:
        """The field *name*. Raises ``Refused`` INVALID_FIELD."""
        found = self.fields.get(name.lower())
        if found is None:
            raise Refused("INVALID_FIELD", f"No such column '{name}' on sobject of type {self.name}")
        return found

    def copy(self) -> SObjectType:
        return replace(self, **{it: copy(getattr(self, it)) for it in ("fields", "children", "relationships", "rules")})

    def add(self, *fields: Field) -> None:
        """Add or replace fields."""
        for one in fields:
            self.fields[one.name.lower()] = one
            if one.relationship:
                self.relationships[one.relationship.lower()] = one


class Schema:
    """All objects of the org."""

    def __init__(self, *, multi_currency: bool = False) -> None:
        self.multi_currency = multi_currency
        self.root: Path | None = None
        self._types: dict[str, SObjectType] = {}
        for name, (prefix, label, plural, rows) in standard.OBJECTS.items():
            made = SObjectType(name, label, plural, prefix)
            owner = [standard.OWNER] if name in standard.OWNED else []
            made.add(*(_standard_field(name, row) for row in [*_rows(standard.SYSTEM), *owner, *_rows(rows)]))
            self._types[name.lower()] = made

    @classmethod
    def load(cls, metadata_dir: Path, *, multi_currency: bool = False) -> Schema:
        """The standard objects plus ``objects/**`` under *metadata_dir* (or its ``force-app/main/default``).

        Raises FileNotFoundError when there is no such folder, ``ValueError`` for metadata that the fake cannot play.
        """
        places = (metadata_dir, metadata_dir / "force-app" / "main" / "default")
        root = next((place for place in places if (place / "objects").is_dir()), None)
        if root is None:
            raise FileNotFoundError(f"no objects folder in {metadata_dir}")
        files = [it for name in ("objects", "globalValueSets") for it in sorted((root / name).rglob("*.xml"))]
        return _read(root, multi_currency, tuple((str(it), it.stat().st_mtime_ns) for it in files)).copy()

    def copy(self) -> Schema:  # what is added to it is not added to this one
        made = copy(self)
        made._types = {name: it.copy() for name, it in self._types.items()}
        return made

    @classmethod
    def read(cls, root: Path, *, multi_currency: bool) -> Schema:
        """Read the metadata in *root* anew; see `load`."""
        schema = cls(multi_currency=multi_currency)
        schema.root = root
        folders = [f for f in sorted((root / "objects").iterdir()) if f.is_dir()]
        # Custom metadata types and platform events are not records of the data API that the bridge reads.
        folders = [f for f in folders if not f.name.endswith(("__mdt", "__e"))]
        for number, folder in enumerate(f for f in folders if f.name.endswith("__c")):
            schema._types[folder.name.lower()] = _custom_object(folder, prefix="a" + base62(number, 2))
        for folder in folders:
            owner = schema._types.get(folder.name.lower())
            if owner is None:
                raise ValueError(f"the fake Salesforce does not know the standard object {folder.name}")
            for path in sorted(folder.glob("fields/*.field-meta.xml")):
                owner.add(_custom_field(owner.name, etree.parse(path, _parser()).getroot(), root))
            for path in sorted(folder.glob("validationRules/*.validationRule-meta.xml")):
                rule = etree.parse(path, _parser()).getroot()
                if _first(rule, "active") == "true":
                    owner.rules.append((_first(rule, "errorConditionFormula"), _first(rule, "errorMessage")))
        schema._finish()
        return schema

    def __iter__(self) -> Iterator[SObjectType]:
        return iter(self._types.values())

    def type(self, name: str) -> SObjectType:
        """The object *name*. Raises ``Refused`` NOT_FOUND with status 404."""
        found = self._types.get(name.lower())
        if found is None:
            raise Refused("NOT_FOUND", "The requested resource does not exist", status=404)
        return found

    def get(self, name: str) -> SObjectType | None:
        """The object *name*, or None."""
        return self._types.get(name.lower())

    def by_prefix(self, record_id: str) -> SObjectType | None:
        """The object whose ids start like *record_id*."""
        return next((one for one in self if one.prefix == record_id[:3]), None)

    def _finish(self) -> None:
        for one in self:
            if self.multi_currency and one.name != "Organization":
                code = Field("CurrencyIsoCode", "Currency ISO Code", "picklist", 255, restricted=True, default="USD")
                one.add(replace(code, picklist=("USD", "EUR", "CAD")))
            for made in one.fields.values():
                if made.reference_to is None:
                    continue
                parent = self.get(made.reference_to)
                if parent is None:
                    raise ValueError(f"{one.name}.{made.name} points at the unknown object {made.reference_to}")
                if made.child_relationship:
                    parent.children[made.child_relationship.lower()] = (one.name, made.name)
        for one in self:
            for made in list(one.fields.values()):
                if made.summary:
                    one.add(_checked_summary(self, one, made))


@lru_cache(maxsize=4)
def _read(root: Path, multi_currency: bool, stamps: tuple[tuple[str, int], ...]) -> Schema:
    """Read the metadata in *root* once for as long as its files stay as they are: that takes longer than a test."""
    return Schema.read(root, multi_currency=multi_currency)


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True)


def _rows(text: str) -> list[str]:
    return [line for line in text.strip().splitlines() if line]


def _standard_field(owner: str, row: str) -> Field:
    cells = row.split("|") + [""] * 8
    name, kind, size, flags, label = cells[:5]
    whole, _, scale = size.partition(".")
    is_number = kind in ("double", "currency", "percent", "int")
    target, values = (cells[5] or None, ()) if kind == "reference" else (None, tuple(filter(None, cells[6].split(";"))))
    return Field(
        name,
        label,
        kind,
        length=18 if kind in ("reference", "id") else 0 if is_number else int(whole or 0),
        precision=int(whole) if is_number else 0,
        scale=int(scale or 0),
        required="!" in flags,
        createable="r" not in flags,
        updateable="r" not in flags and "c" not in flags,
        unique="u" in flags,
        id_lookup="i" in flags,
        name_field="n" in flags,
        picklist=values,
        reference_to=target,
        relationship=(cells[6] or None) if target else None,
        child_relationship=(cells[7] or None) if target else None,
        cascade=(owner, name) in standard.CASCADES,
        default=(name == "IsActive") if kind == "boolean" else None,
    )


def _texts(node: Any, path: str) -> list[str]:
    return [found.text or "" for found in node.iterfind("/".join(f"{{*}}{step}" for step in path.split("/")))]


def _first(node: Any, path: str, default: str = "") -> str:
    return next(iter(_texts(node, path)), default).strip()


def _custom_object(folder: Path, *, prefix: str) -> SObjectType:
    node = etree.parse(folder / f"{folder.name}.object-meta.xml", _parser()).getroot()
    made = SObjectType(
        folder.name, _first(node, "label", folder.name), _first(node, "pluralLabel", folder.name), prefix, custom=True
    )
    made.add(*(_standard_field(folder.name, row) for row in _rows(standard.SYSTEM)))
    if _first(node, "sharingModel") != "ControlledByParent":
        made.add(_standard_field(folder.name, standard.OWNER))  # a detail record has no owner of its own
    label = _first(node, "nameField/label", "Name")
    numbering = None
    if _first(node, "nameField/type") == "AutoNumber":
        numbering = _first(node, "nameField/displayFormat", "{0}")
    made.add(
        Field(
            "Name",
            label,
            "string",
            80,
            # A custom object's text name may be left out: the platform puts the record id (Object Reference, "Name").
            name_field=True,
            id_lookup=True,
            createable=numbering is None,
            updateable=numbering is None,
            auto_number=numbering,
        )
    )
    return made


def _custom_field(owner: str, node: Any, root: Path) -> Field:
    name, kind = _first(node, "fullName"), _first(node, "type")
    if kind not in CUSTOM_TYPES and not _first(node, "formula"):
        # Standard fields are extended by files without a type (history tracking, value sets); nothing to add.
        if not name.endswith("__c"):
            return _standard_extension(owner, name)
        raise ValueError(f"the fake Salesforce does not know the type {kind!r} of {owner}.{name}")
    if not name.endswith("__c"):
        return _standard_extension(owner, name)
    is_detail = kind == "MasterDetail"
    formula = bool(_first(node, "formula")) and kind != "Summary"
    calculated = formula or kind in ("Summary", "AutoNumber")
    values, restricted = _picklist(node, root) if kind == "Picklist" else ((), False)
    numeric = kind in ("Number", "Currency", "Percent", "Summary")
    return Field(
        name,
        _first(node, "label", name),
        CUSTOM_TYPES[kind],
        length=int(_first(node, "length", "0") if not numeric else 0)
        or (18 if CUSTOM_TYPES[kind] == "reference" else DEFAULT_LENGTHS.get(kind, 0)),
        precision=int(_first(node, "precision", "18")) if numeric else 0,
        scale=int(_first(node, "scale", "0")) if numeric else 0,
        required=_first(node, "required") == "true" or is_detail,
        createable=not calculated,
        updateable=not calculated and (not is_detail or _first(node, "reparentableMasterDetail") == "true"),
        unique=_first(node, "unique") == "true",
        external_id=_first(node, "externalId") == "true",
        case_sensitive=_first(node, "caseSensitive") == "true",
        custom=True,
        restricted=restricted,
        picklist=values,
        reference_to=_first(node, "referenceTo") or None,
        relationship=name[:-1] + "r" if CUSTOM_TYPES[kind] == "reference" else None,
        child_relationship=(_first(node, "relationshipName") + "__r") if _first(node, "relationshipName") else None,
        cascade=is_detail or _first(node, "deleteConstraint") == "Cascade",
        restrict_delete=_first(node, "deleteConstraint") == "Restrict",
        default=_default(kind, _first(node, "defaultValue")),
        auto_number=_first(node, "displayFormat", "{0}") if kind == "AutoNumber" else None,
        summary=_summary(node) if kind == "Summary" else None,
        calculated=calculated,
        formula=_first(node, "formula") if formula else None,
    )


def _standard_extension(owner: str, name: str) -> Field:
    for row in _rows(standard.OBJECTS.get(owner, ("", "", "", ""))[3]):
        if row.split("|")[0].lower() == name.lower():
            return _standard_field(owner, row)
    raise ValueError(f"the fake Salesforce does not know the standard field {owner}.{name}")


def _default(kind: str, text: str) -> Any:
    if kind == "Checkbox":
        return text.lower() == "true"
    if not text:
        return None
    if kind in ("Number", "Currency", "Percent"):
        return Decimal(text)
    if kind == "Text" and len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if kind == "Picklist":
        return text.strip("\"'")
    raise ValueError(f"the fake Salesforce cannot work out the default formula {text!r}")


def _picklist(node: Any, root: Path) -> tuple[tuple[str, ...], bool]:
    shared = _first(node, "valueSet/valueSetName")
    if shared:
        path = root / "globalValueSets" / f"{shared}.globalValueSet-meta.xml"
        # A global value set is always restricted (Metadata API Guide, "GlobalValueSet").
        return tuple(_texts(etree.parse(path, _parser()).getroot(), "customValue/fullName")), True
    values = tuple(_texts(node, "valueSet/valueSetDefinition/value/fullName"))
    return values, _first(node, "valueSet/restricted") == "true"


def _summary(node: Any) -> Summary:
    child, _, foreign_key = _first(node, "summaryForeignKey").partition(".")
    filters = tuple(
        (_first(item, "field").partition(".")[2], _first(item, "operation"), _first(item, "value"))
        for item in node.iterfind("{*}summaryFilterItems")
    )
    summarized = _first(node, "summarizedField").partition(".")[2] or None
    return Summary(child, foreign_key, _first(node, "summaryOperation"), summarized, filters)


def _checked_summary(schema: Schema, owner: SObjectType, made: Field) -> Field:
    summary = made.summary
    assert summary is not None
    child = schema.get(summary.child)
    named = [summary.foreign_key, *(f for f, _, _ in summary.filters), *filter(None, [summary.summarized])]
    if child is None or any(name.lower() not in child.fields for name in named):
        raise ValueError(f"the roll-up {owner.name}.{made.name} names a field that does not exist")
    if summary.operation not in ("count", "sum"):
        raise ValueError(f"the fake Salesforce does not know the roll-up operation {summary.operation!r}")
    if summary.summarized:
        source = child.field(summary.summarized)
        return replace(made, type=source.type if source.type == "currency" else "double", scale=source.scale)
    return replace(made, scale=0)
