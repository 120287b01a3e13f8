"""Drift: what accounting changed in NetSuite on an order that Salesforce is the master of. Listed, never hidden.

The order as it was last pulled is compared with what the bridge last sent: mapped again from the message that was
delivered, and believed only if its fingerprint is the one that was kept. The next change in Salesforce would overwrite
what is listed here.

Must not know: SOAP, HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from bridge import periods
from bridge.comparing import agrees
from bridge.errors import Rejected
from bridge.ledger import links, plain, pulled
from bridge.ledger.links import Link
from bridge.ledger.models import link, message
from bridge.mapping import LINE_ID, LINE_LISTS, Pull, Push, Syncs
from bridge.ports import Record, Ref

CHUNK = 200
OURS_ALONE = (LINE_ID, "rate", "price")  # NetSuite computes these anew, or writes them in another way


@dataclass(frozen=True, slots=True)
class Drift:
    """One field of one order that is not as it was sent."""

    sync: str
    source_id: str
    order: str
    field: str
    sent: str
    found: str
    changed_at: datetime


def drifts(connection: Connection, syncs: Syncs) -> Iterator[Drift]:
    """Yield every difference on orders that were sent and have been pulled since."""
    for pull in syncs.pulls.values():
        push = syncs.pushes.get(pull.mirrors or "")
        if push is None:
            continue
        after = ""
        while True:
            query = select(link.c.source_id).where(link.c.sync == push.name, link.c.source_id > after)
            ids = list(connection.execute(query.order_by(link.c.source_id).limit(CHUNK)).scalars())
            if not ids:
                break
            after = ids[-1]
            known = links.find(connection, [(push.name, it) for it in ids])
            yield from _of(connection, syncs, push, pull, list(known.values()))


def _of(connection: Connection, syncs: Syncs, push: Push, pull: Pull, known: Sequence[Link]) -> Iterator[Drift]:
    read = pulled.latest(connection, pull.name, [it.target_id for it in known])
    for one in known:
        row = read.get(one.target_id)
        found = plain.loads(row.payload).get("source") if row is not None else None
        sent = last_sent(connection, syncs, push, one)
        if row is None or found is None or sent is None:
            continue
        for name, ours, theirs in differences(sent, found):
            yield Drift(push.name, one.source_id, one.number or one.target_id, name, ours, theirs, row.modified_at)


def last_sent(connection: Connection, syncs: Syncs, push: Push, one: Link) -> Record | None:
    """Return what was last sent of a linked record; None where the mapping has changed since."""
    query = select(message.c.payload).where(
        message.c.sync == push.name,
        message.c.source_id == one.source_id,
        message.c.version == one.version,
        message.c.modified_at == one.modified_at,
    )
    payload = connection.execute(query).scalar()
    if payload is None:
        return None
    source = plain.loads(payload)
    try:
        made = push.record(one.source_id, source, syncs.context)
    except Rejected:
        return None
    if plain.fingerprint([made.ref.external_id, dict(made.fields)]) != one.fingerprint:
        return None
    parents = links.find(connection, push.links(source)).values()
    ids = {it.external_id: it.target_id for it in parents if it.external_id}
    fields = {
        name: Ref(it.kind, id=ids[it.external_id]) if isinstance(it, Ref) and it.external_id in ids else it
        for name, it in made.fields.items()
    }
    return periods.as_dated(Record(made.ref, fields), one)


def differences(sent: Record, found: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield field, what was sent and what is there; what was sent empty is NetSuite's to fill in."""
    for name, ours in sent.fields.items():
        theirs = found.get(name)
        if name in LINE_LISTS:
            yield from _lines(sent.ref, name, ours or [], theirs or [])
        elif not _same(sent.ref, name, ours, theirs):
            yield name, _words(ours), _words(theirs)


def _lines(
    ref: Ref, name: str, ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, str, str]]:
    if len(ours) != len(theirs):
        yield name, f"{len(ours)} lines", f"{len(theirs)} lines"
        return
    for place, (our, their) in enumerate(zip(ours, theirs, strict=True), 1):
        for field, value in our.items():
            if field not in OURS_ALONE and not _same(ref, field, value, their.get(field)):
                yield f"line {place} {field}", _words(value), _words(their.get(field))


def _same(ref: Ref, name: str, ours: Any, theirs: Any) -> bool:
    if ours is None or ours == "" or (ours is False and theirs is None):
        return True
    if isinstance(ours, Ref) and isinstance(theirs, str):  # a currency comes back by its symbol
        return (ours.name or "").casefold() == theirs.casefold()
    return agrees(Record(ref, {name: ours}), Record(ref, {name: theirs}))


def _words(value: Any) -> str:
    if isinstance(value, Ref):
        return value.name or value.external_id or value.id or ""
    return "nothing" if value is None else str(value)
