"""The way back: which rows of Salesforce a NetSuite record stands for, and which it no longer does.

Must not know: how anything is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from bridge.errors import Rejected
from bridge.ledger import Writing, links
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


def mirrored(writing: Writing, source: dict[str, Any], pull: Pull, known: Link | None, syncs: Syncs) -> Mirrored:
    """Map one NetSuite record to the rows that are ours, parents first. Raises Rejected."""
    if "skipped" in source:
        why = source["skipped"]
        raise Rejected(why["reason"], code=why["code"], who="administrator")
    if "deleted" in source:
        return Mirrored([], gone=_deleted(pull, known) if known else [])
    mapped = pull.records(source["source"], source.get("related", {}), syncs.context)
    records, unled = led_back(writing, mapped, syncs, pull.mirrors)
    if pull.owned is not None and source.get("application"):
        records = _attributed(records, pull, Ref(pull.owned.parent_kind, id=source["application"]))
    lost = {it.ref.external_id for it in records if it.ref.kind == pull.target and not _anchored(it, pull)}
    records = [it for it in records if not _belongs(it, lost, pull)]
    keys = [str(it.ref.external_id) for it in records if it.ref.kind == pull.target]
    lines = {str(it.ref.external_id): it.ref.kind for it in records if it.ref.kind != pull.target}
    return Mirrored(records, keys, lines, list(_gone(pull, known, keys, lines)) if known else [], unled)


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
    writing: Writing, records: list[Record], syncs: Syncs, mirrors: str | None = None
) -> tuple[list[Record], str | None]:
    """Replace every ``@sync`` reference by the Salesforce record it leads to, or by nothing.

    Also returns ``sync:id`` of a mirror that is not there yet: it may come later, and then the row is written again.
    So may the link of a record that *mirrors* made, where its answer was lost and it is only adopted later.
    """
    asked = {
        (value.kind[1:], str(value.id))
        for it in records
        for value in it.fields.values()
        if isinstance(value, Ref) and value.kind.startswith("@")
    }
    pushed = [pair for pair in asked if pair[0] in syncs.pushes]
    pulled = [pair for pair in asked if pair[0] in syncs.pulls]
    leads: dict[tuple[str, str], Ref] = {}
    for pair, found in links.by_target(writing.connection, pushed).items():
        leads[pair] = Ref(syncs.pushes[pair[0]].source, id=found.source_id)
    for pair, found in links.find(writing.connection, pulled).items():
        leads[pair] = Ref(found.target_kind, external_id=found.target_id)

    def lead(value: Any) -> Any:
        if isinstance(value, Ref) and value.kind.startswith("@"):
            return leads.get((value.kind[1:], str(value.id)))
        return value

    missing = [f"{sync}:{it}" for sync, it in pulled if (sync, it) not in leads]
    missing += [made_name(sync, it) for sync, it in pushed if sync == mirrors and (sync, it) not in leads]
    unled = min(missing, default=None)
    return [replace(it, fields={name: lead(value) for name, value in it.fields.items()}) for it in records], unled


def _anchored(record: Record, pull: Pull) -> bool:
    return not pull.anchors or any(record.fields.get(name) is not None for name in pull.anchors)


def _belongs(record: Record, lost: set[str | None], pull: Pull) -> bool:
    """Say whether *record* is one of *lost*, or a line under one."""
    if record.ref.kind == pull.target:
        return record.ref.external_id in lost
    parents = (value for value in record.fields.values() if isinstance(value, Ref) and value.kind == pull.target)
    return any(parent.external_id in lost for parent in parents)
