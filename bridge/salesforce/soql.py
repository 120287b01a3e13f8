"""Queries: from wanted fields to SOQL, from answered rows to plain, typed fields.

``Selection`` is a checked list of fields of one object and knows both ways; ``pages`` walks the pages of a query.
Values are quoted by ``format_soql``; names come from describes only.

Must not know: writing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from simple_salesforce.format import format_soql

from bridge.salesforce import faults
from bridge.salesforce.connection import Connection
from bridge.salesforce.shapes import LISTS, Field, Shape, Shapes, missing
from bridge.salesforce.values import number, plain

LONGEST_QUERY = 13_000  # encoded characters; the whole address must stay below 16,384 (error 414)
MOST_IDS = 200
OPTIONAL = frozenset({"CurrencyIsoCode"})  # does not exist in an organisation with one currency
_NEXT = re.compile(r"/services/data/v[0-9.]+/((?:query|queryAll)/[A-Za-z0-9-]{1,200})")


class Selection:
    """Wanted fields of *kind*, each resolved against the describe.

    *wanted* may hold ``"Name"``, ``"Account.Name"`` (a parent's field) and ``"Lines.UnitPrice"`` (a child list's);
    empty means all fields of the object itself. *always* is read where the object has it.
    """

    def __init__(self, shapes: Shapes, kind: str, wanted: Sequence[str], always: Sequence[str] = ("Id",)) -> None:
        self.shape = shapes.of(kind)
        self._shapes = shapes
        self._columns: dict[str, tuple[tuple[str, ...], Field]] = {}
        self.lists: dict[str, tuple[str, Selection]] = {}
        inner: dict[str, list[str]] = {}
        for name in wanted or self.shape.plain_fields():
            head, _, rest = name.partition(".")
            if (kind, head) in LISTS:
                inner.setdefault(head, []).extend([rest] if rest else [])
            else:
                self._add(name)
        for name in always:
            if name in self.shape.fields:
                self._add(name)
        for head, names in inner.items():
            relationship, child = LISTS[kind, head]
            self.lists[head] = (relationship, Selection(shapes, child, names or ["Id"]))

    def _add(self, name: str) -> None:
        *parents, last = name.split(".")
        shape: Shape = self.shape
        for step in parents:
            link = shape.relationships.get(step)
            if link is None or link.parent is None:
                raise missing(shape.name, step)
            shape = self._shapes.of(link.parent)
        field = shape.fields.get(last)
        if field is None:
            if last in OPTIONAL:
                return
            raise missing(shape.name, last)
        self._columns[name] = ((*parents, last), field)

    def select(self, where: str = "") -> str:
        """Return the query with its condition, children in the order of their ids."""
        parts = list(self._columns)
        for relationship, child in self.lists.values():
            parts.append(f"({child.select_from(relationship)} ORDER BY Id)")
        return f"SELECT {', '.join(parts)} FROM {self.shape.name}{where}"  # noqa: S608 - names are from describes

    def select_from(self, source: str) -> str:
        """Return the query of a child list."""
        return f"SELECT {', '.join(self._columns)} FROM {source}"  # noqa: S608 - names are from describes

    def read(self, row: Mapping[str, Any], connection: Connection) -> dict[str, Any]:
        """Return one answered row as plain fields, child lists whole. Raises Deferred for what cannot be read."""
        try:
            made = {name: plain(_at(row, path), it.type, it.scale) for name, (path, it) in self._columns.items()}
            for head, (relationship, child) in self.lists.items():
                made[head] = [child.read(it, connection) for it in _children(connection, row.get(relationship))]
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
            raise faults.unreadable(write=False, detail=f"{self.shape.name}: {error}") from error
        return made


def _at(row: Mapping[str, Any], path: Iterable[str]) -> Any:
    value: Any = row
    for step in path:
        if value is None:
            return None
        value = value[step]
    return value


def _children(connection: Connection, first: Any) -> Iterator[Mapping[str, Any]]:
    """Yield all rows of a child list: a long one comes in pages of its own."""
    if first is None:
        return
    for page in _following(connection, first):
        yield from page


def pages(
    connection: Connection, query: str, *, deleted: bool = False, background: bool = False
) -> Iterator[list[Any]]:
    """Yield the pages of a query, one in memory at a time. The server may return fewer rows than asked.

    *deleted* also looks into the recycle bin; *background* gives way when the daily calls run short.
    """
    if background:
        connection.pace()
    first = connection.call("GET", "queryAll" if deleted else "query", params={"q": query})
    yield from _following(connection, first, background=background)


def _following(connection: Connection, answer: Any, *, background: bool = False) -> Iterator[list[Any]]:
    while True:
        if not isinstance(answer, Mapping) or not isinstance(answer.get("records"), list):
            raise faults.unreadable(write=False, detail="a query answer without records")
        yield answer["records"]
        if answer.get("done") is True:
            return
        match = _NEXT.fullmatch(str(answer.get("nextRecordsUrl")))
        if match is None:
            # Without "done" the end is not proven: a cut list must never look whole.
            raise faults.unreadable(write=False, detail="a query answer that neither ends nor goes on")
        if background:
            connection.pace()
        answer = connection.call("GET", match.group(1))


def one_of(name: str, values: Sequence[str], length: int) -> Iterator[str]:
    """Yield ``name IN (…)`` conditions for at most 200 *values* each, whose query stays short enough to be sent.

    *length* is the encoded length of the rest of the query.
    """
    chunk: list[str] = []
    size = length
    for value in values:
        cost = len(quote(format_soql("{}", value), safe="")) + 3
        if chunk and (len(chunk) == MOST_IDS or size + cost > LONGEST_QUERY):
            yield f"{name} IN {format_soql('{}', chunk)}"
            chunk, size = [], length
        chunk.append(value)
        size += cost
    if chunk:
        yield f"{name} IN {format_soql('{}', chunk)}"


def encoded_length(query: str) -> int:
    """Return how many characters *query* takes in an address."""
    return len(quote(query, safe=""))


def flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a row of a free query without ``attributes``; a parent's field is ``Account.Name``, a child list a list.

    Numbers with a point are Decimal, dates stay text: a free query has no describe.
    """
    made: dict[str, Any] = {}
    for name, value in row.items():
        if name == "attributes":
            continue
        if isinstance(value, Mapping):
            if isinstance(value.get("records"), list):
                made[prefix + name] = [flat(it) for it in value["records"]]
            else:
                made.update(flat(value, f"{prefix}{name}."))
        else:
            made[prefix + name] = number(value) if isinstance(value, Decimal) else value
    return made
