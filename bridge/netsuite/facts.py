"""What the bindings say of a record's fields, in the words of the port: for checking a mapping, never for sending.

Must not know: HTTP, values.
"""

from __future__ import annotations

from bridge.errors import Misconfigured
from bridge.netsuite.kinds import CUSTOM_RECORD, kind_of
from bridge.netsuite.shapes import Field, Holds
from bridge.netsuite.wsdl import Bindings
from bridge.ports import Fact

WORDS = {
    Holds.TEXT: "text", Holds.DECIMAL: "number", Holds.WHOLE: "number", Holds.FLAG: "flag", Holds.TIME: "time",
    Holds.CHOICE: "choice", Holds.REF: "reference", Holds.LIST: "list",
}  # fmt: skip


def facts(bindings: Bindings, kind_name: str) -> dict[str, Fact] | None:
    """Return the fields of a record, those of its lines as ``itemList.item``; None for a kind the set does not hold.

    A custom record's fields are the account's own, and in no schema.
    """
    kind = kind_of(kind_name)
    if kind is None or kind is CUSTOM_RECORD:
        return None
    try:
        shape = bindings.shape(kind)
    except Misconfigured:
        return None
    found: dict[str, Fact] = {}
    for name, field in shape.fields.items():
        found[name] = _fact(name, field)
        if field.holds is Holds.LIST:
            holder = bindings.shapes.shape(field.type)
            row = holder.repeated if holder is not None else None
            line = bindings.shapes.shape(row.type) if row is not None else None
            for inner, one in (line.fields if line is not None else {}).items():
                found[f"{name}.{inner}"] = _fact(f"{name}.{inner}", one)
    return found


def _fact(name: str, field: Field) -> Fact:
    return Fact(name, WORDS.get(field.holds, "other"), field.choices)
