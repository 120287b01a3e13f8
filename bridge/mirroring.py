"""The way back: which rows of Salesforce a NetSuite record stands for, and which it no longer does.

Must not know: how anything is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from bridge.errors import Rejected
from bridge.ledger import links, plain
from bridge.ledger.links import Link
from bridge.mapping import Pull, Syncs
from bridge.ports import Record, Ref


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What to write. *keys* and *lines* are the external ids of rows and of lines under them that exist from now on.

    *gone*: rows that were written once and are no longer part of it. *unled*: ``sync:id`` of a record that a row
    refers to and that has no mirror yet.
    """

    records: list[Record]
    keys: list[str] = field(default_factory=list)
    lines: dict[str, str] = field(default_factory=dict)
    gone: list[Record] = field(default_factory=list)
    unled: str | None = None

    @property
    def mark(self) -> str:
        """A hash of what is to be written, the same for the same values."""
        rows = ([it.ref, it.fields if type(it.fields) is dict else dict(it.fields)] for it in self.records)
        return plain.fingerprint(list(rows))


@dataclass(frozen=True, slots=True)
class Leads:
    """Where references to NetSuite records lead in Salesforce. *links*: those of records that pushes made."""

    there: dict[tuple[str, str], Ref]
    links: dict[tuple[str, str], Link]


def mapped(source: dict[str, Any], pull: Pull, syncs: Syncs) -> list[Record]:
    """Map one NetSuite record to its rows, whose references are not led back yet. Raises Rejected."""
    if "skipped" in source:
        why = source["skipped"]
        raise Rejected(why["reason"], code=why["code"], who="administrator")
    if "deleted" in source:
        return []
    return pull.records(source["source"], source.get("related", {}), syncs.context)


def leads(connection: Connection, records: Iterable[Record], syncs: Syncs) -> Leads:
    """Look up at once where the ``@sync`` references of *records* lead."""
    asked = {
        (value.kind[1:], str(value.id))
        for it in records
        for value in it.fields.values()
        if type(value) is Ref and value.kind[:1] == "@"
    }
    pushed = links.by_target(connection, [pair for pair in asked if pair[0] in syncs.pushes])
    there = {pair: Ref(syncs.pushes[pair[0]].source, id=found.source_id) for pair, found in pushed.items()}
    for pair, found in links.find(connection, [pair for pair in asked if pair[0] in syncs.pulls]).items():
        there[pair] = Ref(found.target_kind, external_id=found.target_id)
    return Leads(there, pushed)


def mirrored(
    source: dict[str, Any], records: Sequence[Record], found: Leads, pull: Pull, known: Link | None, syncs: Syncs
) -> Mirrored:
    """Return the rows of one NetSuite record that are ours, parents first. *records* is what `mapped` made of it."""
    if "deleted" in source:
        return Mirrored([], gone=_deleted(pull, known) if known else [])
    rows, unled = led_back(records, found, syncs, pull.mirrors)
    if pull.owned is not None and source.get("application"):
        rows = _attributed(rows, pull, Ref(pull.owned.parent_kind, id=source["application"]))
    lost = {it.ref.external_id for it in rows if it.ref.kind == pull.target and not _anchored(it, pull)}
    if lost:
        rows = [it for it in rows if not _belongs(it, lost, pull)]
    keys = [str(it.ref.external_id) for it in rows if it.ref.kind == pull.target]
    lines = {str(it.ref.external_id): it.ref.kind for it in rows if it.ref.kind != pull.target}
    return Mirrored(rows, keys, lines, list(_gone(pull, known, keys, lines)) if known else [], unled)


def _attributed(records: list[Record], pull: Pull, application: Ref) -> list[Record]:
    """Give the rows whose documents lead nowhere to the Application that was found in another way."""
    assert pull.owned is not None  # noqa: S101  # narrows the type; the caller has just looked
    name = pull.owned.parent
    return [
        replace(it, fields={**it.fields, name: application})
        if it.ref.kind == pull.target and it.fields.get(name) is None
        else it
        for it in records
    ]


def _deleted(pull: Pull, known: Link) -> list[Record]:
    """Return what marks the rows of a record that no longer exists. They stay, for their history is asked for."""
    if pull.deleted is None:
        return []
    return [Record(Ref(pull.target, external_id=key), pull.deleted) for key in known.parts.get("keys", ())]


def _gone(pull: Pull, known: Link, keys: list[str], lines: dict[str, str]) -> list[Record]:
    """Return what is written over rows and lines that were there and are not any more."""
    found = []
    if pull.gone is not None:
        dropped = [key for key in known.parts.get("keys", ()) if key not in keys]
        found = [Record(Ref(pull.target, external_id=key), pull.gone) for key in dropped]
    blanks = {child.target: child.gone for child in pull.children if child.gone is not None}
    for key, kind in known.parts.get("rows", {}).items():
        if key not in lines and kind in blanks:
            found.append(Record(Ref(kind, external_id=key), blanks[kind]))
    return found


def made_name(push: str, netsuite_id: str) -> str:
    """Return what a row waits for that was read before it was known to be ours: its record's link."""
    return f"{push}:netsuite-{netsuite_id}"


def led_back(
    records: Sequence[Record], found: Leads, syncs: Syncs, mirrors: str | None = None
) -> tuple[list[Record], str | None]:
    """Replace every ``@sync`` reference by the Salesforce record it leads to, or by nothing.

    Also returns ``sync:id`` of a mirror that is not there yet: it may come later, and then the row is written again.
    So may the link of a record that *mirrors* made, where its answer was lost and it is only adopted later.
    """
    unled: list[str] = []
    rows: list[Record] = []
    for it in records:
        fields: dict[str, Any] | None = None
        for name, value in it.fields.items():
            if type(value) is not Ref or value.kind[:1] != "@":
                continue
            pair = (value.kind[1:], str(value.id))
            lead = found.there.get(pair)
            if lead is None and pair[0] in syncs.pulls:
                unled.append(f"{pair[0]}:{pair[1]}")
            elif lead is None and pair[0] == mirrors:
                unled.append(made_name(*pair))
            fields = dict(it.fields) if fields is None else fields
            fields[name] = lead
        rows.append(it if fields is None else Record(it.ref, fields, it.modified_at))
    return rows, min(unled, default=None)


def _anchored(record: Record, pull: Pull) -> bool:
    return not pull.anchors or any(record.fields.get(name) is not None for name in pull.anchors)


def _belongs(record: Record, lost: set[str | None], pull: Pull) -> bool:
    """Say whether *record* is one of *lost*, or a line under one."""
    if record.ref.kind == pull.target:
        return record.ref.external_id in lost
    parents = (value for value in record.fields.values() if isinstance(value, Ref) and value.kind == pull.target)
    return any(parent.external_id in lost for parent in parents)
