"""Whatever changed is given, or named as hidden: any zone, any day, equal stamps, any page, edits meanwhile."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bridge.errors import Deferred, Misconfigured
from bridge.netsuite import TokenCredentials
from bridge.netsuite.transport import Limits
from bridge.sandbox import netsuite_search, netsuite_store
from bridge.sandbox.netsuite import NO_LATENCY, FakeNetSuite
from bridge.sandbox.netsuite_store import Link, Store
from bridge.sandbox.wsgi import WsgiAdapter
from tests.netsuite.conftest import SUBSET

LONG = int(os.environ.get("BRIDGE_CHAOS", "1"))  # scripts/chaos turns it up
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
DAYS = (
    datetime(2026, 7, 1, 12, tzinfo=UTC),
    datetime(2026, 3, 8, 9, 59, 40, tzinfo=UTC),  # Pacific clocks go forward at 10:00 UTC
    datetime(2026, 11, 1, 8, 59, 40, tzinfo=UTC),  # and back at 9:00 UTC: an hour happens twice
    datetime(2026, 3, 29, 0, 59, 40, tzinfo=UTC),  # European clocks go forward at 1:00 UTC
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),  # and back at 1:00 UTC
    datetime(2026, 4, 4, 14, 40, tzinfo=UTC),  # at 15:00 UTC Lord Howe goes back by half an hour
    datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2028, 2, 29, 7, 59, 59, tzinfo=UTC),  # midnight in the Pacific zone
)
SPANS = (3, 45, 200, 4000, 90_000, 400_000)
# In which answers tell the time: Pacific by documentation; half hours, and a daylight saving of half an hour, too.
ZONES = ("America/Los_Angeles", "UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Chatham")
# How a filter might treat the ends of ``within``, which NetSuite does not document: [from, to) is the fake's own.
READINGS = {
    "from included": lambda since, until: (since, until),
    "both included": lambda since, until: (since, until + SECOND),
    "none included": lambda since, until: (since + SECOND, until),
    "whole minutes": lambda since, until: (since.replace(second=0), until.replace(second=0) + MINUTE),
    "minutes, to excluded": lambda since, until: (since.replace(second=0), until.replace(second=0)),
}


class Office:
    """The fake, with people in it who edit while it is being read."""

    def __init__(self) -> None:
        self.at = DAYS[0]
        self.fake = FakeNetSuite(schema_dir=SUBSET, account="1234567", latency=NO_LATENCY, clock=lambda: self.at)
        self.edits: dict[int, list[int]] = {}
        self.requests = 0
        self.ids: list[str] = []

    def __call__(self, environ, start_response):
        self.requests += 1
        for which in self.edits.get(self.requests, ()):
            if self.ids:
                record = self.fake.store.get("customer", self.ids[which % len(self.ids)])
                self.fake.store.changed(record)
        return self.fake(environ, start_response)

    def open(self, moments: list[datetime], now: datetime, edits: dict[int, list[int]]) -> None:
        """Start again with one customer for each of *moments*, at *now*."""
        store = self.fake.store
        fresh = Store(lambda: self.at)
        store.records["customer"].clear()
        store._by_time = fresh._by_time
        store.hidden.clear()
        self.requests, self.edits, self.ids = 0, edits, []
        for number, moment in enumerate(moments):
            self.at = moment
            record = store.new("customer")
            record.fields |= {"companyName": f"Acme {number}", "subsidiary": Link("subsidiary", "1")}
            store.add(record)
            self.ids.append(record.id)
        self.at = now


@pytest.fixture(scope="module")
def office():
    return Office()


@pytest.fixture
def netsuite(connect, office):
    words = ("sandbox-consumer-key", "sandbox-consumer-secret", "sandbox-token-id", "sandbox-token-secret")
    return connect(
        WsgiAdapter(office), credentials=TokenCredentials("1234567", *words), clock=lambda: office.at
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("reading", READINGS)
@settings(
    max_examples=8 * LONG,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    day=st.sampled_from(DAYS),
    span=st.sampled_from(SPANS),
    places=st.lists(st.floats(0, 1), max_size=40),
    crowd=st.tuples(st.floats(0, 1), st.integers(0, 25)),
    size=st.integers(5, 12),
    edits=st.dictionaries(st.integers(1, 60), st.lists(st.integers(0, 60), max_size=3), max_size=8),
    hidden=st.lists(st.integers(0, 60), max_size=2),
    zone=st.sampled_from(ZONES),
)
@example(
    day=DAYS[2],
    span=3,
    places=[0.5],
    crowd=(0.4, 25),
    size=5,
    edits={2: [0, 1], 3: [2], 5: [20, 3], 7: [5]},
    hidden=[],
    zone=ZONES[0],
)
@example(
    day=DAYS[0], span=200, places=[0.1, 0.2, 0.3, 0.4, 0.5], crowd=(0, 0), size=12, edits={2: [0], 4: [1], 6: [4]},
    hidden=[2], zone=ZONES[4],
)  # fmt: skip
def test_every_row_that_nobody_moved_is_given(
    office, netsuite, monkeypatch, reading, day, span, places, crowd, size, edits, hidden, zone
):
    """Rows that are edited while they are read leave the window for the next; all others must be in this one."""
    since, until = day, day + timedelta(seconds=span)
    offsets = [int(span * it) for it in places] + [int(span * crowd[0])] * crowd[1]
    moments = sorted(day + timedelta(seconds=it) for it in offsets)
    office.open(moments, until + timedelta(minutes=2), edits)
    veiled = {office.ids[it % len(moments)] for it in hidden if moments}
    for key in veiled:
        office.fake.admin.hide(kind="customer", id=key)
    plain, read = READINGS["from included"], READINGS[reading]
    own = netsuite_search.date_window
    netsuite._page_size = size
    with monkeypatch.context() as patch:
        patch.setattr(netsuite_search, "date_window", lambda element: (read or plain)(*own(element)))
        patch.setattr(netsuite_store, "PACIFIC", ZoneInfo(zone))
        netsuite_store._pacific.cache_clear()
        try:
            windows = list(netsuite.windows("customer", since, until))
        except Deferred as error:
            if error.code != "WINDOW_UNSTEADY" or not edits:
                raise
            return

    store = office.fake.store
    given_ = [it.ref.id for window in windows for it in window.rows]
    last = until - (MINUTE if "to excluded" in reading else SECOND)
    wanted = {
        key
        for key, moment in zip(office.ids, moments, strict=True)
        if since < moment <= last and store.get("customer", key).modified == moment
    }
    named = {it.ref.id for window in windows for it in window.skipped}
    assert wanted - veiled <= set(given_)
    assert wanted & veiled <= named <= veiled
    for it in (it for window in windows for it in window.rows):
        assert it.ref.id not in wanted or it.modified_at == moments[office.ids.index(it.ref.id)]
    ends = [window.until for window in windows]
    assert ends == sorted(ends)
    assert ends[-1] == until
    for window in windows:
        stamps = [it.modified_at for it in window.rows]
        assert stamps == sorted(stamps)


def test_nothing_new_costs_one_search(office, netsuite):
    office.open([], DAYS[0], {})

    (window,) = netsuite.windows("customer", DAYS[0] - timedelta(hours=25), DAYS[0])

    assert (window.rows, window.total, window.until) == ([], 0, DAYS[0])
    assert office.requests == 1


def test_what_fits_a_page_costs_one_search(office, netsuite):
    office.open([DAYS[0]] * 7, DAYS[0] + MINUTE, {})
    netsuite._page_size = 7

    (window,) = netsuite.windows("customer", DAYS[0] - MINUTE, DAYS[0] + SECOND)

    assert len(window.rows) == window.total == 7
    assert office.requests == 1


def test_windows_end_one_after_the_other_and_hold_a_page_each(office, netsuite):
    start = DAYS[0]
    office.open([start + timedelta(minutes=7 * n) for n in range(100)], start + timedelta(days=2), {})
    netsuite._page_size = 10
    paged = office.fake.calls_by_operation["searchMoreWithId"]

    windows = list(netsuite.windows("customer", start, start + timedelta(days=1)))

    assert max(len(it.rows) for it in windows) <= 10
    assert len({it.ref.id for window in windows for it in window.rows}) == 100
    assert office.fake.calls_by_operation["searchMoreWithId"] == paged


def test_a_window_is_asked_for_when_the_one_before_is_done_with(office, netsuite):
    start = DAYS[0]
    office.open([start + timedelta(minutes=n) for n in range(60)], start + timedelta(days=1), {})
    netsuite._page_size = 5
    windows = netsuite.windows("customer", start, start + timedelta(hours=2))

    next(windows)

    assert office.requests <= 3


def test_more_rows_in_a_second_than_a_page_are_read_twice(office, netsuite):
    start = DAYS[0]
    office.open([start + SECOND] * 23, start + MINUTE, {})
    netsuite._page_size = 5

    windows = list(netsuite.windows("customer", start, start + 3 * SECOND))

    assert {it.ref.id for window in windows for it in window.rows} == set(office.ids)


def test_a_row_that_netsuite_counts_and_does_not_show_is_named_with_its_reason(office, netsuite):
    start = DAYS[0]
    office.open([start + timedelta(minutes=n) for n in range(9)], start + timedelta(hours=1), {})
    for which in (2, 6):
        office.fake.admin.hide(kind="customer", id=office.ids[which])

    (window,) = netsuite.windows("customer", start, start + timedelta(minutes=30))

    assert {(it.ref.id, it.code) for it in window.skipped} == {
        (office.ids[which], "INSUFFICIENT_PERMISSION") for which in (2, 6)
    }
    assert all(it.reason for it in window.skipped)
    assert len(window.rows) == 7


def test_a_hidden_row_among_many_of_one_second_is_named(office, netsuite):
    start = DAYS[0]
    office.open([start + SECOND] * 23, start + MINUTE, {})
    office.fake.admin.hide(kind="customer", id=office.ids[11])
    netsuite._page_size = 5

    windows = list(netsuite.windows("customer", start, start + 3 * SECOND))

    assert {it.ref.id for window in windows for it in window.skipped} == {office.ids[11]}
    assert len({it.ref.id for window in windows for it in window.rows}) == 22


def test_a_hidden_row_is_named_although_others_are_edited_while_it_is_looked_for(office, netsuite):
    """Rows that leave the range must not be counted in place of the one that is not shown."""
    start = DAYS[0]
    office.open([start + timedelta(minutes=n) for n in range(9)], start + timedelta(hours=1), {2: [0], 3: [1], 9: [8]})
    office.fake.admin.hide(kind="customer", id=office.ids[4])

    (window,) = netsuite.windows("customer", start, start + timedelta(minutes=30))

    assert [it.ref.id for it in window.skipped] == [office.ids[4]]
    assert len(window.rows) == 8


def test_too_many_hidden_rows_stop_the_pull_before_its_watermark(office, netsuite, monkeypatch):
    """Named one by one they would cost hours; left out, they would be lost."""
    start = DAYS[0]
    office.open([start + SECOND] * 9, start + MINUTE, {})
    for key in office.ids[2:8]:
        office.fake.admin.hide(kind="customer", id=key)
    monkeypatch.setattr("bridge.netsuite.windows.MOST_HIDDEN", 5)

    with pytest.raises(Misconfigured) as refused:
        list(netsuite.windows("customer", start, start + 3 * SECOND))

    assert refused.value.code == "ROWS_HIDDEN"
    assert "6 records" in refused.value.message


def test_a_page_too_large_for_us_is_asked_for_in_smaller_windows(connect, office):
    words = ("sandbox-consumer-key", "sandbox-consumer-secret", "sandbox-token-id", "sandbox-token-secret")
    start = DAYS[0]
    office.open([start + timedelta(minutes=n) for n in range(60)], start + timedelta(days=1), {})
    tight = connect(
        WsgiAdapter(office),
        credentials=TokenCredentials("1234567", *words),
        clock=lambda: office.at,
        limits=Limits(page_bytes=20_000),
    )

    windows = list(tight.windows("customer", start, start + timedelta(hours=2)))

    assert len({it.ref.id for window in windows for it in window.rows}) == 60


def test_a_count_reads_no_more_than_the_smallest_page(office, netsuite):
    start = DAYS[0]
    office.open([start + timedelta(minutes=n) for n in range(60)], start + timedelta(days=1), {})

    assert netsuite.count("customer", start, start + timedelta(hours=2)) == 60
    assert office.requests == 1
