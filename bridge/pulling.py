"""Pull what changed in NetSuite: closed windows by its own clock, with overlap; stored before the watermark moves.

Stopping anywhere costs only a second reading: rows are messages with a version, and an old version changes nothing.
What was read before, with the same stamp and the same content, is not stored again.

Must not know: SOAP, HTTP.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from bridge import unfinished
from bridge.ahead import ahead
from bridge.carrying import PAGE, Reading, Stream
from bridge.delivery import Delivery
from bridge.errors import BridgeError, Deferred
from bridge.failpoints import reached
from bridge.ledger import Writing, clocks, marks, messages, plain, pulled
from bridge.mapping import Follow, Pull
from bridge.matching import applications, match_again
from bridge.ports import Deleted, Fields, Record, Ref, Skipped, Window

# More records than that are written by bulk jobs, which Salesforce advises above 2,000. By collections of 200 rows,
# 5,000 orders of five lines take 150 of the day's calls, which no organisation misses, and wait in no queue; twenty
# times as many take a fifth of the 15,000 calls of the smallest ones.
MUCH = 5_000
TOGETHER = 7_500  # rows that are gathered for that: thousands for each job, and all of them in memory
SETTLE = timedelta(minutes=2)  # NetSuite's index may lag behind its clock, so a window ends a little in its past
FIRST = timedelta(days=1)  # how far back the very first window reaches; a backfill names its own start
OVERLAP = {"customerPayment": timedelta(hours=24)}
DEFAULT_OVERLAP = timedelta(minutes=15)
MOST_UNREAD = 100  # records that could not be read before, tried again with each pull
MOMENT = timedelta(microseconds=1)
LAST_MOMENT = timedelta(microseconds=999_999)  # of a second: NetSuite's stamps have no finer grain

Progress = Callable[[int, int], None]  # how many were read, and how many there are in all


@dataclass(frozen=True, slots=True)
class PullReport:
    """What a pull read and how much of it was news. Times are aware UTC.

    *unchanged* was read before. *matched* left suspense. *skipped* could not be read, and is tried again every time.
    """

    sync: str
    since: datetime
    until: datetime
    read: int
    stored: int
    unchanged: int = 0
    deleted: int = 0
    matched: int = 0
    skipped: tuple[Skipped, ...] = ()

    def sentence(self) -> str:
        gone = f", {self.deleted} deleted" if self.deleted else ""
        named = ", ".join(f"{it.ref.kind} {it.ref.id or '(unknown)'}: {it.reason}" for it in self.skipped)
        left_out = f", {len(self.skipped)} could not be read ({named})" if named else ""
        news = f"{self.read} read, {self.stored} new or changed, {self.unchanged} known already"
        matched = f", {self.matched} matched to an Application" if self.matched else ""
        return f"{news}{gone}{matched}{left_out}, up to {self.until:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(slots=True)
class Taken:
    """What has been read and stored so far."""

    correlation: str = field(default_factory=lambda: uuid.uuid4().hex)
    read: int = 0
    stored: int = 0
    unchanged: int = 0
    matched: int = 0
    skipped: dict[Ref, Skipped] = field(default_factory=dict)
    touched: dict[Ref, Record] = field(default_factory=dict)


def pull(
    engine: Delivery,
    name: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    now: datetime | None = None,
    settle: timedelta = SETTLE,
    progress: Progress = lambda read, total: None,
) -> PullReport:
    """Read everything of *name* that changed and store it for Salesforce; the watermark moves after the last row.

    *now* is NetSuite's own time where the caller has just asked for it. Raises Deferred or Misconfigured from NetSuite:
    what was stored stays, and the watermark stands at the end of the last window that was stored whole.
    """
    sync = engine.syncs.pulls[name]
    end = last_moment(engine, until, now, settle)
    with engine.ledger.read() as connection:
        mark = marks.read_watermark(connection, name)
    overlap = OVERLAP.get(sync.source, DEFAULT_OVERLAP)
    # A mark in the future (a restored backup, a clock set back) must not hide what changes until then.
    start = since or (min(mark, end) - overlap if mark else end - FIRST)
    taken = Taken()
    unfinished.wait(engine.ledger, engine.salesforce, name, engine.stopping)
    with Stream(engine, sync, taken.correlation) as stream:
        retry_unread(stream, taken)
        taken.matched = match_again(engine.ledger, engine.salesforce, engine.syncs, sync, taken.correlation)
        for reached_by in take(stream, start, end, taken, progress):
            if reached_by < end and _moves(mark, start, reached_by):
                mark = reached_by
                move(engine, name, mark)
    gone = _take_deleted(engine, sync, start, end, taken.correlation)
    if _moves(mark, start, end) or (mark is not None and mark > end and until is None):
        move(engine, name, end)
    skipped = tuple(taken.skipped.values())
    return PullReport(name, start, end, taken.read, taken.stored, taken.unchanged, gone, taken.matched, skipped)


def last_moment(engine: Delivery, until: datetime | None, now: datetime | None, settle: timedelta) -> datetime:
    """Return where a range may end: in the past of NetSuite's clock, at a whole second."""
    settled = (now or engine.netsuite.now()) - settle
    return min(until or settled, settled).astimezone(UTC).replace(microsecond=0)


def _moves(mark: datetime | None, start: datetime, to: datetime) -> bool:
    """Say whether a watermark may move. Not where *start* lay behind it: what is between has not been read."""
    return mark is None or start <= mark < to


def move(engine: Delivery, job: str, to: datetime) -> None:
    reached("before_watermark")
    with engine.ledger.write() as writing:
        marks.move_watermark(writing, job, to)


def take(stream: Stream, since: datetime, until: datetime, taken: Taken, progress: Progress) -> Iterator[datetime]:
    """Store what changed in ``[since, until]`` and have it written; yield, after each window, how far all is stored."""
    with closing(ahead(stream.engine.netsuite.windows(stream.sync.source, since, until))) as windows:
        for window in windows:
            stream.together = TOGETHER if window.total > MUCH else 0
            for page in pages(window.rows, PAGE):
                _go_on(stream.engine)
                taken.read += len(page)
                store(stream, page, taken)
                progress(taken.read, window.total)
            _keep_skipped(stream, window, taken)
            yield window.until


def _go_on(engine: Delivery) -> None:
    """Raise Deferred where this process is to end, or leaves the work to others: what was stored stays."""
    if engine.stopping.is_set():
        raise Deferred("The bridge is being stopped; it goes on with its next start.", code="STOPPING")
    clocks.hold(engine.ledger)


def pages(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    """Yield *records* in lists of *size*: one page in memory at a time."""
    page: list[Record] = []
    for it in records:
        page.append(it)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page


def store(stream: Stream, page: Sequence[Record], taken: Taken) -> None:
    """Store those of *page* that say something new, and have them written."""
    engine, sync = stream.engine, stream.sync
    with engine.ledger.read() as connection:
        seen = pulled.newest(connection, sync.name, [str(it.ref.id) for it in page])
    news: list[tuple[Record, datetime, str, str]] = []
    for it in page:
        text = plain.dumps(dict(it.fields))
        stamp, mark = it.modified_at or datetime.now(UTC), plain.digest(text)
        known = seen.get(str(it.ref.id))
        if known is not None and stamp <= known.modified_at:
            if stamp < known.modified_at.replace(microsecond=0) or known.mark in (mark, GONE):
                continue
            # Changed once more within the second, or without a new stamp.
            stamp = known.modified_at + MOMENT
        news.append((it, stamp, mark, text))
    taken.unchanged += len(page) - len(news)
    if not news:
        return
    fresh = [it for it, *_ in news]
    related = _related(engine, sync.follow, [it.fields for it in fresh], taken)
    _pass_on(engine, sync, [str(it.ref.id) for it in fresh if it.ref.id in seen], taken)
    told = applications(engine.ledger, engine.salesforce, engine.syncs, sync, fresh, related)
    readings = [_reading(engine, sync, it, stamp, (mark, text), related, told) for it, stamp, mark, text in news]
    stored = stream.put(readings)
    taken.stored += stored
    taken.unchanged += len(readings) - stored


def _related(engine: Delivery, follows: Sequence[Follow], sources: Sequence[Fields], taken: Taken) -> dict[str, Fields]:
    """Read what *sources* lead to, and remember it for the syncs that pull it by themselves."""
    related: dict[str, Fields] = {}
    for follow in follows:
        refs = [Ref(follow.kind, id=one) for one in dict.fromkeys(one for it in sources for one in follow.source(it))]
        fresh = _read(engine, follow, [ref for ref in refs if ref not in taken.touched], taken)
        taken.touched.update((it.ref, it) for it in fresh)
        found = [taken.touched[ref] for ref in refs if ref in taken.touched]
        related |= {str(it.ref.id): it.fields for it in found}
        related |= _related(engine, follow.then, [it.fields for it in found], taken)
    return related


def _read(engine: Delivery, follow: Follow, refs: Sequence[Ref], taken: Taken) -> list[Record]:
    if not refs:
        return []
    try:
        found = engine.netsuite.get(refs, follow.fields)
    except Deferred:
        raise
    except BridgeError:
        # One that may not be seen must not keep back all the others.
        found = []
        for ref in refs:
            one = read_one(engine, ref)
            if isinstance(one, Skipped):
                taken.skipped[ref] = one
            found.append(one if isinstance(one, Record) else None)
    return [replace(it, ref=ref) for ref, it in zip(refs, found, strict=True) if it is not None]


def _pass_on(engine: Delivery, sync: Pull, before: Sequence[str], taken: Taken) -> None:
    """Give what was read beside *sync* to the syncs that have seen it already.

    Whether a document that is paid or credited gets a new stamp of its own is not documented; so it is looked at when
    the payment comes, and also where a payment that changed was applied before.
    """
    if before and sync.follow:
        with engine.ledger.read() as connection:
            rows = pulled.latest(connection, sync.name, before)
        former = [payload["source"] for row in rows.values() if "source" in (payload := plain.loads(row.payload))]
        _related(engine, sync.follow, former, taken)
    touched, taken.touched = taken.touched, {}
    for other in engine.syncs.pulls.values():
        own = [it for ref, it in touched.items() if ref.kind == other.source]
        if other is sync or not own:
            continue
        with engine.ledger.read() as connection:
            known = pulled.newest(connection, other.name, [str(it.ref.id) for it in own])
        fresh = [it for it in own if it.ref.id in known]
        if fresh:
            beside = Taken(taken.correlation)
            with Stream(engine, other, taken.correlation) as stream:
                store(stream, fresh, beside)
            taken.skipped.update(beside.skipped)


def read_one(engine: Delivery, ref: Ref) -> Record | Skipped | None:
    """Read one record; say why where NetSuite refuses. Raises Deferred."""
    try:
        (found,) = engine.netsuite.get([ref])
    except Deferred:
        raise
    except BridgeError as error:
        return Skipped(ref, error.code, f"NetSuite refuses to show it ({error.detail or error.code}).")
    return found


def _reading(
    engine: Delivery,
    sync: Pull,
    it: Record,
    stamp: datetime,
    written: tuple[str, str],
    related: dict[str, Fields],
    told: dict[str, str],
) -> Reading:
    netsuite_id = str(it.ref.id)
    mark, text = written
    own = {"internalId": netsuite_id, "url": engine.netsuite.url(it.ref)}
    beside: dict[str, Any] = {
        "related": sync.followed(it.fields, related),
        **({"application": told[netsuite_id]} if netsuite_id in told else {}),
    }
    source = {**it.fields, **own}
    if len(source) == len(it.fields) + len(own) and len(it.fields) > 1:
        # What was written out for the mark is not written out again: it is half of the work.
        payload = f'{{"source":{text[:-1]},{plain.dumps(own)[1:]},{plain.dumps(beside)[1:]}'
    else:
        payload = plain.dumps({"source": source, **beside})
    new = messages.New(
        sync.name, sync.source, netsuite_id, int(stamp.timestamp()), stamp, sync.name, payload, "pull",
        mark, write_back=False,
    )  # fmt: skip
    return Reading(new, {"source": source, **beside})


# --- what cannot be read, and what is gone ---

GONE = "deleted"  # instead of a hash of what a record says


def _keep_skipped(stream: Stream, window: Window, taken: Taken) -> None:
    """Put what could not be read on the error desk, once, so that nobody believes it was pulled."""
    engine, sync = stream.engine, stream.sync
    fresh = [it for it in window.skipped if it.ref not in taken.skipped]
    taken.skipped.update((it.ref, it) for it in fresh)
    named = [it for it in fresh if it.ref.id is not None]
    if not named:
        return

    def keep(writing: Writing) -> None:
        waiting = {row.source_id for row in pulled.unread(writing.connection, sync.name)}
        new = [
            messages.New(
                sync.name, sync.source, str(it.ref.id), int(window.until.timestamp()), window.until + pulled.ASIDE,
                sync.name, plain.dumps({"skipped": {"code": it.code, "reason": it.reason}}), "pull", pulled.UNREAD,
                write_back=False,
            )
            for it in named
            if it.ref.id not in waiting
        ]  # fmt: skip
        pulled.keep_unread(writing, new, {str(it.ref.id): (it.code, it.reason) for it in named}, taken.correlation)

    engine.ledger.commit(keep)


def retry_unread(stream: Stream, taken: Taken) -> None:
    """Try again what could not be read before."""
    engine, sync = stream.engine, stream.sync
    with engine.ledger.read() as connection:
        waiting = pulled.unread(connection, sync.name)[:MOST_UNREAD]
    for row in waiting:
        ref = Ref(sync.source, id=row.source_id)
        one = read_one(engine, ref)
        if isinstance(one, Skipped):
            taken.skipped[ref] = one
            continue
        if one is not None:
            taken.read += 1
            store(stream, [one], taken)
        engine.ledger.commit(partial(pulled.settle_unread, rows=[row]))


def _take_deleted(engine: Delivery, sync: Pull, since: datetime, until: datetime, correlation: str) -> int:
    """Store that records we know were deleted; their mirrors say so from then on."""
    count = 0
    batch: list[Deleted] = list(engine.netsuite.deleted(sync.source, since, until))
    for start in range(0, len(batch), PAGE):
        page = batch[start : start + PAGE]
        with engine.ledger.read() as connection:
            known = pulled.newest(connection, sync.name, [str(it.ref.id) for it in page])
        new = [
            messages.New(
                sync.name, sync.source, str(it.ref.id), int(it.deleted_at.timestamp()),
                it.deleted_at.replace(microsecond=0) + LAST_MOMENT, sync.name,
                plain.dumps({"deleted": {"at": it.deleted_at, "merged_into": it.merged_into}}), "pull", GONE,
                write_back=False,
            )
            for it in page
            if it.ref.id in known and known[it.ref.id].mark != GONE
        ]  # fmt: skip
        _pass_on(engine, sync, [it.source_id for it in new], Taken(correlation))
        count += len(engine.ledger.commit(partial(messages.accept, new=new, correlation=correlation)))
    return count
