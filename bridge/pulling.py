"""Pull what changed in NetSuite: closed windows by its own clock, with overlap; stored before the watermark moves.

Stopping anywhere costs only a second reading: rows are messages with a version, and an old version changes nothing.

Must not know: SOAP, HTTP.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bridge.delivery import Delivery
from bridge.failpoints import reached
from bridge.ledger import marks, messages, plain
from bridge.mapping import Pull
from bridge.ports import Fields, Record, Ref

PAGE = 200  # records stored in one transaction
SETTLE = timedelta(minutes=2)  # NetSuite's index may lag behind its clock, so a window ends a little in its past
FIRST = timedelta(days=1)  # how far back the very first window reaches; a backfill names its own start
OVERLAP = {"customerPayment": timedelta(hours=24)}
DEFAULT_OVERLAP = timedelta(minutes=15)

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class PullReport:
    """What a pull read and how much of it was news. Times are aware UTC."""

    sync: str
    since: datetime
    until: datetime
    read: int
    stored: int

    def sentence(self) -> str:
        return f"{self.read} read, {self.stored} new or changed, up to {self.until:%Y-%m-%d %H:%M:%S} UTC"


def pull(
    engine: Delivery,
    name: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    settle: timedelta = SETTLE,
    progress: Progress = lambda read: None,
) -> PullReport:
    """Read everything of *name* that changed and store it for Salesforce; the watermark moves after the last row.

    Raises Deferred or Misconfigured from NetSuite: what was stored stays, the watermark does not move.
    """
    sync = engine.syncs.pulls[name]
    end = until or engine.netsuite.now() - settle
    with engine.ledger.read() as connection:
        mark = marks.read_watermark(connection, name)
    overlap = OVERLAP.get(sync.source, DEFAULT_OVERLAP)
    # A mark in the future (a restored backup, a clock set back) must not hide what changes until then.
    start = since or (min(mark, end) - overlap if mark else end - FIRST)
    read = stored = 0
    correlation = uuid.uuid4().hex
    for page in pages(engine.netsuite.changed(sync.source, start, end), PAGE):
        related = _related(engine, sync, page)
        new = [_message(engine, sync, it, related) for it in page]
        with engine.ledger.write() as writing:
            stored += len(messages.accept(writing, new, correlation))
        reached("after_pull_store")
        read += len(page)
        progress(read)
    reached("before_watermark")
    if mark is None or start <= mark < end or (mark > end and until is None):
        # Not where *since* lay behind the mark: what is between them has not been read.
        with engine.ledger.write() as writing:
            marks.move_watermark(writing, name, end)
    return PullReport(name, start, end, read, stored)


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


def _related(engine: Delivery, sync: Pull, page: list[Record]) -> dict[str, Fields]:
    follow = sync.follow
    if follow is None:
        return {}
    ids = list(dict.fromkeys(one for it in page for one in follow.source(it.fields)))
    if not ids:
        return {}
    found = engine.netsuite.get([Ref(follow.kind, id=one) for one in ids], follow.fields)
    return {one: it.fields for one, it in zip(ids, found, strict=True) if it is not None}


def _message(engine: Delivery, sync: Pull, it: Record, related: dict[str, Fields]) -> messages.New:
    netsuite_id = str(it.ref.id)
    wanted = set(sync.follow.source(it.fields)) if sync.follow else set()
    payload = {
        "source": {**it.fields, "internalId": netsuite_id, "url": engine.netsuite.url(it.ref)},
        "related": {one: related[one] for one in wanted if one in related},
    }
    modified = it.modified_at or datetime.now(UTC)
    return messages.New(
        sync.name, sync.source, netsuite_id, int(modified.timestamp()), modified, sync.name, plain.dumps(payload),
        "pull", plain.fingerprint(payload), write_back=False,
    )  # fmt: skip
