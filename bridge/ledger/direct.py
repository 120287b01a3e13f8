"""Statements of the paths that every save takes, compiled once and given to the driver itself.

Asked through SQLAlchemy's ``execute`` a statement costs about twice the time of the driver, all of it under the
interpreter's lock; a save has ten. Texts, types and errors stay SQLAlchemy's.

`together` says several to PostgreSQL in one message: for each answer that is waited for, the interpreter is given away
and has to be won back. Such a message has no parameters, so the driver writes the values into it, quoted by
PostgreSQL's own library. Only ids, names, hashes, moments and rows of the audit go this way, for a server may log the
text of a slow statement; what a record says stays a parameter.

Must not know: what is stored.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError


class Direct:
    """A statement whose text is the same for whatever values. Lists are given by `many.among`, never by ``IN``."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def _for(self, dialect: Dialect) -> _Compiled:
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _Compiled(self._statement, dialect)
        return compiled

    def rows(self, connection: Connection, **values: Any) -> list[Any]:
        """Return the rows for *values*, as named tuples. Raises what ``execute`` would."""
        return self.of(connection, **values).alone(connection)

    def of(self, connection: Connection, **values: Any) -> Asked:
        """Return it with *values*, to be asked of *connection*."""
        compiled = self._for(connection.dialect)
        return Asked(compiled.text, compiled.given(values), compiled.read)

    def change(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Do it, an ``UPDATE`` or ``INSERT`` that returns nothing, with each of *rows*."""
        compiled = self._for(connection.dialect)
        given = [compiled.given(it) for it in rows]
        if len(given) == 1:
            run(connection, compiled.text, given[0], returns=False)
        elif given:
            run(connection, compiled.text, given, each=True)

    def first(self, connection: Connection, **values: Any) -> Any:
        """Return the first row, None without one."""
        return next(iter(self.rows(connection, **values)), None)


@dataclass(frozen=True, slots=True)
class Asked:
    """A statement with its values, as the driver takes them, and how its rows are *read*."""

    text: str
    values: Any
    read: Callable[[Sequence[Sequence[Any]]], list[Any]] = list
    returns: bool = True
    each: bool = False  # the statement is for each of the values

    def alone(self, connection: Connection) -> list[Any]:
        """Ask it by itself and return its rows."""
        return self.read(run(connection, self.text, self.values, returns=self.returns, each=self.each))


def together(connection: Connection, *asked: Asked) -> list[list[Any]]:
    """Ask all of *asked* in order, on PostgreSQL in one message, and return the rows of each; end at one that fails."""
    if connection.dialect.name != "postgresql":
        return [it.alone(connection) for it in asked]
    from psycopg import ClientCursor  # not there where nobody has installed the extra

    if not connection.in_transaction():
        connection.begin()
    found = []
    cursor = ClientCursor(_driver(connection))
    try:
        cursor.execute("; ".join(cursor.mogrify(it.text, it.values) for it in asked))
        for it in asked:
            found.append(it.read(cursor.fetchall() if it.returns else ()))
            cursor.nextset()
    except connection.dialect.loaded_dbapi.Error as error:
        raise _told(connection, "; ".join(it.text for it in asked), error) from error
    finally:
        cursor.close()
    return found


def commit_with(connection: Connection, last: Asked) -> None:
    """Ask *last* and, on PostgreSQL, end the transaction in the same message; whoever began it finds it ended."""
    if connection.dialect.name == "postgresql":
        together(connection, last, _COMMIT)
    else:
        last.alone(connection)


_COMMIT = Asked("COMMIT", None, returns=False)


class _Compiled:
    """A statement as one database wants it: its text, how values go in and how they come out."""

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        made = statement.compile(dialect=dialect)
        if made.post_compile_params:
            raise ValueError("a list in IN is not of one length, so its text cannot be kept")
        self.text: str = made.string
        self._params: dict[str, Any] = dict(made.params)
        self._places: Sequence[str] | None = made.positiontup
        into = ((name, it.type.dialect_impl(dialect).bind_processor(dialect)) for it, name in made.bind_names.items())
        self._into: dict[str, Callable[[Any], Any]] = {name: it for name, it in into if it is not None}
        columns = statement.exported_columns
        out = (it.type.dialect_impl(dialect).result_processor(dialect, None) for it in columns)
        self._out = [(place, it) for place, it in enumerate(out) if it is not None]
        self._row = _named([it.key or it.name for it in columns])

    def given(self, values: dict[str, Any]) -> Any:
        named = {**self._params, **values}
        for name, convert in self._into.items():
            named[name] = convert(named[name])
        return named if self._places is None else tuple(named[it] for it in self._places)

    def read(self, rows: Sequence[Sequence[Any]]) -> list[Any]:
        if not self._out:
            return [self._row(it) for it in rows]
        made = []
        for it in rows:
            row = list(it)
            for place, convert in self._out:
                row[place] = convert(row[place])
            made.append(self._row(row))
        return made


def _named(columns: list[str]) -> Callable[[Iterable[Any]], Any]:
    row: Any = namedtuple  # the stubs want to read the names in the source
    return row("Row", columns)._make  # type: ignore[no-any-return]


def run(connection: Connection, text: str, values: Any, *, returns: bool = True, each: bool = False) -> list[Any]:
    """Run *text* as the driver takes it and return its rows; with *each* of the *values*, which returns nothing."""
    if not connection.in_transaction():
        connection.begin()
    return at_once(connection, text, values, returns=returns, each=each)


def at_once(
    connection: Connection, text: str, values: Any, *, returns: bool = True, each: bool = False, **how: Any
) -> list[Any]:
    """Do what `run` does without asking for a transaction first. *how* is given to the driver."""
    cursor: Any = connection.connection.cursor()
    try:
        if each:
            cursor.executemany(text, values, **how)
            return []
        cursor.execute(text, values, **how)
        return list(cursor.fetchall()) if returns else []
    except connection.dialect.loaded_dbapi.Error as error:
        raise _told(connection, text, error) from error
    finally:
        cursor.close()


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _told(connection: Connection, text: str, error: Any) -> BaseException:
    """Return an error of the driver as SQLAlchemy's, without any values."""
    if connection.dialect.is_disconnect(error, connection.connection, None):
        # SQLAlchemy sees it with its own eyes then, and throws away what else leads to that server.
        connection.exec_driver_sql("SELECT 1")
    told: BaseException = DBAPIError.instance(
        text, None, error, connection.dialect.loaded_dbapi.Error, hide_parameters=True, dialect=connection.dialect
    )
    return told
