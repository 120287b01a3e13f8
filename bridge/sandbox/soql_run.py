"""Runs a parsed SOQL query over the org: checks every name and type, finds rows by index where it can.

``Run(org, query).records()`` gives rendered records; ``value_at`` follows a parent path.

Must not know: HTTP, the grammar's text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from bridge.sandbox.salesforce_org import Org
from bridge.sandbox.salesforce_schema import Field, SObjectType
from bridge.sandbox.salesforce_tables import Row, Table
from bridge.sandbox.salesforce_values import NUMBER_TYPES, Refused, as_id
from bridge.sandbox.soql import Aggregate, Condition, Logic, Order, Path, Query

Test = Callable[[Row], bool]
Getter = Callable[[Row], Any]
WRITTEN = {"double": "number", "currency": "number", "percent": "number", "int": "number"}
WRITTEN |= {"boolean": "boolean", "date": "date", "datetime": "datetime"}
SUFFIX = "Please reference your WSDL or the describe call for the appropriate names."


class Run:
    """One query, checked against the schema when made."""

    def __init__(
        self, org: Org, query: Query, *, version: str, deleted: bool, parent: SObjectType | None = None
    ) -> None:
        self.org, self.query, self.version, self.deleted = org, query, version, deleted
        self.kind, self.foreign_key = self._source(parent)
        self.table: Table = org.tables[self.kind.name]
        self.test: Test = self._test(query.where) if query.where else lambda _row: True
        self.columns: list[tuple[tuple[Field, ...], Field]] = []
        self.children: list[Run] = []
        for item in query.select:
            if isinstance(item, Query):
                self.children.append(Run(org, item, version=version, deleted=deleted, parent=self.kind))
            elif isinstance(item, Path):
                self.columns.append(self._resolve(item))
        self.sorts = [(self._getter(self._sortable(one)), one) for one in query.order] if not query.is_aggregate else []

    # --- answers ------------------------------------------------------------------------------------------------

    def count(self) -> int:
        """The answer of ``SELECT COUNT()``."""
        return len(self._rows())

    def records(self, page: Callable[[list[Row]], Row] | None = None) -> list[Row]:
        """All records, rendered. *page* makes the page object of a child query's records."""
        with self.org.lock:
            if self.query.is_aggregate:
                return self._aggregated()
            return [self._render(row, page) for row in self._rows()]

    def _rows(self) -> list[Row]:
        with self.org.lock:
            return self._sliced([row for row in self._candidates() if self.test(row)])

    def _sliced(self, found: list[Row]) -> list[Row]:
        for getter, order in reversed(self.sorts):
            _sort(found, getter, order)
        end = None if self.query.limit is None else self.query.offset + self.query.limit
        return found[self.query.offset : end]

    def _render(self, row: Row, page: Callable[[list[Row]], Row] | None) -> Row:
        made: Row = {"attributes": attributes(self.kind.name, row["Id"], self.version)}
        for parents, last in self.columns:
            at, held = made, row
            for one in parents:
                parent = self._parent(one, held)
                name = one.relationship or one.name
                if parent is None:
                    at.setdefault(name, None)
                    break
                kind = one.reference_to or ""
                if at.get(name) is None:
                    at[name] = {"attributes": attributes(kind, parent["Id"], self.version)}
                at, held = at[name], parent
            else:
                at[last.name] = held.get(last.name)
        for child, item in zip(self.children, (i for i in self.query.select if isinstance(i, Query)), strict=True):
            ids = child.table.children(child.foreign_key or "", row["Id"])
            rows = child._sliced([r for i in ids if child.test(r := child.table.rows[i])])
            inner = [child._render(one, None) for one in rows]
            name = _relationship_name(item.source, child)
            if not inner:
                made[name] = None
            else:
                made[name] = page(inner) if page else {"totalSize": len(inner), "done": True, "records": inner}
        return made

    def _aggregated(self) -> list[Row]:
        groups: dict[tuple[Any, ...], list[Row]] = {}
        getters = [self._getter(self._resolve(path)) for path in self.query.group]
        for row in self._candidates():
            if self.test(row):
                groups.setdefault(tuple(get(row) for get in getters), []).append(row)
        if not self.query.group:
            groups.setdefault((), [])
        if self.query.order:
            raise Refused("MALFORMED_QUERY", "ORDER BY beside aggregates is not known here")
        made = []
        for key, rows in groups.items():
            record: Row = {"attributes": {"type": "AggregateResult"}}
            number = 0
            for item in self.query.select:
                if isinstance(item, Aggregate):
                    record[item.alias or f"expr{number}"] = self._aggregate(item, rows)
                    number += item.alias is None
                elif isinstance(item, Path):
                    place = [str(one).lower() for one in self.query.group].index(str(item).lower())
                    record[self._resolve(item)[1].name] = key[place]
            made.append(record)
        if len(made) > 2000:
            message = (
                "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch"
            )
            raise Refused("EXCEEDED_ID_LIMIT", message)
        return made[self.query.offset : None if self.query.limit is None else self.query.offset + self.query.limit]

    def _aggregate(self, item: Aggregate, rows: Iterable[Row]) -> Any:
        if item.path is None:
            return len(list(rows))
        column = self._resolve(item.path)
        get = self._getter(column)
        values = [value for row in rows if (value := get(row)) is not None]
        if item.function == "count":
            return len(values)
        if item.function == "sum":
            if column[1].type not in NUMBER_TYPES:
                raise Refused("MALFORMED_QUERY", f"field {item.path} does not support aggregate operator SUM")
            return sum(values, Decimal(0)) if values else None
        return (min if item.function == "min" else max)(values, default=None)

    # --- finding rows -------------------------------------------------------------------------------------------

    def _candidates(self) -> Iterable[Row]:
        where = self.query.where
        parts = where.parts if isinstance(where, Logic) and where.word == "and" else (where,) if where else ()
        if not self.deleted:
            for part in parts:
                ids = self._by_index(part)
                if ids is not None:
                    return [self.table.rows[one] for one in ids if one in self.table.rows]
        start = _lower_bound(where)
        return self.table.since(start, deleted=self.deleted) if start else self.table.all(deleted=self.deleted)

    def _by_index(self, part: Any) -> list[str] | None:
        if not isinstance(part, Condition) or part.operator not in ("=", "in") or len(part.path.steps) > 1:
            return None
        values = part.value if isinstance(part.value, tuple) else (part.value,)
        if any(one.kind != "string" for one in values):
            return None
        name = self.kind.field(part.path.steps[0]).name
        texts = [str(one.value) for one in values]
        if name == "Id":
            return list(dict.fromkeys(as_id(text) or "" for text in texts))
        if name in self.table.parents:
            found = [one for text in texts for one in self.table.children(name, as_id(text) or "")]
        elif name in self.table.keys:
            found = [one for text in texts for one in self.table.with_key(name, text)]
        else:
            return None
        return list(dict.fromkeys(found))

    # --- checking names and types -------------------------------------------------------------------------------

    def _source(self, parent: SObjectType | None) -> tuple[SObjectType, str | None]:
        name = self.query.source
        if parent is None:
            kind = self.org.schema.get(name)
            if kind is None:
                raise Refused(
                    "INVALID_TYPE",
                    f"sObject type '{name}' is not supported. If you are attempting to use a custom object, be sure to "
                    f"append the '__c' after the entity name. {SUFFIX}",
                )
            return kind, None
        if name.lower() not in parent.children:
            words = f"Didn't understand relationship '{name}' in FROM part of query call. {SUFFIX}"
            raise Refused("INVALID_TYPE", words)
        child, foreign_key = parent.children[name.lower()]
        return self.org.schema.type(child), foreign_key

    def _resolve(self, path: Path) -> tuple[tuple[Field, ...], Field]:
        kind, parents = self.kind, []
        steps = path.steps
        # The object's own name may stand before a field, as in SELECT Account.Name FROM Account.
        if len(steps) > 1 and steps[0].lower() == kind.name.lower() and steps[0].lower() not in kind.relationships:
            steps = steps[1:]
        for step in steps[:-1]:
            one = kind.relationships.get(step.lower())
            if one is None:
                raise Refused("INVALID_FIELD", f"Didn't understand relationship '{step}' in field path. {SUFFIX}")
            parents.append(one)
            kind = self.org.schema.type(one.reference_to or "")
        last = kind.fields.get(steps[-1].lower())
        if last is None:
            raise Refused(
                "INVALID_FIELD",
                f"No such column '{steps[-1]}' on entity '{kind.name}'. If you are attempting to use a custom field, "
                f"be sure to append the '__c' after the custom field name. {SUFFIX}",
            )
        return tuple(parents), last

    def _sortable(self, order: Order) -> tuple[tuple[Field, ...], Field]:
        column = self._resolve(order.path)
        if not column[1].filterable:
            raise Refused("INVALID_FIELD", f"field '{column[1].name}' can not be sorted in a query call")
        return column

    def _getter(self, column: tuple[tuple[Field, ...], Field]) -> Getter:
        parents, last = column
        if not parents:
            return lambda row: row.get(last.name)

        def get(row: Row) -> Any:
            held: Row | None = row
            for one in parents:
                held = self._parent(one, held or {})
                if held is None:
                    return None
            return held.get(last.name) if held else None

        return get

    def _parent(self, one: Field, row: Row) -> Row | None:
        table, key = self.org.tables[one.reference_to or ""], row.get(one.name)
        return (table.rows.get(key) or table.bin.get(key)) if key else None

    def _test(self, node: Any) -> Test:
        if isinstance(node, Logic):
            tests = [self._test(part) for part in node.parts]
            if node.word == "not":
                return lambda row: not tests[0](row)
            if node.word == "and":
                return lambda row: all(test(row) for test in tests)
            return lambda row: any(test(row) for test in tests)
        column = self._resolve(node.path)
        get, one = self._getter(column), column[1]
        if not one.filterable:
            raise Refused("INVALID_FIELD", f"field '{one.name}' can not be filtered in a query call")
        if isinstance(node.value, tuple):
            wanted = {_comparable(one, literal) for literal in node.value}
            if node.operator == "in":
                return lambda row: _key(one, get(row)) in wanted
            return lambda row: _key(one, get(row)) not in wanted
        if node.operator == "like":
            if one.type in WRITTEN or one.type in ("id", "reference"):
                raise Refused("INVALID_FIELD", f"invalid operator on {one.type} field '{one.name}'")
            pattern = _like(str(node.value.value))
            return lambda row: (value := get(row)) is not None and pattern.fullmatch(value) is not None
        value = _comparable(one, node.value)
        if node.operator == "=":
            return lambda row: bool(_key(one, get(row)) == value)
        if node.operator == "!=":
            return lambda row: bool(_key(one, get(row)) != value)
        if one.type == "boolean" or value is None:
            raise Refused("INVALID_FIELD", f"invalid operator on {one.type} field '{one.name}'")
        compare: Callable[[Any, Any], bool] = {
            "<": lambda a, b: a < b,
            "<=": lambda a, b: a <= b,
            ">": lambda a, b: a > b,
            ">=": lambda a, b: a >= b,
        }[node.operator]
        return lambda row: (held := _key(one, get(row))) is not None and compare(held, value)


def attributes(kind: str, record_id: str, version: str) -> Row:
    """The ``attributes`` that every record carries."""
    return {"type": kind, "url": f"/services/data/v{version}/sobjects/{kind}/{record_id}"}


def _relationship_name(asked: str, child: Run) -> str:
    field = child.kind.fields[(child.foreign_key or "").lower()]
    return field.child_relationship or asked


def _comparable(one: Field, literal: Any) -> Any:
    """The literal as a comparable value. Raises ``Refused`` where the real parser wants another way of writing."""
    if literal.kind == "null":
        return False if one.type == "boolean" else None  # a null checkbox is false (SOQL Reference, "null")
    expected = WRITTEN.get(one.type, "string")
    if literal.kind != expected:
        shown = {"datetime": "dateTime", "number": one.type, "string": "string"}.get(expected, expected)
        quotes = "should be enclosed in quotes" if expected == "string" else "should not be enclosed in quotes"
        message = f"value of filter criterion for field '{one.name}' must be of type {shown} and {quotes}"
        raise Refused("INVALID_FIELD", message)
    if one.type in ("id", "reference"):
        full = as_id(str(literal.value))
        if full is None:
            raise Refused("INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {literal.value}")
        return full
    return _key(one, literal.value)


def _key(one: Field, value: Any) -> Any:
    """Text compares without case unless its field says otherwise."""
    if isinstance(value, str) and not one.case_sensitive and one.type not in ("id", "reference"):
        return value.lower()
    return value if value is not None or one.type != "boolean" else False


def _like(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\\[%_]|%|_)", pattern)
    wild = {"%": ".*", "_": "."}
    text = "".join(
        wild.get(part) or re.escape(part.removeprefix("\\") if part in ("\\%", "\\_") else part) for part in parts
    )
    return re.compile(text, re.IGNORECASE | re.DOTALL)


def _sort(rows: list[Row], getter: Getter, order: Order) -> None:
    """Sort in place. Nulls come first unless asked otherwise (SOQL Reference, "ORDER BY")."""
    nulls = [row for row in rows if getter(row) is None]
    others = [row for row in rows if getter(row) is not None]

    def key(row: Row) -> Any:
        value = getter(row)
        return value.lower() if isinstance(value, str) and order.path.steps[-1].lower() != "id" else value

    others.sort(key=key, reverse=order.descending)
    rows[:] = [*others, *nulls] if order.nulls_last else [*nulls, *others]


def _lower_bound(node: Any) -> datetime | None:
    """The earliest SystemModstamp that can match *node*, where that is certain."""
    if isinstance(node, Logic) and node.word != "not":
        bounds = [_lower_bound(part) for part in node.parts]
        known = [one for one in bounds if one is not None]
        if node.word == "and":
            return max(known, default=None)
        return min(known) if known and len(known) == len(bounds) else None
    if (
        isinstance(node, Condition)
        and node.operator in ("=", ">", ">=")
        and [step.lower() for step in node.path.steps] == ["systemmodstamp"]
        and not isinstance(node.value, tuple)
        and isinstance(node.value.value, datetime)
    ):
        return node.value.value
    return None
