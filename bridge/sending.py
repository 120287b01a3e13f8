"""Send prepared work and learn what became of it: resolve what is uncertain, upsert, read numbers and line keys back.

No transaction is open here. Every outcome is a value; nothing is recorded yet.

Must not know: SQL, SOAP, HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from bridge import applying, leaving, merging, periods, sharing, totals
from bridge.comparing import agrees
from bridge.errors import BridgeError, Deferred, Misconfigured, Rejected, Uncertain
from bridge.failpoints import reached
from bridge.inheriting import inherit
from bridge.ledger.keeping import Overtaken, kept
from bridge.mapping import LINE_ID, LINE_LISTS, Pull, Push
from bridge.outcome import CHANGED
from bridge.ports import CountedSystem, Jobs, MirrorSystem, RateSource, Record, Ref, System, Written
from bridge.work import Work

ONE_CALL = 200  # rows that are surely written within one call; more of them may take a bulk job, and its time
NUMBER_FIELDS = ("tranId", "itemList", "expenseList")
ENTITIES = ("customer", "vendor")  # what others refer to: making one anew tears them apart
TRUST = timedelta(minutes=5)  # after a write; later somebody may have deleted it, which an upsert would not tell


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of *work*. *adopted*: it had arrived before, and was found instead of sent again."""

    work: Work
    outcome: Written | BridgeError
    adopted: bool = False


def send(
    work: Sequence[Work],
    netsuite: CountedSystem,
    salesforce: MirrorSystem,
    *,
    interactive: bool,
    keep: Callable[[], None],
    jobs: Jobs | None = None,
) -> list[Sent]:
    """Send *work*, each piece settled on its own, in order.

    *keep* is called before each call that writes: it makes sure that the lanes are still ours for as long as the call
    may last, or raises Overtaken. What was sent before that is told all the same; the rest was not sent.
    *jobs* hears of bulk jobs, which may outlive this process.
    """
    pushes = [it for it in work if isinstance(it.sync, Push)]
    others = [it for it in work if not isinstance(it.sync, Push)]
    unasked = inherit(pushes, netsuite, salesforce, interactive=interactive)
    if unasked is not None:
        there = [Sent(it, unasked) for it in pushes]
    else:
        there = _to_netsuite(pushes, netsuite, interactive, keep) if pushes else []
    if not others:
        return there
    try:
        keep()
    except Overtaken:
        return [*there, *map(_not_sent, others)]
    balances = _balances([it for it in others if it.row.sync == totals.SYNC], netsuite, salesforce)
    settled = {it.work.row.id for it in balances}
    rows = [it for it in others if it.row.id not in settled]
    if sum(len(it.records) for it in rows) > ONE_CALL:
        with kept(keep):
            written = _told(rows, salesforce.upsert(_records(rows), interactive=interactive, jobs=jobs))
    else:
        written = _told(rows, salesforce.upsert(_records(rows), interactive=interactive)) if rows else []
    reached("after_writeback")
    return [*there, *balances, *written]


def _not_sent(work: Work) -> Sent:
    return Sent(work, Deferred("Other hands took over one of its lanes before it was sent.", code="OVERTAKEN"))


def _balances(work: list[Work], netsuite: RateSource, salesforce: MirrorSystem) -> list[Sent]:
    """Fill in what each piece of balance work writes; return those that could not be read or need no writing."""
    done: list[Sent] = []
    by_pull: dict[str, list[Work]] = {}
    for it in work:
        if isinstance(it.sync, Pull):
            by_pull.setdefault(it.sync.name, []).append(it)
    for own in by_pull.values():
        pull = own[0].sync
        if not isinstance(pull, Pull) or pull.totals is None:
            continue
        try:
            money = totals.Money(netsuite, own[0].parts["currency"], own[0].parts["rate_of"])
            found = totals.refreshed(salesforce, pull, pull.totals, [it.row.source_id for it in own], money)
        except BridgeError as error:
            done += [Sent(it, error) for it in own]
            continue
        for it in own:
            records = found.get(it.row.source_id, [])
            if isinstance(records, BridgeError):
                done.append(Sent(it, records))
                continue
            it.records = records
            if not it.records:
                done.append(Sent(it, Written(Ref(it.row.source_kind, id=it.row.source_id))))
    return done


def _to_netsuite(work: list[Work], netsuite: CountedSystem, interactive: bool, keep: Callable[[], None]) -> list[Sent]:
    done: dict[int, Sent] = {}
    for it in work:
        it.dated, it.records[0] = periods.of_link(it.records[0], it.link), periods.as_dated(it.records[0], it.link)
    ask = [
        it
        for it in work
        if it.resolve or it.leaves or _was_changed(it) or _shares(it) or _lines_unknown(it) or _may_be_gone(it)
    ]
    if ask:
        try:
            found = netsuite.get([_asked(it) for it in ask], interactive=interactive)
        except BridgeError as error:
            found = []
            for it in ask:
                # A look-up that failed proves nothing: what was uncertain stays uncertain.
                unsure = Uncertain(error.message, code=error.code, detail=error.detail)
                plain = not it.resolve or isinstance(error, Misconfigured) or getattr(error, "throttled", False)
                done[it.row.id] = Sent(it, error if plain else unsure)
        for it, record in zip(ask, found, strict=False):
            if it.leaves and not (it.resolve and record and agrees(it.records[0], record)):
                settled = _leaves(it, record)
                done |= {it.row.id: Sent(it, settled)} if settled else {}
                continue
            if _may_be_gone(it) and (wrong := _not_as_linked(it, record)) is not None:
                done[it.row.id] = Sent(it, wrong)
                continue
            if record is None:
                continue
            if (it.resolve or _was_changed(it)) and agrees(it.records[0], record):
                _remember(it, record)
                _settle_shared(it, record)
                done[it.row.id] = Sent(it, Written(record.ref), adopted=True)
            elif it.resolve or _was_changed(it) or _lines_unknown(it):
                it.parts = {"lines": _paired(_sent_before(it), record, _known_lines(it))}
            if it.row.id not in done and (told := _settle_shared(it, record)) is not None:
                done[it.row.id] = Sent(it, told)
    for it in work:
        if it.shared is None and it.row.id not in done:
            _settle_shared(it, None)
    rest = _within_what_is_open([it for it in work if it.row.id not in done], done, netsuite)
    if rest:
        ready = [without_line_ids(it.records[0], _known_lines(it)) for it in rest]
        try:
            keep()
        except Overtaken:
            return [done.get(it.row.id) or _not_sent(it) for it in work]
        outcomes = netsuite.upsert(ready, interactive=interactive)
        if any(map(periods.is_closed, outcomes)):
            outcomes = _of_closed_periods(rest, ready, outcomes, netsuite, interactive, keep)
        for it, outcome in zip(rest, outcomes, strict=True):
            done[it.row.id] = Sent(it, outcome)
            if isinstance(outcome, Written) and isinstance(it.sync, Push) and it.sync.numbered:
                # In this order they stand in NetSuite now, whether or not their keys can be read back.
                ids, known = line_ids(it.records[0]), _known_lines(it)
                it.parts = {"lines": {one: known[one] for one in ids if one in known}, "order": ids}
        _read_back([it for it in rest if isinstance(done[it.row.id].outcome, Written)], done, netsuite, interactive)
    failed = {it.name for it in work if not isinstance(done[it.row.id].outcome, Written)}
    return [_blame_parent(done[it.row.id], failed) for it in work]


def _of_closed_periods(
    work: list[Work],
    ready: list[Record],
    outcomes: list[Written | BridgeError],
    netsuite: CountedSystem,
    interactive: bool,
    keep: Callable[[], None],
) -> list[Written | BridgeError]:
    """Date what a closed period refused into the next open one where the site wishes that; else name the period."""
    told, again = list(outcomes), dict[int, tuple[Record, periods.Dated]]()
    for place, (it, outcome) in enumerate(zip(work, outcomes, strict=True)):
        if isinstance(outcome, Rejected) and isinstance(it.sync, Push) and periods.is_closed(outcome):
            found = periods.judged(ready[place], outcome, netsuite, it.sync.closed_period)
            if isinstance(found, Rejected):
                told[place] = found
            else:
                again[place] = found
    if not again:
        return told
    try:
        keep()
    except Overtaken:
        return [_not_sent(it).outcome if place in again else told[place] for place, it in enumerate(work)]
    second = netsuite.upsert([record for record, _ in again.values()], interactive=interactive)
    for (place, (_, dated)), outcome in zip(again.items(), second, strict=True):
        told[place], work[place].dated = outcome, dated
    return told


def _may_be_gone(work: Work) -> bool:
    """Say whether this would write to an entity of which nobody has heard for a while, and no person asked for it."""
    known, at = work.link, work.sent_at
    if known is None or known.kept_at is None or at is None or work.resolve or work.row.forced:
        return False
    return work.records[0].ref.kind in ENTITIES and at - known.kept_at > TRUST


def _was_changed(work: Work) -> bool:
    """Say whether somebody changed the record while it was being sent: its lines may have other keys since."""
    return work.row.code in CHANGED


def _asked(work: Work) -> Ref:
    """Return by what a record is looked up: by its own id where it may have lost ours."""
    ref = work.records[0].ref
    by_own_id = work.link is not None and (work.leaves or _shares(work) or _may_be_gone(work)) and not work.resolve
    return Ref(ref.kind, id=work.link.target_id) if work.link and by_own_id else ref


def _shares(work: Work) -> bool:
    """Say whether this would write fields that NetSuite's people may have changed."""
    return work.link is not None and isinstance(work.sync, Push) and bool(work.sync.shared) and not work.leaves


def _settle_shared(work: Work, found: Record | None) -> BridgeError | Written | None:
    """Leave out the shared fields that may not be written; return what became of it where nothing is to be sent."""
    push, record = work.sync, work.records[0]
    if not isinstance(push, Push) or not push.shared or work.leaves:
        return None
    settled = sharing.settle(push, record, work.link, found, work.row.payload)
    if settled.conflicts:
        return sharing.conflict(settled.conflicts)
    work.shared = settled.pairs
    work.records = [settled.record]
    return Written(found.ref) if found is not None and not settled.record.fields else None


def _not_as_linked(work: Work, found: Record | None) -> Rejected | None:
    """Return why a linked entity is not written to: an upsert would silently make another one."""
    known, push, ours = work.link, work.sync, work.records[0].ref.external_id or ""
    if known is None or not isinstance(push, Push):
        return None
    if found is None:
        return merging.deleted(push, known.target_id)
    return (
        merging.unnamed(push, known.target_id, ours) if (found.ref.external_id or "").lower() != ours.lower() else None
    )


def _leaves(work: Work, found: Record | None) -> Rejected | Written | None:
    """Return what there is to say instead of the last word about a deleted Account."""
    if work.link is None or not isinstance(work.sync, Push):
        return None
    return (_not_as_linked(work, found) if found else None) or leaving.refused(work.sync, work.link, found)


def without_line_ids(record: Record, keyed: Mapping[str, Any]) -> Record:
    """Return *record* ready to send: its lines carry NetSuite's line keys where known, and our ids no longer."""
    fields = dict(record.fields)
    for name in LINE_LISTS:
        if fields.get(name):
            fields[name] = [
                {**({"line": keyed[row[LINE_ID]]} if row.get(LINE_ID) in keyed else {}),
                 **{key: value for key, value in row.items() if key != LINE_ID}}
                for row in fields[name]
            ]  # fmt: skip
    return replace(record, fields=fields)


def _within_what_is_open(rest: list[Work], done: dict[int, Sent], netsuite: System) -> list[Work]:
    """Return what may be sent; what would credit or pay back more than is open is settled in *done*."""
    ask = [it for it in rest if applying.applies(it.records[0])]
    if not ask:
        return rest
    wrong: dict[int, BridgeError] = {}
    try:
        found = applying.refused([it.records[0] for it in ask], netsuite)
        wrong = {ask[place].row.id: error for place, error in found.items()}
    except BridgeError as error:
        for it in ask:
            unsure = Uncertain(error.message, code=error.code, detail=error.detail)
            plain = not it.resolve or isinstance(error, Misconfigured) or getattr(error, "throttled", False)
            wrong[it.row.id] = error if plain else unsure
    done.update((it.row.id, Sent(it, wrong[it.row.id])) for it in ask if it.row.id in wrong)
    return [it for it in rest if it.row.id not in wrong]


def _blame_parent(sent: Sent, failed: set[str]) -> Sent:
    """A record refused because the one before it in the same list failed is not wrong itself: it waits."""
    if sent.work.after & failed and isinstance(sent.outcome, Rejected):
        wait = Deferred("A record it refers to was not accepted.", code="WAITING_FOR_PARENT", detail=sent.outcome.code)
        return Sent(sent.work, wait)
    return sent


def _lines_unknown(work: Work) -> bool:
    push = work.sync
    if not isinstance(push, Push) or not push.numbered or work.link is None:
        return False
    known = work.link.parts.get("lines") or {}
    return not known or any(one not in known for one in work.link.parts.get("order", ()))


def _sent_before(work: Work) -> list[str]:
    """Return our ids of the lines in the order in which they were last sent, not as they are to be now."""
    before = work.link.parts.get("order") if work.link else None
    return list(before) if before else line_ids(work.records[0])


def _known_lines(work: Work) -> dict[str, Any]:
    if work.parts.get("lines"):
        return dict(work.parts["lines"])
    return dict(work.link.parts.get("lines", {})) if work.link else {}


def _read_back(written: list[Work], done: dict[int, Sent], netsuite: System, interactive: bool) -> None:
    """Read numbers and line keys: an upsert's answer holds only ids. A failure here costs the number, not the order."""
    ask = [it for it in written if isinstance(it.sync, Push) and (it.sync.numbered or it.sync.shared)]
    if not ask:
        return
    names = dict.fromkeys(
        (*NUMBER_FIELDS, *(it for one in ask if isinstance(one.sync, Push) for it in one.sync.shared))
    )
    refs = [outcome.ref for it in ask if isinstance(outcome := done[it.row.id].outcome, Written)]
    try:
        found = netsuite.get(refs, tuple(names), interactive=interactive)
    except BridgeError:
        return
    for it, record in zip(ask, found, strict=False):
        if record is not None:
            _remember(it, record)
            it.shared = it.shared and sharing.read_back(it.shared, it.records[0], record)


def _remember(work: Work, found: Record) -> None:
    if isinstance(work.sync, Push) and work.sync.numbered:
        work.number = found.fields.get("tranId") or work.number
        ids = line_ids(work.records[0])
        work.parts = {"lines": _paired(ids, found, _known_lines(work)), "order": ids}


def keyed(sent: Record, found: Record, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return Salesforce line id → NetSuite line key. Lines keep their order; a key that still exists stays."""
    return _paired(line_ids(sent), found, known)


def line_ids(record: Record) -> list[str]:
    """Return our ids of a record's lines, in order."""
    return [row[LINE_ID] for name in LINE_LISTS for row in record.fields.get(name) or [] if LINE_ID in row]


def _paired(ours: Sequence[str], found: Record, known: Mapping[str, Any]) -> dict[str, Any]:
    there = [row for name in LINE_LISTS for row in found.fields.get(name) or []]
    keys = [row["line"] for row in there if row.get("line") is not None]
    stay = {it: known[it] for it in ours if known.get(it) in keys}
    free = [key for key in keys if key not in stay.values()]
    return {**stay, **dict(zip([it for it in ours if it not in stay], free, strict=False))}


def _records(work: Sequence[Work]) -> list[Record]:
    return [record for it in work for record in it.records]


def _told(work: Sequence[Work], answer: Sequence[Written | BridgeError]) -> list[Sent]:
    """Return what became of each piece, by what became of all its rows."""
    outcomes = iter(answer)
    sent = []
    for it in work:
        own = [next(outcomes) for _ in it.records]
        worst = max((one for one in own if isinstance(one, BridgeError)), key=_severity, default=None)
        sent.append(Sent(it, own[0] if worst is None else worst))
    return sent


def _severity(error: BridgeError) -> int:
    order = (Rejected, Deferred, Uncertain, Misconfigured)
    return next(index for index, kind in enumerate(order) if isinstance(error, kind))
