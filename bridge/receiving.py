"""Receive: one message for every sync that a change concerns, stored durably before anybody is told.

Must not know: any system's protocol, HTTP.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from bridge.ledger import Writing, messages, plain, waits
from bridge.mapping import Syncs
from bridge.ports import Received, Record


@dataclass(frozen=True, slots=True)
class Arrived:
    """What came in one call. *write_back*: nobody waits for what becomes of it."""

    received: Sequence[Received]
    origin: str
    correlation: str
    priority: int = messages.BULK
    write_back: bool = True


def accept(
    writing: Writing,
    syncs: Syncs,
    received: Sequence[Received],
    *,
    origin: str,
    correlation: str,
    priority: int = messages.BULK,
    write_back: bool = True,
    only: str | None = None,
) -> list[int]:
    """Store what arrived, in the caller's transaction, and return the ids of the messages that are new.

    A sync that is *on_demand* takes part once its record exists or something waits for it, or when it alone is asked
    for (*only*).
    """
    pairs = on_demand(syncs, received, only=only)
    wanted = waits.wanted(writing.connection, pairs).alone(writing.connection) if pairs else ()
    call = Arrived(received, origin, correlation, priority, write_back)
    done = accept_all(writing, syncs, [call], wanted, only=only)
    messages.wake(writing, done.due)
    return done.ids


def on_demand(syncs: Syncs, received: Iterable[Received], *, only: str | None = None) -> list[tuple[str, str]]:
    """Return (sync, record id) of whatever takes part on demand only."""
    late = [push for push in syncs.pushes.values() if push.on_demand and push.name != only]
    return [(push.name, it.id) for it in received for push in late if push.source == it.kind]


def accept_all(
    writing: Writing,
    syncs: Syncs,
    calls: Sequence[Arrived],
    wanted: Iterable[Sequence[str]],
    *,
    only: str | None = None,
    shut: Container[str] = (),
) -> messages.Accepted:
    """Store what came in several calls, as `accept` does; the caller wakes the lanes, nobody for the syncs *shut*.

    *wanted* is what `waits.wanted` finds of what is `on_demand`.
    A deletion is as new as what is known of its record: nobody counts versions for it. So it must not come together
    with calls that could bring a save of the same record.
    """
    every = [it for call in calls for it in call.received]
    taking_part = {name for (name,) in wanted}
    newest = messages.newest(writing.connection, [it.id for it in every if it.deleted], syncs.pushes)
    kinds = {it.kind for it in every}
    reads = {it: syncs.reads(it) for it in kinds}
    concerned = {it: [push for push in syncs.of_source(it) if only in (None, push.name)] for it in kinds}
    new: list[messages.New] = []
    for call in calls:
        for it in call.received:
            if it.deleted:
                # A record that nobody ever saw saved has no version yet: whatever restores it is newer.
                version, stamp = newest.get(it.id, (0, it.modified_at))
                it = replace(it, version=version, modified_at=max(it.modified_at, stamp + timedelta(microseconds=1)))
            fields = {**it.fields, "Id": it.id, **({"@deleted": it.merged_into or True} if it.deleted else {})}
            payload, mark = plain.dumps(fields), plain.source_mark(fields, reads[it.kind])
            new += [
                messages.New(
                    push.name,
                    it.kind,
                    it.id,
                    it.version,
                    it.modified_at,
                    lane_of(it),
                    payload,
                    call.origin,
                    mark,
                    it.user,
                    call.priority,
                    call.write_back,
                    correlation=call.correlation,
                )
                for push in concerned[it.kind]
                if not push.on_demand or push.name == only or f"{push.name}:{it.id}" in taking_part
            ]
    return messages.store(writing, new, shut=shut)


def lane_of(it: Received) -> str:
    """Return the lane of a record: its Account, with all that belongs to it; its own id where it has none."""
    return it.id if it.kind == "Account" else str(it.fields.get("AccountId") or it.fields.get("Account__c") or it.id)


def as_received(found: Record, user: str | None = None) -> Received:
    """Return a record read from Salesforce as if it had been sent."""
    version = int(found.fields.get("Bridge_Version__c") or 0)
    hidden = ("SystemModstamp", "Bridge_Version__c")
    fields = {name: value for name, value in found.fields.items() if name not in hidden}
    if found.modified_at is None:
        raise ValueError(f"{found.ref.kind} was read without its SystemModstamp")
    return Received(found.ref.kind, str(found.ref.id), version, found.modified_at, fields, user)
