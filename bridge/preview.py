"""Preview a mapping on real records: what each would become in NetSuite, field by field, before anything is written.

`preview` takes what Salesforce last sent of each record, maps it by the candidate rules, decides as delivery would, and
reads from NetSuite (in lists) what stands there now. It holds a system that cannot write, and no write transaction.

Must not know: SOAP, HTTP.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Connection, select

from bridge import sharing
from bridge.comparing import same
from bridge.errors import Rejected
from bridge.ledger import Ledger, configuration, links, plain
from bridge.ledger.links import Link
from bridge.ledger.models import link as link_table
from bridge.ledger.models import message
from bridge.mapping import LINE_ID, LINE_LISTS, Push, Syncs, external_id
from bridge.ports import Fields, Record, Ref, System
from bridge.preparing import CLOSED
from bridge.sending import without_line_ids

CREATE, UPDATE, UNCHANGED, REJECT, HELD, WAIT = "create", "update", "unchanged", "reject", "held", "wait"
WORDS = (CREATE, UPDATE, UNCHANGED, REJECT, HELD, WAIT)
LOOKED_AT = 100_000  # messages, the newest, among which the records are looked for
LIST, AT_ONCE = 200, 3  # records in one read and reads in flight: an answer stays small, and saves go first


@dataclass(frozen=True, slots=True)
class Change:
    """One field, ``itemList[2].rate`` for one of a line. *now* is what NetSuite holds, *then* what it would hold."""

    field: str
    now: Any
    then: Any


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a save of this record, as it is, would do."""

    sync: str
    salesforce_id: str
    what: str
    reason: str | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """All that was foreseen. *wrote* is how often anything tried to write meanwhile: none, or the preview is void.

    *against* is the number of the configuration that was live.
    """

    records: tuple[Foreseen, ...]
    wrote: int
    counts: Mapping[str, int] = field(default_factory=dict)
    against: int = 0


class ReadOnly:
    """A system that can only be read. Whoever tries to write is counted, and refused."""

    def __init__(self, system: System) -> None:
        self._system, self.wrote = system, 0

    def get(self, refs: Sequence[Ref]) -> list[Record | None]:
        return self._system.get(refs)

    def upsert(self, records: Sequence[Record], *, interactive: bool = False) -> list[Any]:
        self.wrote += 1
        raise Rejected("A preview does not write.", code="PREVIEW_WROTE", who="administrator")


def preview(
    ledger: Ledger, netsuite: System, salesforce: System, syncs: Syncs, *, last: int, sync: str | None = None
) -> Preview:
    """Foresee the newest *last* records of each sync to NetSuite, or of one *sync*.

    Each is read from Salesforce as it is now, for a field that nobody mapped before is in no message; one that is gone
    there is left out. Raises Deferred or Misconfigured when a system cannot be read.
    """
    system, pushes = ReadOnly(netsuite), [it for it in syncs.pushes.values() if sync in (None, it.name)]
    with ledger.read() as connection:
        against = configuration.newest_id(connection)
        chosen = _newest(connection, pushes, last)
    sources = _sources(salesforce, syncs, chosen)
    with ledger.read() as connection:
        decided = [it for push in pushes for it in _decided(connection, push, syncs, chosen[push.name], sources)]
    there = _there(system, decided)
    records = tuple(_foreseen(it, there) for it in decided)
    return Preview(records, system.wrote, Counter(it.what for it in records), against)


@dataclass(frozen=True, slots=True)
class _Decided:
    push: Push
    salesforce_id: str
    what: str
    reason: str | None = None
    record: Record | None = None
    link: Link | None = None


def _newest(connection: Connection, pushes: Sequence[Push], last: int) -> dict[str, list[str]]:
    """Return the records that were saved last, by sync; a sync that is not live yet gets those of its source.

    Looks at the newest messages, and for a sync that is rare among them at what it linked: a ledger may hold millions.
    """
    own: dict[str, dict[str, None]] = {push.name: {} for push in pushes}
    of_kind: dict[str, dict[str, None]] = {push.source: {} for push in pushes}
    rows = select(message.c.sync, message.c.source_kind, message.c.source_id).order_by(message.c.id.desc())
    for row in connection.execute(rows.limit(LOOKED_AT)):
        for found in (own.get(row.sync), of_kind.get(row.source_kind)):
            if found is not None and len(found) < last:
                found[row.source_id] = None
        if all(len(it) >= last for it in own.values()):
            break
    for push in pushes:
        if len(own[push.name]) < last:
            linked = select(link_table.c.source_id).where(link_table.c.sync == push.name)
            linked = linked.order_by(link_table.c.modified_at.desc())
            own[push.name] |= dict.fromkeys(connection.execute(linked.limit(last)).scalars())
        if not own[push.name] and not push.on_demand:
            own[push.name] = of_kind[push.source]
    return {name: list(found)[:last] for name, found in own.items()}


def _sources(salesforce: System, syncs: Syncs, chosen: Mapping[str, Sequence[str]]) -> dict[str, Fields]:
    """Read the records from Salesforce, in lists: each once, whatever the number of its syncs."""
    found: dict[str, Fields] = {}
    for kind in dict.fromkeys(syncs.pushes[name].source for name in chosen):
        ids = [it for name, own in chosen.items() if syncs.pushes[name].source == kind for it in own]
        refs = [Ref(kind, id=it) for it in dict.fromkeys(ids)]
        for record in salesforce.get(refs, syncs.reads(kind)) if refs else ():
            if record is not None:
                found[str(record.ref.id)] = record.fields
    return found


def _decided(
    connection: Connection, push: Push, syncs: Syncs, ids: Sequence[str], there: Mapping[str, Fields]
) -> Iterator[_Decided]:
    sources = {it: there[it] for it in ids if it in there}
    pairs = [(push.name, it) for it in sources]
    pairs += [pair for source in sources.values() for pair in push.links(source)]
    known = links.find(connection, pairs)
    targets = {_external_id(syncs, pair): it.target_id for pair, it in known.items()}
    for salesforce_id, source in sources.items():
        link = known.get((push.name, salesforce_id))
        closed = push.held(source, syncs.context)
        parent = next((it for it in push.links(source) if it not in known and it[0] in syncs.pushes), None)
        try:
            if closed is not None:
                it = _withdrawn(push, salesforce_id, source, closed, link, syncs)
                yield replace(it, record=it.record and _with_ids(it.record, targets))
                continue
            record = push.record(salesforce_id, source, syncs.context)
        except Rejected as error:
            yield _Decided(push, salesforce_id, REJECT, f"{error.message} ({error.code})", link=link)
            continue
        except Exception as error:  # noqa: BLE001 - the mapping under test may be wrong in any way
            yield _Decided(push, salesforce_id, REJECT, f"The mapping fails: {type(error).__name__}.", link=link)
            continue
        if parent is not None and parent != (push.name, salesforce_id):
            yield _Decided(push, salesforce_id, WAIT, f"{parent[0]} {parent[1]} comes first.", record, link)
            continue
        lasting = push.lasting(record)
        mark = plain.fingerprint([record.ref.external_id, dict(lasting.fields)])
        what = CREATE if link is None else UNCHANGED if link.fingerprint == mark else UPDATE
        record = lasting if link else record
        if link is not None and link.fingerprint.startswith(CLOSED):
            record = push.reopened(record)
        yield _Decided(push, salesforce_id, what, None, _with_ids(record, targets), link)


def _withdrawn(
    push: Push, salesforce_id: str, source: Fields, closed: str, link: Link | None, syncs: Syncs
) -> _Decided:
    """Decide about a record whose gate is closed: it may be there already. Raises Rejected."""
    if link is None or push.withdrawn == "leave" or push.outside(source, syncs.context) is not None:
        return _Decided(push, salesforce_id, HELD, closed, link=link)
    if push.withdrawn == "block" and not push.unjudged(source):
        return _Decided(push, salesforce_id, REJECT, closed, link=link)
    record = None if push.unjudged(source) else push.closed(salesforce_id, source, syncs.context)
    if record is None:
        return _Decided(push, salesforce_id, HELD, closed, link=link)
    mark = (CLOSED + plain.fingerprint([record.ref.external_id, dict(record.fields)]))[:40]
    return _Decided(push, salesforce_id, UNCHANGED if link.fingerprint == mark else UPDATE, closed, record, link)


def _external_id(syncs: Syncs, pair: tuple[str, str]) -> str:
    push = syncs.pushes.get(pair[0])
    return external_id(push.external_id, pair[1]) if push else ""


def _with_ids(record: Record, ids: Mapping[str, str]) -> Record:
    """Return *record* with references by NetSuite's own ids where they are known: that is how NetSuite tells them."""
    fields = {
        name: replace(it, id=ids.get(it.external_id or "", it.id)) if isinstance(it, Ref) else it
        for name, it in record.fields.items()
    }
    return replace(record, fields=fields)


def _there(system: ReadOnly, decided: Sequence[_Decided]) -> dict[Ref, Record]:
    """Read what NetSuite holds of the records that would be written, in lists."""
    asked = [_ref(it) for it in decided if it.record is not None and it.what in (CREATE, UPDATE)]
    parts = [asked[start : start + LIST] for start in range(0, len(asked), LIST)]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="preview") as pool:
        found = [record for part in pool.map(system.get, parts) for record in part]
    return {ref: record for ref, record in zip(asked, found, strict=True) if record is not None}


def _ref(it: _Decided) -> Ref:
    if it.link is not None:
        return Ref(it.push.target, id=it.link.target_id)
    return Ref(it.push.target, external_id=it.record.ref.external_id if it.record else None)


def _foreseen(it: _Decided, there: Mapping[Ref, Record]) -> Foreseen:
    if it.record is None or it.what not in (CREATE, UPDATE):
        return Foreseen(it.push.name, it.salesforce_id, it.what, it.reason)
    now = there.get(_ref(it))
    # An upsert of what is there already, under our own external id, writes over it: nothing is created twice.
    what = UPDATE if now is not None else CREATE
    settled = sharing.settle(it.push, it.record, it.link, now)
    if settled.conflicts:
        told = sharing.conflict(settled.conflicts)
        return Foreseen(it.push.name, it.salesforce_id, REJECT, f"{told.message} ({told.code})")
    lines = it.link.parts.get("lines", {}) if it.link else {}
    changes = tuple(_changes(without_line_ids(settled.record, lines), now))
    return Foreseen(it.push.name, it.salesforce_id, what, it.reason, changes)


def _changes(then: Record, now: Record | None) -> Iterator[Change]:
    before = now.fields if now is not None else {}
    for name, value in then.fields.items():
        if name in LINE_LISTS and isinstance(value, list):
            yield from _line_changes(name, value, before.get(name) or [])
        elif not same(value, before.get(name)):
            yield Change(name, before.get(name), value)


def _typed(then: Any, now: Any) -> Any:
    """Return what NetSuite tells as text (a rate may be a percentage there) as the number it is compared with."""
    try:
        return Decimal(now) if isinstance(then, Decimal) and isinstance(now, str) else now
    except InvalidOperation:
        return now


def _line_changes(name: str, then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    by_key = {row.get("line"): row for row in now}
    left = dict(by_key)
    for position, row in enumerate(then, start=1):
        old = left.pop(row.get("line"), None) if row.get("line") is not None else None
        if old is None:
            yield Change(f"{name}[{position}]", None, {k: v for k, v in row.items() if k not in (LINE_ID, "line")})
            continue
        for inner, value in row.items():
            # What is empty on a line is not sent: SuiteTalk clears fields of a record, not those of its lines.
            if (
                value is not None
                and inner not in (LINE_ID, "line", "price")
                and not same(value, _typed(value, old.get(inner)))
            ):
                yield Change(f"{name}[{position}].{inner}", old.get(inner), value)
    for key, old in left.items():
        yield Change(f"{name}, line {key}", {k: old.get(k) for k in ("item", "amount", "description")}, None)
