"""What Salesforce says its objects are: fields with their types, parents and child lists, asked once and kept.

``Shapes.of`` gives an object's ``Shape``; nothing enters a query that is not in one.

Must not know: SOQL, values.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from bridge.errors import Misconfigured
from bridge.ports import Fact
from bridge.salesforce import faults
from bridge.salesforce.connection import Connection
from bridge.salesforce.values import is_name

LIFE_S = 600.0  # a field that an administrator adds or hides is noticed within this time
# Of our own words for child lists: object and list → relationship and object.
LISTS = {
    ("Opportunity", "Lines"): ("OpportunityLineItems", "OpportunityLineItem"),
    ("NetSuite_Order__c", "Lines"): ("Lines__r", "NetSuite_Order_Line__c"),
}
COMPOUND = ("address", "location", "complexvalue", "base64")  # not values of their own


@dataclass(frozen=True, slots=True)
class Field:
    """One field as described."""

    name: str
    type: str
    scale: int
    createable: bool
    updateable: bool
    relationship: str | None
    parent: str | None
    length: int = 0
    choices: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Shape:
    """One object as described to the bridge's user: what it may not see is not in it."""

    name: str
    fields: Mapping[str, Field]
    relationships: Mapping[str, Field]
    createable: bool
    updateable: bool
    queryable: bool

    def plain_fields(self) -> list[str]:
        """All fields that hold a value."""
        return [it.name for it in self.fields.values() if it.type not in COMPOUND]


class Shapes:
    """Describes, kept for some minutes, for all threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kept: dict[str, tuple[float, Shape]] = {}
        self._lock = threading.Lock()

    def of(self, kind: str, *, fresh: bool = False) -> Shape:
        """Return the shape of object *kind*. Raises Misconfigured where there is no such object for our user."""
        found = self._kept.get(kind)
        if found is not None and not fresh and time.monotonic() - found[0] < LIFE_S:
            return found[1]
        if not is_name(kind):
            raise missing(kind, None)
        with self._lock:
            again = self._kept.get(kind)
            if again is not None and again is not found:
                return again[1]  # somebody else has just asked
            answer = self._connection.call("GET", f"sobjects/{quote(kind, safe='')}/describe")
            shape = _shape(answer)
            self._kept[kind] = (time.monotonic(), shape)
            return shape


HOLDS = {
    "double": "number", "currency": "number", "percent": "number", "int": "number", "long": "number",
    "boolean": "flag", "date": "day", "datetime": "time", "picklist": "choice", "reference": "reference",
    "id": "reference",
}  # fmt: skip


def facts(shapes: Shapes, kind: str) -> dict[str, Fact]:
    """Return the fields of *kind* as the bridge's user sees them, those of lines as ``Lines.UnitPrice``.

    Raises Misconfigured where the object is not there, Deferred where Salesforce does not answer.
    """
    found = {it.name: _fact(it.name, it) for it in shapes.of(kind, fresh=True).fields.values()}
    for (owner, words), (_, child) in LISTS.items():
        if owner == kind:
            found |= {f"{words}.{it.name}": _fact(f"{words}.{it.name}", it) for it in shapes.of(child).fields.values()}
    return found


def _fact(name: str, field: Field) -> Fact:
    return Fact(name, HOLDS.get(field.type, "text"), field.choices, field.length or None)


def missing(kind: str, name: str | None) -> Misconfigured:
    """An object or field that Salesforce does not show to the bridge's user."""
    what = f"Field {name} of {kind}" if name else f"Object {kind}"
    return Misconfigured(
        f"{what} is missing in Salesforce or hidden from the bridge's user.", code=faults.PERMISSION, field=name
    )


def _shape(answer: Any) -> Shape:
    try:
        fields = [_field(it) for it in answer["fields"]]
        return Shape(
            name=str(answer["name"]),
            fields={it.name: it for it in fields},
            relationships={it.relationship: it for it in fields if it.relationship and it.parent},
            createable=bool(answer.get("createable")),
            updateable=bool(answer.get("updateable")),
            queryable=bool(answer.get("queryable")),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise faults.unreadable(write=False, detail=f"describe: {error!r}") from error


def _field(it: Mapping[str, Any]) -> Field:
    parents = it.get("referenceTo") or []
    return Field(
        name=str(it["name"]),
        type=str(it["type"]),
        scale=min(max(int(it.get("scale") or 0), 0), 18),
        createable=bool(it.get("createable")),
        updateable=bool(it.get("updateable")),
        relationship=it.get("relationshipName"),
        parent=str(parents[0]) if parents else None,
        length=int(it.get("length") or 0),
        choices=frozenset(str(one["value"]) for one in it.get("picklistValues") or () if one.get("active", True)),
    )
