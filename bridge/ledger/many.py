"""Many values in one parameter: names that are looked up, rows that are stored.

The text of such a statement does not depend on how many values it is given. So it is compiled and parsed once, and
crosses to PostgreSQL in one round trip; a parameter for every column of 200 rows would cost more than the insert.

Must not know: what is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from sqlalchemy import (
    ARRAY,
    BindParameter,
    Boolean,
    ColumnElement,
    Connection,
    Dialect,
    Table,
    Text,
    bindparam,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from bridge.ledger.direct import Asked
from bridge.ledger.models import Instant, as_text


class _Names(TypeDecorator[Any]):
    """A list of texts: an array on PostgreSQL, JSON on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(Text) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Iterable[str] | None, dialect: Dialect) -> Any:
        names = list(value or ())
        return names if dialect.name == "postgresql" else orjson.dumps(names).decode()


class _Among(FunctionElement[bool]):
    name = "among"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:
        return self  # SQLAlchemy would have SQLite compare it with 1, and then no index is used


def among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return the condition that text *column* is one of the list which is given as parameter *name*."""
    names: BindParameter[Any] = bindparam(name, type_=_Names())
    return _Among(column, names)


@compiles(_Among)
def _among(element: _Among, compiler: Any, **how: Any) -> str:
    column, names = (compiler.process(it, **how) for it in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({names}))"  # noqa: S608 - compiled, not given


@compiles(_Among, "postgresql")
def _among_postgresql(element: _Among, compiler: Any, **how: Any) -> str:
    column, names = (compiler.process(it, **how) for it in element.clauses)
    return f"{column} = ANY ({names})"


def insert(
    connection: Connection,
    table: Table,
    names: tuple[str, ...],
    rows: Sequence[Sequence[Any]],
    common: Mapping[str, Any] | None = None,
    tail: str = "",
    first: tuple[str, tuple[Any, ...]] = ("", ()),
) -> list[Any]:
    """Store *rows* as `inserting` says, and return what its *tail* returns."""
    return inserting(connection, table, names, rows, common, tail, first).alone(connection)


def inserting(
    connection: Connection,
    table: Table,
    names: tuple[str, ...],
    rows: Sequence[Sequence[Any]],
    common: Mapping[str, Any] | None = None,
    tail: str = "",
    first: tuple[str, tuple[Any, ...]] = ("", ()),
) -> Asked:
    """Ask that *rows* of the columns *names* be stored, in their order; those of *common* have one value for all rows.

    *tail* is what follows in SQL: ``ON CONFLICT …``, and on PostgreSQL ``RETURNING …``, whose rows are returned.
    *first* is PostgreSQL's ``WITH …`` and its values, done in the same statement.
    """
    same = common or {}
    if connection.dialect.name == "postgresql":
        given = orjson.dumps([dict(zip(_KEYS, row, strict=False)) for row in rows]).decode()
        statement = f"{first[0]} {_recordset(table, names, tuple(same), tail)}"
        return Asked(statement, (*first[1], *same.values(), given), returns=" RETURNING " in tail)
    moments = _moments(table, names)
    last = [as_text(it) if isinstance(it, datetime) else it for it in same.values()]
    values = []
    for row in rows:
        one = [*row, *last]
        for place in moments:
            one[place] = one[place] and as_text(one[place])
        values.append(tuple(one))
    return Asked(_values(table, (*names, *same), tail), values, each=True)


_KEYS = "abcdefghijklmnopqrstuvwxyz"  # short names of the columns on their way: they are repeated in every row


@cache
def _moments(table: Table, names: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(place for place, name in enumerate(names) if isinstance(table.c[name].type, Instant))


@cache
def _values(table: Table, names: tuple[str, ...], tail: str) -> str:
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) {tail}"  # noqa: S608 - our own names


@cache
def _recordset(table: Table, names: tuple[str, ...], same: tuple[str, ...], tail: str) -> str:
    types = {name: table.c[name].type.compile(postgresql.dialect()) for name in (*names, *same)}  # type: ignore[no-untyped-call]
    keys = _KEYS[: len(names)]
    typed = ", ".join(f"{key} {types[name]}" for key, name in zip(keys, names, strict=True))
    fixed = "".join(f", %s::{types[name]}" for name in same)
    return (
        f"INSERT INTO {table.name} ({', '.join((*names, *same))}) SELECT {', '.join(keys)}{fixed}"  # noqa: S608 - our own names
        f" FROM json_to_recordset(%s::json) AS given({typed}) {tail}"
    )
