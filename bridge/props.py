"""What of a record can be sent to the sandbox and compared with what it tells: for the rehearsal.

Must not know: any system, SQL, HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.ports import Record, Ref

LEFT_OUT = object()


def refs(fields: Mapping[str, Any]) -> Iterator[Ref]:
    """Yield every reference of a record and of its lines."""
    for value in fields.values():
        if isinstance(value, Ref):
            yield value
        elif isinstance(value, list):
            for row in value:
                yield from refs(row)


def without(value: Any, unknown: set[str]) -> Any:
    """Return *value* without references to kinds that the sandbox does not know."""
    if isinstance(value, Ref) and value.kind in unknown and value.name:
        return LEFT_OUT
    if isinstance(value, list):
        rows = [{name: without(it, unknown) for name, it in row.items()} for row in value if isinstance(row, Mapping)]
        return [{name: it for name, it in row.items() if it is not LEFT_OUT} for row in rows]
    return value


def sendable(record: Record) -> Record:
    """Return *record* without our own ids of lines."""
    fields = {
        name: [{key: it for key, it in row.items() if not key.startswith("@")} for row in value]
        if isinstance(value, list)
        else value
        for name, value in record.fields.items()
    }
    return Record(record.ref, fields)


def compared(record: Record) -> Record:
    """Return what can be compared after reading back: names of references are NetSuite's own there."""
    fields = {name: value for name, value in sendable(record).fields.items() if not isinstance(value, Ref)}
    for name, value in fields.items():
        if isinstance(value, list):
            fields[name] = [{key: it for key, it in row.items() if not isinstance(it, Ref)} for row in value]
    return Record(record.ref, fields)


def only(record: Record, name: str) -> Record:
    """Return *record* with one field."""
    return Record(record.ref, {name: record.fields[name]})
