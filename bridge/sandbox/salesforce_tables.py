"""The rows of one object and the ways to find them; and the transaction that can take writes back.

``Table``, ``Transaction``. A row is a dict that is never changed once it is in a table: an update puts a new dict, so
a reader may keep one. Empty fields are absent.

Must not know: SOQL, HTTP, what a field means.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bridge.sandbox.salesforce_schema import SObjectType

Row = dict[str, Any]


class Table:
    """Rows by id, by key field, by parent and by SystemModstamp; the recycle bin beside them."""

    def __init__(self, kind: SObjectType) -> None:
        self.kind = kind
        self.rows: dict[str, Row] = {}
        self.bin: dict[str, Row] = {}
        self.keys: dict[str, dict[str, dict[str, None]]] = {
            one.name: {} for one in kind.fields.values() if one.is_key or one.unique
        }
        self.keys.pop("Id", None)
        self.parents: dict[str, dict[str, dict[str, None]]] = {
            one.name: {} for one in kind.fields.values() if one.reference_to and one.reference_to != "User"
        }
        self._exact = {one.name for one in kind.fields.values() if one.case_sensitive}
        self._stamps: list[tuple[datetime, str]] = []

    def put(self, record_id: str, row: Row | None, binned: Row | None = None) -> tuple[Row | None, Row | None]:
        """Make *row* (and *binned*, its recycle bin entry) the state of *record_id*; return the state before."""
        before, before_binned = self.rows.pop(record_id, None), self.bin.pop(record_id, None)
        if before is not None:
            self._forget(record_id, before)
        if row is not None:
            self.rows[record_id] = row
            self._learn(record_id, row)
        if binned is not None:
            self.bin[record_id] = binned
        self._stamp(record_id, row or binned)
        return before, before_binned

    def replace(self, record_id: str, row: Row) -> tuple[Row, None]:
        """Put *row* over the live row of *record_id*, touching only the indexes that changed."""
        before = self.rows[record_id]
        for index in (self.keys, self.parents):
            for name, entries in index.items():
                was, now = before.get(name), row.get(name)
                if was != now:
                    self._unlink(entries, self._key(name, was), record_id)
                    self._link(entries, self._key(name, now), record_id)
        self.rows[record_id] = row
        if before["SystemModstamp"] != row["SystemModstamp"]:
            self._stamp(record_id, row)
        return before, None

    def with_key(self, name: str, value: str) -> list[str]:
        """Ids of live rows whose key field *name* is *value*, without case unless the field is case-sensitive."""
        return list(self.keys[name].get(self._key(name, value) or "", ()))

    def children(self, name: str, parent_id: str) -> list[str]:
        """Ids of live rows that point at *parent_id* by *name*."""
        return list(self.parents[name].get(parent_id, ()))

    def since(self, start: datetime | None, *, deleted: bool) -> Iterator[Row]:
        """Rows stamped at or after *start*, oldest first."""
        begin = bisect_left(self._stamps, (start, "")) if start else 0
        for stamp, record_id in self._stamps[begin:]:
            row = self.rows.get(record_id) or (self.bin.get(record_id) if deleted else None)
            if row is not None and row["SystemModstamp"] == stamp:
                yield row

    def all(self, *, deleted: bool) -> Iterable[Row]:
        """Every row; with the recycle bin when *deleted*."""
        return [*self.rows.values(), *self.bin.values()] if deleted else list(self.rows.values())

    def _stamp(self, record_id: str, row: Row | None) -> None:
        if row is None:
            return
        insort(self._stamps, (row["SystemModstamp"], record_id))
        if len(self._stamps) > 4 * (len(self.rows) + len(self.bin)) + 1000:
            live = {**self.bin, **self.rows}
            self._stamps = sorted((one["SystemModstamp"], key) for key, one in live.items())

    def _learn(self, record_id: str, row: Row) -> None:
        for index in (self.keys, self.parents):
            for name, entries in index.items():
                self._link(entries, self._key(name, row.get(name)), record_id)

    def _forget(self, record_id: str, row: Row) -> None:
        for index in (self.keys, self.parents):
            for name, entries in index.items():
                self._unlink(entries, self._key(name, row.get(name)), record_id)

    def _key(self, name: str, value: Any) -> str | None:
        if value is None:
            return None
        return str(value) if name in self._exact or name in self.parents else str(value).lower()

    @staticmethod
    def _link(entries: dict[str, dict[str, None]], key: str | None, record_id: str) -> None:
        if key is not None:
            entries.setdefault(key, {})[record_id] = None

    @staticmethod
    def _unlink(entries: dict[str, dict[str, None]], key: str | None, record_id: str) -> None:
        if key is not None and key in entries:
            entries[key].pop(record_id, None)
            if not entries[key]:
                del entries[key]


@dataclass(frozen=True)
class User:
    """Who writes. *bypass* is the custom permission of the bridge's own user."""

    id: str
    username: str
    bypass: bool = False
    permissions: frozenset[str] = frozenset()  # custom permissions by API name


@dataclass
class Transaction:
    """One transaction: what it wrote (so that it can be taken back) and what its triggers want sent.

    *raised* are records whose version went up, *touched* are Applications of which a line changed, *partial* says that
    some records of a list were refused and the rest saved.
    """

    user: User
    stamp: datetime
    undo: list[tuple[Table, str, Row | None, Row | None]] = field(default_factory=list)
    pushes: list[tuple[str, str]] = field(default_factory=list)
    deletions: list[tuple[str, Row]] = field(default_factory=list)
    raised: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    partial: bool = False

    def mark(self) -> tuple[int, int, int]:
        """A savepoint."""
        return len(self.undo), len(self.pushes), len(self.deletions)

    def back_to(self, mark: tuple[int, int, int]) -> None:
        """Take back everything since *mark*; the indexes follow."""
        while len(self.undo) > mark[0]:
            table, record_id, row, binned = self.undo.pop()
            table.put(record_id, row, binned)
        del self.pushes[mark[1] :]
        del self.deletions[mark[2] :]
        self.raised = {record_id for _, record_id in self.pushes}
        self.touched.clear()
