"""What NetSuite allows in a write, and what it makes of it. A refusal is one status code with one sentence.

``Rules.write`` works on a draft: a refused write leaves nothing behind. Sources: Oracle help page ids, or "assumption".

Must not know: XML, HTTP, operations other than write.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from bridge.sandbox.netsuite_kinds import KINDS, LENGTHS, REFERENCES, Kind, Lines
from bridge.sandbox.netsuite_schema import XSD, CustomValue, RefValue, Schema, Sublist
from bridge.sandbox.netsuite_store import Custom, Line, Link, Store, Stored, midnight

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CENT = Decimal("0.01")
JAVA_SCIENTIFIC = Decimal(10) ** 7  # Double.toString turns to 1.0E7 here, and Axis writes doubles with it (assumption)
EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")


class Refusal(Exception):
    """The record is refused with *code*; nothing was written."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class NotSimulated(Exception):
    """A real NetSuite may do this; the fake cannot, and says so instead of pretending."""


@dataclass(slots=True)
class Incoming:
    """A record as a request sends it."""

    kind: Kind
    subtype: str
    internal_id: str | None
    external_id: str | None
    fields: dict[str, Any]


@dataclass(slots=True)
class Draft:
    """What a record will be once the write is accepted. *sent* holds the names of the fields that were written."""

    kind: Kind
    record: Stored
    is_new: bool
    fields: dict[str, Any]
    lists: dict[str, list[Line]]
    custom: dict[str, Custom]
    sent: set[str] = field(default_factory=set)
    last_line: int = 0


def double(value: Decimal) -> str:
    """An xsd:double as Java writes it."""
    if abs(value) >= JAVA_SCIENTIFIC:
        digits = value.normalize().as_tuple()
        text = "".join(map(str, digits.digits))
        exponent = len(text) - 1 + int(digits.exponent)
        return f"{'-' if digits.sign else ''}{text[0]}.{text[1:] or '0'}E{exponent}"
    text = format(value.normalize(), "f")
    return text if "." in text else text + ".0"


def money(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)


class Rules:
    """Turns incoming records into stored ones, or refuses them."""

    def __init__(self, schema: Schema, store: Store) -> None:
        self.schema, self.store = schema, store

    def resolve(self, value: RefValue, targets: Sequence[str], label: str) -> Link:
        """What *value* points at, or INVALID_KEY_OR_REF (section_N3539978). internalId wins (section_N3432681)."""
        key = value.internal_id or value.external_id or ""
        for kind in targets:
            record = None
            if value.internal_id:
                record = self.store.get(kind, value.internal_id)
            elif value.external_id:
                record = self.store.find(self.store.group(kind), value.external_id)
            # A type attribute that contradicts the record is not forgiven (assumption).
            if record is not None and record.kind == kind and (value.type in (None, kind) or value.type not in KINDS):
                return record.link
        raise Refusal("INVALID_KEY_OR_REF", f"Invalid {label} reference key {key}.")

    def draft(self, incoming: Incoming, existing: Stored | None, *, ignore_read_only: bool = False) -> Draft:
        """Apply the sent fields to a copy of *existing* or to an empty record.

        An omitted field stays, an empty element blanks it, nullFieldList clears (section_N3527090, section_N3438152).
        """
        kind = incoming.kind
        record = existing or self.store.new(kind.name, subtype=incoming.subtype)
        draft = Draft(
            kind,
            record,
            existing is None,
            dict(record.fields),
            {name: [dict(line) for line in lines] for name, lines in record.lists.items()},
            dict(record.custom),
            last_line=record.last_line,
        )
        types = self.schema.type_named(kind.type)
        if types is None:
            raise NotSimulated(f"{kind.type}, which is not in this schema")
        for name, value in incoming.fields.items():
            if name == "nullFieldList":
                continue
            if name in kind.read_only:
                if ignore_read_only:
                    continue
                raise Refusal(
                    "INSUFFICIENT_PERMISSION",
                    f"You do not have permissions to set a value for element {name}: the field is read-only.",
                )
            draft.sent.add(name)
            if isinstance(value, Sublist):
                rule = kind.lists.get(name)
                if rule is None:
                    raise NotSimulated(f"the sublist {name} of {kind.name}")
                self._merge(draft, name, rule, value, self.schema.types[types.by_name[name].type].fields[0].type)
            elif name == "customFieldList":
                self._custom(draft.custom, value, incoming.subtype or kind.name)
            else:
                self._set(draft.fields, name, value, types.by_name[name].type, kind)
        for name in incoming.fields.get("nullFieldList", ()):
            draft.fields.pop(name, None)
            draft.custom.pop(name, None)
            draft.sent.add(name)
        return draft

    def save(self, draft: Draft, external_id: str | None) -> Stored:
        """Make *draft* the record."""
        record = draft.record
        renamed = not draft.is_new and record.name != Stored(record.kind, record.id, record.created, record.created,
                                                             fields=draft.fields).name  # fmt: skip
        self._index_names(record, draft.fields)
        for line in (line for lines in draft.lists.values() for line in lines):
            line.pop("_sent", None)
        record.fields, record.lists, record.custom = draft.fields, draft.lists, draft.custom
        record.last_line = draft.last_line
        if external_id is not None and external_id != record.external_id:
            self.store.set_external_id(record, external_id)
        if draft.is_new:
            self.store.add(record)
        else:
            self.store.changed(record)
        if renamed:
            self.store.renames += 1
        return record

    def check_company(self, draft: Draft, entity: Stored) -> None:
        """Subsidiary and currency follow the entity and must be its own (section_N3658677; OneWorld)."""
        fields = draft.fields
        own = entity.fields.get("subsidiary")
        if fields.setdefault("subsidiary", own) != own:
            raise Refusal("INVALID_KEY_OR_REF", f"Invalid subsidiary reference key {fields['subsidiary'].id}.")
        currencies = [line["currency"] for line in entity.lists.get("currencyList", []) if "currency" in line]
        currency: Link = fields.setdefault("currency", entity.fields["currency"])
        if currency not in currencies:
            raise Refusal("INVALID_KEY_OR_REF", f"Invalid currency reference key {currency.id}.")

    def check_period(self, fields: Mapping[str, Any], side: str = "ar") -> None:
        """Nothing is posted into a period that is closed, or locked for *side* (section_N3539978: CLOSED_TRAN_PRD).

        That orders, which post nothing, are refused like the rest: assumption.
        """
        period = self.store.periods.get(midnight(fields["tranDate"])[:7])
        if period is None:
            raise Refusal("VALID_PRD_REQD", "There is no accounting period for this date.")
        if "true" in (period.fields.get(name) for name in ("closed", "allLocked", f"{side}Locked")):
            raise Refusal("CLOSED_TRAN_PRD", "The accounting period of this date is closed.")

    def check_required(self, draft: Draft) -> None:
        """The form's mandatory fields in one sentence (section_N3539978)."""
        missing = [label for name, label in draft.kind.required.items() if not draft.fields.get(name)]
        if missing:
            raise Refusal("USER_ERROR", f"Please enter value(s) for: {', '.join(missing)}")

    def check_entity(self, draft: Draft) -> None:
        """Names, subsidiary and currencies of a customer or vendor."""
        fields, record = draft.fields, draft.record
        person = fields.get("isPerson") == "true"
        full_name = " ".join(filter(None, (fields.get("firstName"), fields.get("lastName"))))
        if person and full_name:
            fields.setdefault("companyName", full_name)
        self.check_required(draft)
        # Auto-numbering of entities is off, so the id is the name when it is made (assumption; section_N3639940).
        fields["entityId"] = fields.get("entityId") or (full_name if person else fields["companyName"])
        self._check_name(draft)
        had = record.fields.get("subsidiary")
        has_transactions = self.store.with_transactions.get(record.id, 0) > 0
        if had and had != fields["subsidiary"] and has_transactions:
            raise Refusal("CANT_MODIFY_SUB", "The subsidiary cannot be changed because transactions exist.")
        base = Link("currency", "1")
        currency = fields.setdefault("currency", base)
        if record.fields.get("currency") not in (None, currency) and has_transactions:
            raise Refusal("USER_ERROR", "The primary currency cannot be changed because transactions exist.")
        lines = draft.lists.setdefault("currencyList", [])
        if "currencyList" not in draft.sent and "currency" in draft.sent:
            lines[:] = [line for line in lines if line["currency"] != record.fields.get("currency")]
        if not any(line.get("currency") == currency for line in lines):
            lines.insert(0, {"currency": currency})
        if draft.kind.name == "customer":
            # A new customer without a stage is a customer, and one with transactions stays one (assumption).
            fields.setdefault("stage", "_customer")
            if has_transactions and record.fields.get("stage") == "_customer":
                fields["stage"] = "_customer"

    def check_contact(self, draft: Draft) -> None:
        """A contact's name is unique within its company (section_N3539978: CONTACT_ALREADY_EXISTS)."""
        fields, record = draft.fields, draft.record
        full_name = " ".join(filter(None, (fields.get("firstName"), fields.get("lastName"))))
        if not fields.get("entityId") and full_name:
            fields["entityId"] = full_name
        self.check_required(draft)
        other = self.store.contact_names.get(_contact_key(fields))
        if other is not None and other is not record:
            raise Refusal(
                "CONTACT_ALREADY_EXISTS",
                "A contact record with this name already exists. Every contact record must have a unique name.",
            )

    def _check_name(self, draft: Draft) -> None:
        """Entity names are unique over customers, vendors, employees … (section_N3539978)."""
        name, record = draft.fields["entityId"].lower(), draft.record
        other = self.store.entity_names.get(name)
        if other is not None and other is not record:
            if other.kind != record.kind:
                raise Refusal("DUP_ENTITY", "This entity already exists.")
            if record.kind == "vendor":
                raise Refusal("DUP_VENDOR_NAME", "A vendor with this name already exists. Vendor names must be unique.")
            raise Refusal("UNIQUE_CUST_ID_REQD", "A customer record with this ID already exists.")

    def _index_names(self, record: Stored, fields: Mapping[str, Any]) -> None:
        if record.kind == "contact":
            names: dict[Any, Stored] = self.store.contact_names
            old: Any = _contact_key(record.fields)
            new: Any = _contact_key(fields)
        elif record.kind in ("customer", "vendor"):
            names = self.store.entity_names
            old, new = str(record.fields.get("entityId", "")).lower(), fields["entityId"].lower()
        else:
            return
        if old != new and names.get(old) is record:
            del names[old]
        names[new] = record

    def _set(self, fields: dict[str, Any], name: str, value: Any, type_: str, kind: Kind) -> None:
        if isinstance(value, RefValue):
            if not value.internal_id and not value.external_id:
                fields.pop(name, None)  # an empty reference blanks the field (section_N3527090)
                return
            fields[name] = self.resolve(value, kind.refs.get(name) or REFERENCES.get(name, ()), name)
        elif isinstance(value, str):
            if value == "":
                fields.pop(name, None)
            else:
                fields[name] = self._text(name, value, type_)
        else:
            raise NotSimulated(f"the field {name} of {kind.name}")

    def _text(self, name: str, value: str, type_: str) -> str:
        local = type_.rpartition("}")[2] if type_.startswith(XSD) else ""
        if local == "boolean":
            return "true" if value in ("true", "1") else "false"
        if local == "double":
            return double(Decimal(value))
        if local == "long":
            return str(int(value))
        if local == "dateTime":
            return midnight(value)
        limit = LENGTHS.get(name)
        if limit and len(value) > limit:
            raise Refusal(
                "EXCEEDED_MAX_FIELD_LENGTH",
                f"The field {name} contained more than the maximum number ( {limit} ) of characters allowed.",
            )
        if name == "email" and not EMAIL.match(value):
            raise Refusal("INVALID_FLD_VALUE", f"Invalid email address: {value}")
        return value

    def _merge(self, draft: Draft, name: str, rule: Lines, sent: Sublist, line_type: str) -> None:
        """Sublist semantics (section_N3441570).

        replaceAll true: a line with a known key is updated, the others go, lines without one are made anew and get
        NEW line numbers. False: merge by key, everything else is added, so a repeated request adds lines again.
        """
        lines = draft.lists.get(name, [])
        known = {str(line[rule.key]): line for line in lines if rule.key in line}
        result: list[Line] = [] if sent.replace_all else lines
        seen: set[str] = set()
        type_ = self.schema.types[line_type]
        for row in sent.lines:
            line: Line = {}
            values: dict[str, Any] = {}
            for item, value in row.items():
                if item == "customFieldList":
                    line["_custom"] = dict(line.get("_custom", {}))
                    self._custom(line["_custom"], value, "column")
                else:
                    self._set(values, item, value, type_.by_name[item].type, draft.kind)
            key = str(values.get(rule.key, ""))
            if key and key in seen:
                raise Refusal("USER_ERROR", f"The line with {rule.key} {key} was sent twice.")
            seen.add(key)
            existing = known.get(key) if key else None
            if existing is not None:
                for blank in [item for item, value in row.items() if value == ""]:
                    existing.pop(blank, None)
                line = existing
                if sent.replace_all:
                    result.append(line)
            else:
                if rule.key == "line":
                    draft.last_line += 1
                    values["line"] = str(draft.last_line)
                result.append(line)
            line.update(values)
            line["_sent"] = frozenset(values)
        draft.lists[name] = result

    def _custom(self, custom: dict[str, Custom], sent: Sequence[CustomValue], owner: str) -> None:
        """Custom fields: identified by script id, and the xsi:type must be the field's (section_N3438152)."""
        for value in sent:
            definition = self.store.custom_fields.get(value.script_id or "")
            if definition is None or owner not in definition.kinds:
                raise Refusal(
                    "INVALID_CSTM_FIELD_REF",
                    f"The custom field {value.script_id or value.internal_id} is not defined for this record.",
                )
            if value.type != definition.type:
                raise Refusal(
                    "INVALID_CSTM_FIELD_DATA_TYP",
                    f"The custom field {definition.script_id} is a {definition.type}, not a {value.type}.",
                )
            values: list[str | Link] = []
            for item in value.values:
                if isinstance(item, RefValue):
                    if item.internal_id or item.external_id:
                        plain = RefValue(item.internal_id, item.external_id)
                        values.append(self.resolve(plain, definition.selects, definition.script_id))
                elif item != "":
                    values.append(self._text(definition.script_id, item, _value_type(definition.type)))
            if values:
                custom[definition.script_id] = Custom(definition.type, tuple(values))
            else:
                custom.pop(definition.script_id, None)


def _contact_key(fields: Mapping[str, Any]) -> tuple[str, str]:
    company = fields.get("company")
    return (company.id if company else "", str(fields.get("entityId", "")).lower())


def _value_type(type_: str) -> str:
    local = {"Double": "double", "Long": "long", "Boolean": "boolean", "Date": "dateTime"}
    return XSD + local.get(type_.removesuffix("CustomFieldRef"), "string")


def decimal(fields: Mapping[str, Any], name: str) -> Decimal:
    """A number field, 0 when absent."""
    return Decimal(fields.get(name) or "0")
