"""Everything that changed, provably: windows of time that one page holds, counted against NetSuite's own total.

A search that needs several pages is run again for each, so rows that are edited meanwhile shift the others past the
reader (NetSuite Help section_N3523074). So a range is cut until each part fits one page, and a part's ids are counted.
Where one second holds more than a page it is paged, and read again until a reading brings nothing new. What NetSuite
counts and does not show is found by narrowing down its internal id, and reported. Only rows and count of one and the
same answer are compared: between two answers rows may leave a window, and a hidden one would not be missed.

Must not know: what is done with the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isqrt
from typing import Any, Protocol

from bridge.errors import BridgeError, Deferred, Misconfigured
from bridge.netsuite.wire import TOO_LARGE, SearchPage
from bridge.ports import Record, Ref, Skipped, Window

NOTHING, SECOND, MINUTE = timedelta(0), timedelta(seconds=1), timedelta(minutes=1)
SMALLEST_PAGE = 5  # what NetSuite accepts (NetSuite Help section_4170181850)
LONG = timedelta(days=7)  # such a range is counted before it is read: its first page would mostly be for nothing
FILL = 0.6  # of a page, when a range is cut: changes are not spread evenly
MOST_PARTS = 64
READINGS = 6  # of one second that a page does not hold, until two agree
MOST_HIDDEN = 100  # of one page: each costs some 25 searches; of more the role or a restriction is the cause
LARGEST_ID = 2**40
EVER = datetime(1970, 1, 1, tzinfo=UTC)
MOVED_AWAY = ("INVALID_SEARCH_PAGE_INDEX",)  # the last page is gone, because rows left the window


class Account(Protocol):
    """What is needed of the adapter."""

    def search_page(
        self,
        kind: str,
        since: datetime,
        until: datetime,
        *,
        size: int | None = None,
        search_id: str | None = None,
        index: int = 1,
        bare: bool = False,
        ids: tuple[int, int] | None = None,
        prefix: str | None = None,
    ) -> SearchPage: ...

    def get(self, refs: Sequence[Ref], fields: Sequence[str] = ()) -> list[Record | None]: ...


class Named:
    """The adapter as one that holds only records whose external id begins with *prefix*, without their sublists."""

    def __init__(self, account: Account, prefix: str) -> None:
        self._account, self._prefix, self.get = account, prefix, account.get

    def search_page(self, kind: str, since: datetime, until: datetime, **given: Any) -> SearchPage:
        return self._account.search_page(kind, since, until, **{**given, "bare": True, "prefix": self._prefix})


@dataclass(frozen=True, slots=True)
class _Rows:
    """One page of several, and how many rows NetSuite counted when it ran the search for it."""

    rows: list[Record]
    total: int


class Windows:
    """One range of one kind, read once."""

    def __init__(self, account: Account, kind: str, size: int, worded: Callable[[Record], Record]) -> None:
        self._account, self._kind, self._size = account, kind, size
        self._worded = worded
        self._total = 0

    def read(self, since: datetime, until: datetime) -> Iterator[Window]:
        """Yield the windows of ``[since, until]``; see the port."""
        since, until = since.replace(microsecond=0), until.replace(microsecond=0)
        if until < since:
            return
        counted = None
        if until - since > LONG:
            counted = self._total = self.count(since, until)
        yield from self._range(since, until, counted=counted)

    def count(self, since: datetime, until: datetime) -> int:
        """Return how many records changed, by a page that is as small as possible."""
        page = self._account.search_page(self._kind, since, until, size=SMALLEST_PAGE, bare=True)
        with closing(page):
            for _ in page:
                pass
            return page.head.total_records

    def _range(
        self, since: datetime, until: datetime, lead: timedelta = NOTHING, counted: int | None = None
    ) -> Iterator[Window]:
        """Yield the windows of a part. *lead* is how much earlier its searches begin than the part itself."""
        total = counted or 0
        if total <= self._size:
            found, total = self._one_page(since - lead, until)
            self._total = self._total or total
            if found is not None:
                yield from self._settled(since - lead, until, found, total)
                return
        parts = list(self._cut(since, until, lead, total))
        if len(parts) < 2:
            yield from self._paged(since, until, lead)
            return
        for start, end in parts:
            # One second more than the part: whether ``within`` includes its ends is not documented.
            yield from self._range(start, end, lead if start == since else SECOND)

    def _one_page(self, since: datetime, until: datetime) -> tuple[list[Record] | None, int]:
        """Return the rows and their count as NetSuite tells it; no rows where one page does not hold them."""
        while True:
            page = self._account.search_page(self._kind, since, until, size=self._size)
            rows: list[Record] = []
            try:
                with closing(page):
                    for record in page:
                        if page.head.total_records > self._size:
                            return None, page.head.total_records
                        rows.append(record)
            except Deferred as error:
                if error.code != TOO_LARGE or self._size <= SMALLEST_PAGE:
                    raise
                self._size = max(self._size // 2, SMALLEST_PAGE)
                continue
            return rows, page.head.total_records

    def _cut(
        self, since: datetime, until: datetime, lead: timedelta, total: int
    ) -> Iterator[tuple[datetime, datetime]]:
        """Cut a range so that its parts probably fit a page each; a part ends where the next begins.

        At whole minutes as long as that is possible. Below a minute only if NetSuite's filter proves to be that fine,
        which is not documented.
        """
        span = until - since
        wanted = min(MOST_PARTS, max(2, int(total / (self._size * FILL)) + 1))
        grain = MINUTE if span >= 2 * MINUTE else SECOND
        if span <= SECOND or (grain == SECOND and not self._tells_seconds(since, until, lead)):
            return
        step = max(grain, timedelta(seconds=span.total_seconds() // wanted // grain.total_seconds() * grain.seconds))
        start = since
        first = since.replace(second=0) if grain == MINUTE else since
        ends = (first + n * step for n in range(1, int(span / step) + 2))
        for end in ends:
            if end >= until:
                break
            if end > start:
                yield start, end
                start = end
        yield start, until

    def _tells_seconds(self, since: datetime, until: datetime, lead: timedelta) -> bool:
        middle = since + timedelta(seconds=(until - since).total_seconds() // 2)
        whole = self.count(since - lead, until)
        halves = self.count(since - lead, middle), self.count(middle - SECOND, until)
        if min(halves) >= whole:
            return False  # both halves hold everything: the filter reads whole minutes
        return sum(halves) >= whole or sum(halves) >= self.count(since - lead, until)

    def _settled(self, since: datetime, until: datetime, found: list[Record], total: int) -> Iterator[Window]:
        """Count the rows of one page; where some are missing, read again, and then find out which."""
        known: dict[str | None, Record] = {}
        rows: list[Record] | None = found
        for reading in range(READINGS):
            if rows is None:
                yield from self._paged(since, until, NOTHING)
                return
            there = {it.ref.id: it for it in rows}
            known |= there
            short = total - len(there)
            if short > 0 and reading:
                recovered, skipped = self._hidden(since, until, short)
                if len(recovered) + len(skipped) >= short:
                    known |= {it.ref.id: it for it in recovered}
                    yield Window(until, self._ordered(known.values()), self._total, skipped)
                    return
            elif short <= 0:
                yield Window(until, self._ordered(known.values()), self._total)
                return
            rows, total = self._one_page(since, until)
        raise self._unsteady()

    def _paged(self, since: datetime, until: datetime, lead: timedelta) -> Iterator[Window]:
        """Read what one page does not hold, page by page, and then again until a steady reading brings nothing new."""
        known: set[str | None] = set()
        for page in self._pages(since - lead, until, bare=False):
            fresh = {it.ref.id: it for it in page.rows if it.ref.id not in known}
            known |= fresh.keys()
            yield Window(since, self._ordered(fresh.values()), self._total)
        for _ in range(READINGS):
            there: set[str | None] = set()
            totals: set[int] = set()
            for page in self._pages(since - lead, until, bare=True):
                there |= {it.ref.id for it in page.rows}
                totals.add(page.total)
            missed = there - known
            known |= missed
            if missed:
                found = self._account.get([Ref(self._kind, id=it) for it in missed])
                # What is not found any more was deleted, which is told elsewhere.
                yield Window(since, [it for it in found if it is not None], self._total)
            elif len(totals) == 1 and len(there) >= max(totals):
                yield Window(until, (), self._total)
                return
            elif len(totals) == 1:
                short = max(totals) - len(there)
                recovered, skipped = self._hidden(since - lead, until, short)
                if len(recovered) + len(skipped) >= short:
                    yield Window(until, recovered, self._total, skipped)
                    return
        raise self._unsteady()

    def _unsteady(self) -> Deferred:
        return Deferred(
            "NetSuite's records change faster than they can be read; the pull goes on later.", code="WINDOW_UNSTEADY"
        )

    def _pages(self, since: datetime, until: datetime, *, bare: bool) -> Iterator[_Rows]:
        search_id: str | None = None
        index = 1
        while True:
            page = self._account.search_page(
                self._kind, since, until, size=self._size, search_id=search_id, index=index, bare=bare
            )
            try:
                with closing(page):
                    rows = list(page)
            except BridgeError as error:
                if index > 1 and error.code in MOVED_AWAY:
                    yield _Rows([], -1)
                    return
                if error.code != TOO_LARGE or self._size <= SMALLEST_PAGE:
                    raise
                self._size = max(self._size // 2, SMALLEST_PAGE)
                search_id, index = None, 1
                continue
            yield _Rows(rows, page.head.total_records)
            if index >= page.head.total_pages or page.head.search_id is None:
                return
            index, search_id = index + 1, page.head.search_id

    def _hidden(self, since: datetime, until: datetime, short: int) -> tuple[list[Record], list[Skipped]]:
        """Find the *short* records that NetSuite counts and does not show. Fewer, if some have left the range since."""
        if short > MOST_HIDDEN:
            raise Misconfigured(
                f"NetSuite counts {short} records of one page that it does not show to the bridge's role.",
                code="ROWS_HIDDEN", detail=f"{self._kind}, changed {since:%Y-%m-%d %H:%M:%S} to {until:%H:%M:%S} UTC",
            )  # fmt: skip
        recovered: list[Record] = []
        skipped: list[Skipped] = []
        for number in self._narrowed(since, until, 1, LARGEST_ID, short):
            one = self._tried(Ref(self._kind, id=str(number)))
            if isinstance(one, Record):
                recovered.append(one)
            else:
                skipped.append(one)
        return recovered, skipped

    def _narrowed(self, since: datetime, until: datetime, low: int, high: int, most: int | None) -> Iterator[int]:
        """Yield the ids in ``[low, high)`` that are counted and not shown; *most* is how many they can be, if known."""
        if high - low == 1:
            if self._missing(since, until, low, high):
                yield low
            return
        # By orders of magnitude first: most ids are far below the largest.
        middle = isqrt(low * high) if high > 4 * low else (low + high) // 2
        upper = self._missing(since, until, middle, high)
        if upper != 0:
            yield from self._narrowed(since, until, middle, high, upper)
        # Rows only leave a range that is past, so there cannot be more than before.
        rest = most - upper if most is not None and upper is not None else self._missing(since, until, low, middle)
        if rest is None or rest > 0:
            yield from self._narrowed(since, until, low, middle, rest)

    def _missing(self, since: datetime, until: datetime, low: int, high: int) -> int | None:
        """Say how many ids in ``[low, high)`` are counted and not shown; nothing where a page does not hold them."""
        page = self._account.search_page(self._kind, since, until, size=self._size, bare=True, ids=(low, high - 1))
        with closing(page):
            shown = {it.ref.id for it in page}
            total = page.head.total_records
        return total - len(shown) if total <= self._size else None

    def _tried(self, ref: Ref) -> Record | Skipped:
        try:
            (found,) = self._account.get([ref])
        except Deferred:
            raise
        except BridgeError as error:
            # The kind itself may be read: it has just been searched for. The refusal is about this record.
            return Skipped(ref, error.code, f"NetSuite refuses to show it ({error.detail or error.code}).")
        if found is not None:
            return found
        return Skipped(ref, "ROW_HIDDEN", "NetSuite counts this record but does not show it to the bridge's role.")

    def _ordered(self, rows: Iterable[Record]) -> list[Record]:
        """Return *rows* oldest change first; those of one second in the order of their ids."""
        worded = map(self._worded, rows)
        return sorted(worded, key=lambda it: (it.modified_at or EVER, len(it.ref.id or ""), it.ref.id or ""))
