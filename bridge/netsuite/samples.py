"""An invented record of a kind in which every field is filled, as plain values: to try code out on.

Must not know: HTTP, what the record is tried on.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from bridge.netsuite.inventory import PLAIN, Inventory, Member, Name
from bridge.netsuite.kinds import kind_of
from bridge.ports import Ref

_PLAIN: dict[str, Any] = {
    "boolean": True,
    "double": Decimal(1),
    "decimal": Decimal(1),
    "float": Decimal(1),
    "long": 1,
    "int": 1,
    "integer": 1,
    "dateTime": datetime(2026, 1, 2, 8, 0, tzinfo=UTC),
}
_REFERENCES = ("RecordRef", "CustomRecordRef", "BaseRef", "ListOrRecordRef")


def sample(inventory: Inventory, kind: str) -> dict[str, Any]:
    """Return a record of *kind* with a value in every field that *inventory* has; empty for an unknown kind."""
    found = kind_of(kind)
    name = inventory.named(found.namespace, found.type) if found else None
    if name is None:
        return {}
    return {"internalId": "1", **_fields(inventory, name, depth=2)}


def _fields(inventory: Inventory, name: Name, depth: int) -> dict[str, Any]:
    values = {it.name: _value(inventory, it, depth) for it in inventory.members(name)}
    return {name: value for name, value in values.items() if value is not None}


def _value(inventory: Inventory, member: Member, depth: int) -> Any:
    space, local = member.type
    if space == PLAIN:
        return _PLAIN.get(local, "1")
    if local in _REFERENCES:
        return Ref(member.name, id="1", name="One")
    known = inventory.types.get(member.type)
    if known is not None and known.simple:
        return known.values[0] if known.values else "1"
    line = inventory.line_of(member.type)
    if line is None or depth == 0 or local == "CustomFieldList":
        return None
    if line.type[1] in _REFERENCES:
        return [Ref(line.name, id="1", name="One")]
    return [_fields(inventory, line.type, depth - 1)]
