"""Reconcile: compare Salesforce, the ledger and NetSuite record by record, and keep what differs.

`compare` reads both systems in lists and pages and writes to neither. What it finds is the plan that `bridge.mending`
carries out. A record that is on its way, or on a person's desk, is no difference; nor is what is saved meanwhile.

Must not know: SOAP, HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, partial
from typing import Any

from sqlalchemy import Row

from bridge.delivery import Delivery
from bridge.errors import Deferred, Misconfigured, Rejected
from bridge.ledger import differences, incidents, links, messages, plain
from bridge.ledger.differences import AMOUNT, BROKEN, EXTRA, MISSING, OLDER, UNLINKED, Difference
from bridge.ledger.incidents import Incident
from bridge.ledger.links import Link
from bridge.ledger.models import DISMISSED, HELD, NEEDS_PERSON, OPEN
from bridge.mapping import LINE_LISTS, Push, external_id
from bridge.ports import Fields, Record, Ref
from bridge.preparing import CLOSED
from bridge.pulling import pages
from bridge.surviving import Heirs, heirs

PAGE = 500  # Salesforce records compared at a time; of each sync at most as many are in one getList
EVER = datetime(2000, 1, 1, tzinfo=UTC)  # before anything that either system holds
FRESH = timedelta(minutes=30)  # a save that no callout brought is the sweep's business first
FAMILY = "reconcile"

Progress = Callable[[str, int], None]  # of what, how many were read


@dataclass(slots=True)
class Sum:
    """Records of one sync in one currency, as far as both sides have them, and what they are worth on each."""

    count: int = 0
    ours: Decimal = Decimal(0)
    theirs: Decimal = Decimal(0)


@dataclass(slots=True)
class Compared:
    """What was looked at. *in_scope*: Salesforce records that belong in NetSuite; *there*: what has our external id."""

    in_scope: dict[str, int] = field(default_factory=dict)
    there: dict[str, int] = field(default_factory=dict)
    sums: dict[tuple[str, str], Sum] = field(default_factory=dict)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)  # differences by sync and kind
    waiting: int = 0  # on their way, or on a person's desk already
    left_out: dict[str, str] = field(default_factory=dict)  # sync → why it could not be compared

    def differing(self) -> int:
        return sum(self.counts.values())

    def sentence(self) -> str:
        found: dict[str, int] = {}
        for (_, what), count in self.counts.items():
            found[what] = found.get(what, 0) + count
        told = ", ".join(f"{count} {what}" for what, count in found.items())
        left = "".join(f"; {sync} was not compared: {why}" for sync, why in self.left_out.items())
        return f"{sum(self.in_scope.values())} compared, {told or 'no difference'}{left}"


@dataclass(frozen=True, slots=True)
class _One:
    """One Salesforce record and one of its syncs, with what the ledger knows.

    *stands* is its newest message; *is_seen*: that one says what Salesforce says now.
    """

    push: Push
    source: Record
    link: Link | None
    stands: Row[Any] | None
    is_seen: bool

    @property
    def id(self) -> str:
        return str(self.source.ref.id)

    @property
    def name(self) -> str:
        return (self.link.external_id if self.link else None) or external_id(self.push.external_id, self.id)


def compare(
    engine: Delivery,
    *,
    progress: Progress = lambda what, read: None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Compared:
    """Compare everything, and keep what differs in the ledger. Raises Deferred, or Misconfigured for Salesforce."""
    found, begun = Compared(), engine.ledger.moment()
    now = engine.salesforce.now()
    for kind in dict.fromkeys(push.source for push in engine.syncs.pushes.values()):
        read = 0
        try:
            wanted = engine.salesforce.changed(kind, EVER, now + timedelta(seconds=1), engine.syncs.reads(kind))
            for page in pages(wanted, PAGE):
                _go_on(is_stopped)
                _compare_page(engine, kind, page, now, found)
                read += len(page)
                progress(kind, read)
        except Misconfigured as error:
            # An object that came with a later package, or that the role may not read; the others are compared.
            found.left_out |= {push.name: error.message for push in engine.syncs.of_source(kind)}
    until = engine.netsuite.now()
    for push in engine.syncs.pushes.values():
        if push.name in found.left_out:
            continue
        heir_of = cache(partial(heirs, engine, push))
        try:
            for rows in _there(engine, push, until, found):
                _go_on(is_stopped)
                _strangers(engine, push, rows, heir_of)
                progress(push.target, found.there[push.name])
        except Misconfigured as error:
            found.left_out[push.name] = error.message
    whole = [name for name in engine.syncs.pushes if name not in found.left_out]
    engine.ledger.commit(lambda writing: differences.forget(writing, whole, begun))
    with engine.ledger.read() as connection:
        for it in differences.every(connection):
            found.counts[it.sync, it.what] = found.counts.get((it.sync, it.what), 0) + 1
    _report(engine, found)
    return found


def _go_on(is_stopped: Callable[[], bool]) -> None:
    if is_stopped():
        raise Deferred("The comparison was stopped; it begins anew the next time.", code="STOPPED")


# --- from Salesforce to NetSuite -------------------------------------------------------------------------------------


def _compare_page(engine: Delivery, kind: str, page: Sequence[Record], now: datetime, found: Compared) -> None:
    known = _known(engine, kind, page)
    doubtful: list[tuple[_One, Difference]] = []
    for push in engine.syncs.of_source(kind):
        if push.name in found.left_out:
            continue
        own = [it for it in known if it.push is push and push.held(it.source.fields, engine.syncs.context) is None]
        try:
            there = _read(engine, push, own)
        except Misconfigured as error:
            found.left_out[push.name] = error.message
            continue
        for one in own:
            record = there[one.name]
            if one.link is None and record is None and (push.on_demand or _is_older_than_us(one)):
                continue  # nothing needs it yet, or nobody has saved it since
            found.in_scope[push.name] = found.in_scope.get(push.name, 0) + 1
            if _is_on_its_way(one) or _is_merged(one.link):
                found.waiting += 1
                continue
            differs = _differs(engine, one, record, now, found)
            if differs is not None:
                doubtful.append((one, differs))
    # Whatever was saved or delivered while we were reading is no difference.
    steady = _steady(engine, kind, [one for one, _ in doubtful])
    kept = [it for one, it in doubtful if (one.push.name, one.id) in steady]
    engine.ledger.commit(lambda writing: differences.keep(writing, kept))


def _known(engine: Delivery, kind: str, page: Sequence[Record]) -> list[_One]:
    pushes, ids, reads = engine.syncs.of_source(kind), [str(it.ref.id) for it in page], engine.syncs.reads(kind)
    marks = {str(it.ref.id): plain.source_mark({**it.fields, "Id": str(it.ref.id)}, reads) for it in page}
    with engine.ledger.read() as connection:
        linked = links.find(connection, [(push.name, it) for push in pushes for it in ids])
        newest = differences.standing(connection, ids, [push.name for push in pushes])
        other = [row.id for (_, it), row in newest.items() if row.source_hash != marks[it]]
        stored = {row.id: plain.loads(row.payload) for row in messages.by_ids(connection, other)}
    made = []
    for push in pushes:
        for it in page:
            pair = (push.name, str(it.ref.id))
            row, fields = newest.get(pair), {**it.fields, "Id": pair[1]}
            is_seen = row is not None and (row.id not in stored or plain.says_the_same(stored[row.id], fields, reads))
            made.append(_One(push, it, linked.get(pair), row, is_seen))
    return made


def _read(engine: Delivery, push: Push, own: Sequence[_One]) -> dict[str, Record | None]:
    """Read what NetSuite has under our external ids, and by its own ids what is not found so."""
    names = [it.name for it in own]
    there = dict(zip(names, _get(engine, [Ref(push.target, external_id=it) for it in names]), strict=True))
    lost = [it for it in own if there[it.name] is None and it.link is not None]
    by_id = _get(engine, [Ref(push.target, id=it.link.target_id) for it in lost if it.link])
    return {**there, **{it.name: record for it, record in zip(lost, by_id, strict=True)}}


def _get(engine: Delivery, refs: Sequence[Ref]) -> list[Record | None]:
    """Read in lists; where NetSuite refuses to show one record, that one counts as not there, and the rest is read."""
    if not refs:
        return []
    try:
        return engine.netsuite.get(refs)
    except Rejected:
        if len(refs) == 1:
            return [None]
        middle = len(refs) // 2
        return _get(engine, refs[:middle]) + _get(engine, refs[middle:])


def _is_on_its_way(one: _One) -> bool:
    """Say whether the ledger deals with it already: it is open, on a desk, or a person set it aside."""
    row = one.stands
    return row is not None and (
        row.state in (*OPEN, *NEEDS_PERSON, DISMISSED) or (row.state == HELD and row.code == "HELD_BY_PERSON")
    )


def _is_older_than_us(one: _One) -> bool:
    """Say whether it was never saved since the package counts versions: it becomes ours with its next save."""
    return one.stands is None and not one.source.fields.get("Bridge_Version__c")


def _is_merged(known: Link | None) -> bool:
    parts = known.parts if known else {}
    told = known is not None and parts.get("deleted") == known.target_id
    return told or "merged_into" in parts or "unnamed" in parts


def _differs(engine: Delivery, one: _One, there: Record | None, now: datetime, found: Compared) -> Difference | None:
    label, known = one.push.label or one.push.name, one.link
    fields = {**one.source.fields, "Id": one.id}
    if not one.is_seen and one.source.modified_at is not None and now - one.source.modified_at < FRESH:
        return None
    worth = one.push.worth(fields, engine.syncs.context.site) if one.push.worth else None
    currency = _currency(engine, fields, there)
    target = str(there.ref.id) if there else known.target_id if known else None
    base = Difference(
        one.push.name, one.name, one.id, MISSING, "", "administrator", target_id=target, currency=currency, ours=worth
    )
    if there is None:
        if known is None:
            return replace(base, sentence=f"{label} is not in NetSuite, and was never delivered.")
        return replace(base, sentence=f"{label} {known.number or known.target_id} is in NetSuite no longer.")
    if (there.ref.external_id or "").casefold() != one.name.casefold():
        said = f"{label} {target} has lost its external id in NetSuite; give it {one.name} by an import."
        return replace(base, what=BROKEN, sentence=said, who="accounting")
    if known is None:
        said = f"NetSuite has {label.lower()} {target}, and the ledger does not know of it."
        return replace(base, what=UNLINKED, sentence=said)
    if known.target_id != target:
        said = f"The ledger links to {known.target_id}; NetSuite has {target} under the external id."
        return replace(base, what=BROKEN, sentence=said)
    if not one.is_seen:
        said = f"Salesforce has a newer save than the one that was delivered (version {known.version})."
        return replace(base, what=OLDER, sentence=said)
    return _amount(engine, one, known, there, base, found)


def _amount(
    engine: Delivery, one: _One, known: Link, there: Record, base: Difference, found: Compared
) -> Difference | None:
    if known.fingerprint.startswith(CLOSED):
        return None
    try:
        made = one.push.record(one.id, {**one.source.fields, "Id": one.id}, engine.syncs.context)
    except Rejected:
        return None  # its next save says why
    ours, theirs = _amounts(made.fields, made.fields), _amounts(made.fields, there.fields)
    if not ours:
        return None
    together, first = found.sums.setdefault((one.push.name, base.currency or ""), Sum()), next(iter(ours))
    together.count += 1
    together.ours += ours[first]
    together.theirs += theirs.get(first, Decimal(0))
    for name, amount in ours.items():
        other = theirs.get(name)
        if other != amount:
            number = known.number or known.target_id
            said = f"{one.push.label} {number}: {name} is {amount} by Salesforce, {other} in NetSuite."
            return replace(base, what=AMOUNT, sentence=said, who="accounting", ours=amount, theirs=other)
    return None


def _amounts(wanted: Fields, fields: Fields) -> dict[str, Decimal]:
    """Return the sums of each list's amounts, and numbers of the record itself, of what *wanted* writes.

    What a credit is applied to is accounting's to change; of a refund it is all there is.
    """
    lists = [it for it in LINE_LISTS if wanted.get(it)] or ["applyList"]
    found: dict[str, Decimal] = {}
    for name, value in wanted.items():
        got = fields.get(name)
        if name in lists and value:
            rows = [it for it in got or () if it.get("apply", True)]
            found[name] = sum((Decimal(it.get("amount") or 0) for it in rows), Decimal(0))
        elif isinstance(value, Decimal) and isinstance(got, Decimal | int):
            found[name] = Decimal(got)
    return found


def _currency(engine: Delivery, fields: Fields, there: Record | None) -> str:
    told = fields.get("CurrencyIsoCode") or fields.get("Currency__c")
    if not told and there is not None and isinstance(there.fields.get("currency"), str):
        told = there.fields["currency"]
    return str(told or engine.syncs.context.site.get("currency") or "")


def _steady(engine: Delivery, kind: str, ones: Sequence[_One]) -> set[tuple[str, str]]:
    """Return those of *ones* that are as they were: not saved again, and nothing of theirs was delivered."""
    if not ones:
        return set()
    ids = list(dict.fromkeys(it.id for it in ones))
    again = engine.salesforce.get([Ref(kind, id=it) for it in ids], engine.syncs.reads(kind))
    known = {(it.push.name, it.id): it for it in _known(engine, kind, [it for it in again if it is not None])}
    steady = set()
    for one in ones:
        now = known.get((one.push.name, one.id))
        if (
            now is not None
            and now.source.modified_at == one.source.modified_at
            and (now.link and now.link.target_id) == (one.link and one.link.target_id)
            and (now.stands and (now.stands.id, now.stands.state)) == (one.stands and (one.stands.id, one.stands.state))
        ):
            steady.add((one.push.name, one.id))
    return steady


# --- from NetSuite to Salesforce -------------------------------------------------------------------------------------


def _there(engine: Delivery, push: Push, until: datetime, found: Compared) -> Iterator[Sequence[Record]]:
    """Yield, a page at a time, what NetSuite holds under this sync's external ids."""
    found.there[push.name] = 0
    for window in engine.netsuite.windows(push.target, EVER, until, external_id(push.external_id, "")):
        found.there[push.name] += len(window.rows)
        yield window.rows


def _strangers(engine: Delivery, push: Push, rows: Sequence[Record], heir_of: Callable[[], Heirs]) -> None:
    """Keep what has our external id and is unknown to the ledger: to be linked, or nobody's at all."""
    prefix = external_id(push.external_id, "")
    ids = {str(it.ref.external_id)[len(prefix) :]: it for it in rows if it.ref.external_id}
    with engine.ledger.read() as connection:
        by_source = links.find(connection, [(push.name, it) for it in ids])
        by_target = links.by_target(connection, [(push.name, str(it.ref.id)) for it in ids.values()])
        newest = differences.standing(connection, list(ids), [push.name])
    unknown = [
        it
        for it, record in ids.items()
        if (push.name, it) not in by_source
        and (push.name, str(record.ref.id)) not in by_target
        and not ((row := newest.get((push.name, it))) is not None and row.state in OPEN)
    ]
    if not unknown:
        return
    there = engine.salesforce.get([Ref(push.source, id=it) for it in unknown], engine.syncs.reads(push.source))
    label, new, taken = push.label or push.name, [], []
    for salesforce_id, source in zip(unknown, there, strict=True):
        record = ids[salesforce_id]
        base = Difference(
            push.name, str(record.ref.external_id)[:80], salesforce_id, EXTRA,
            f"{label} {record.ref.id} in NetSuite has our external id, and Salesforce has no such record.",
            "accounting", record.ref.id, _currency(engine, source.fields if source else {}, record),
        )  # fmt: skip
        if source is not None:
            said = f"NetSuite has {label.lower()} {record.ref.id}, and the ledger does not know of it."
            base = replace(base, what=UNLINKED, sentence=said, who="administrator")
        elif (heir := heir_of().get(str(record.ref.id))) is not None:
            said = f"{label} {record.ref.id} was taken over from a merged Account, and the ledger does not know of it."
            base = replace(base, what=UNLINKED, source_id=heir.source_id, sentence=said, who="administrator")
            taken.append(heir)
        new.append(base)
    with engine.ledger.write() as writing:
        differences.drop(writing, taken)
        differences.keep(writing, new)


def _report(engine: Delivery, found: Compared) -> None:
    """Keep an incident for every sync that differs, until it does no more."""
    by_sync: dict[str, list[str]] = {}
    for (sync, what), count in sorted(found.counts.items()):
        by_sync.setdefault(sync, []).append(f"{count} {what}")
    told = [
        Incident(
            f"{FAMILY}:{sync}", "DIFFERENCES_FOUND",
            f"{engine.syncs.pushes[sync].label if sync in engine.syncs.pushes else sync}: {', '.join(counts)}"
            " between Salesforce and NetSuite; 'bridge reconcile' lists them.",
        )
        for sync, counts in by_sync.items()
    ]  # fmt: skip
    families = (FAMILY,) if told or found.left_out else (FAMILY, "recovery")  # what was lost is there again
    with engine.ledger.write() as writing:
        incidents.report(writing, told)
        incidents.end(writing, families, [it.key for it in told])
