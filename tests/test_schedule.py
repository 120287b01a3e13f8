"""Each scheduled time is acted on once, by one instance, and no time is forgotten."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import Deferred
from bridge.schedule import (
    CADENCES,
    Job,
    Schedule,
    cadence_of,
    describe,
    previous,
    problems,
    shipped,
)
from bridge.site import Cadence, parse
from bridge.site import Schedule as Table

FRIDAY = datetime(2026, 11, 20, 12, 7, 30, tzinfo=UTC)
SECOND = Cadence(every_seconds=1)
NEVER = Cadence(enabled=False)


class Occurrences:
    """The ledger's occurrences, in memory: one claim for each job and time, whoever comes first."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.claimed: dict[tuple[str, datetime], str | None] = {}
        self.asked: Counter[tuple[str, datetime]] = Counter()
        self.outcomes: list[tuple[str, str, str]] = []
        self.finished = threading.Condition(self.lock)

    def claim(self, job: str, scheduled_at: datetime) -> bool:
        with self.lock:
            self.asked[job, scheduled_at] += 1
            if (job, scheduled_at) in self.claimed:
                return False
            self.claimed[job, scheduled_at] = None
            return True

    def finish(self, job: str, scheduled_at: datetime, outcome: str, report: str) -> None:
        with self.finished:
            self.claimed[job, scheduled_at] = outcome
            self.outcomes.append((job, outcome, report))
            self.finished.notify_all()

    def wait_for(self, number: int, timeout_s: float = 10) -> None:
        with self.finished:
            assert self.finished.wait_for(lambda: len(self.outcomes) >= number, timeout_s)


@contextmanager
def running(*schedules: Schedule, catch_up: bool = True) -> Iterator[None]:
    for schedule in schedules:
        schedule.start(catch_up=catch_up)
    try:
        yield
    finally:
        for schedule in schedules:
            schedule.stop()


def job(run: Callable[[], str] = lambda: "done", cadence: Cadence = SECOND, name: str = "sweep") -> Job:
    return Job(name, run, cadence, cadence)


def test_three_instances_act_on_every_second_once() -> None:
    occurrences, runs = Occurrences(), []
    schedules = [Schedule([job(lambda: runs.append(1) or "done")], occurrences) for _ in range(3)]

    with running(*schedules):
        occurrences.wait_for(4)

    times = sorted(at for _, at in occurrences.claimed)
    assert all(at.microsecond == 0 for at in times)
    assert len(runs) == len(occurrences.outcomes) == len(times)
    assert max(occurrences.asked.values()) == 3


def test_a_time_missed_while_nobody_was_there_is_caught_up_once() -> None:
    occurrences = Occurrences()
    daily = job(cadence=Cadence(cron="0 0 1 * *"))

    with running(Schedule([daily], occurrences), Schedule([daily], occurrences)):
        occurrences.wait_for(1)
    with running(Schedule([daily], occurrences)):
        pass

    assert len(occurrences.outcomes) == 1


def test_a_job_that_is_switched_off_never_runs() -> None:
    occurrences = Occurrences()
    schedule = Schedule([job(cadence=NEVER)], occurrences)

    with running(schedule):
        (row,) = schedule.rows()

    assert (row.cadence, row.next_run) == ("off", None)
    assert occurrences.asked == Counter()


def test_a_cadence_changes_while_the_schedule_runs() -> None:
    occurrences = Occurrences()
    schedule = Schedule([job(cadence=NEVER)], occurrences)

    with running(schedule):
        schedule.change("sweep", SECOND)
        occurrences.wait_for(1)
        schedule.change("sweep", Cadence(cron="0 10 * * *"))
        (row,) = schedule.rows()

    assert row.cadence == "0 10 * * * UTC"
    assert row.next_run is not None
    assert (row.next_run.hour, row.next_run.minute) == (10, 0)


def test_a_person_may_run_a_job_at_once_but_not_beside_itself() -> None:
    occurrences, entered, leave = Occurrences(), threading.Event(), threading.Event()

    def slow() -> str:
        entered.set()
        leave.wait(10)
        return "slow but done"

    schedule = Schedule([job(slow, NEVER)], occurrences)
    with running(schedule):
        assert schedule.run_now("sweep")
        entered.wait(10)
        assert schedule.rows()[0].is_running
        assert not schedule.run_now("sweep")
        leave.set()
        occurrences.wait_for(1)

    assert occurrences.outcomes == [("sweep", "done", "slow but done")]


def test_what_a_job_raises_is_noted_and_the_next_time_comes() -> None:
    occurrences, answers = Occurrences(), iter([Deferred("NetSuite is away.", code="AWAY"), RuntimeError("secret")])

    def failing() -> str:
        error = next(answers, None)
        if error is not None:
            raise error
        return "done"

    with running(Schedule([job(failing)], occurrences)):
        occurrences.wait_for(3)

    assert [outcome for _, outcome, _ in occurrences.outcomes][:3] == ["deferred", "failed", "done"]
    assert occurrences.outcomes[0][2] == "NetSuite is away."
    assert "secret" not in occurrences.outcomes[1][2]


def test_a_ledger_that_is_away_does_not_end_the_schedule() -> None:
    occurrences = Occurrences()
    times = iter([True, True])
    honest = occurrences.claim

    def claim(name: str, at: datetime) -> bool:
        if next(times, False):
            raise ConnectionError("the database is away")
        return honest(name, at)

    occurrences.claim = claim  # type: ignore[method-assign]
    with running(Schedule([job()], occurrences)):
        occurrences.wait_for(1)

    assert occurrences.outcomes[0][1] == "done"


def test_stopping_waits_for_what_runs_and_starts_nothing_more() -> None:
    occurrences, entered = Occurrences(), threading.Event()
    schedule = Schedule([], occurrences)

    def until_told() -> str:
        entered.set()
        schedule.stopping.wait(10)
        return "stopped early"

    schedule = Schedule([job(until_told)], occurrences)
    schedule.start()
    entered.wait(10)
    schedule.stop()
    before = len(occurrences.claimed)

    assert occurrences.outcomes == [("sweep", "done", "stopped early")]
    assert not schedule.run_now("sweep")
    assert len(occurrences.claimed) == before


def test_both_shipped_profiles_name_every_job() -> None:
    jobs = shipped(lambda name: f"did {name}")

    default = {it.name: describe(cadence_of(it, Table())) for it in jobs}
    quarterly = {it.name: describe(cadence_of(it, Table(profile="quarter-hourly"))) for it in jobs}

    assert default == {
        "sweep": "every 15 minutes",
        "orders": "0 * * * * UTC",
        "invoices": "10 * * * * UTC",
        "remittances": "0 10 * * * UTC",
        "probe": "every minute",
        "tally": "every minute",
        "watch": "every minute",
        "reconcile": "0 8 * * * UTC",
        "anchor": "5 * * * * UTC",
        "verify": "20 9 * * * UTC",
        "retention": "40 9 * * * UTC",
    }
    assert {quarterly[name] for name in ("sweep", "orders", "invoices", "remittances")} == {"every 15 minutes"}
    assert [it.run() for it in jobs] == [f"did {name}" for name in CADENCES]


def test_a_site_overrides_what_differs() -> None:
    site, _ = parse({"schedule": {"jobs": {"orders": {"every_minutes": 5}, "sweep": {"enabled": False}, "x": {}}}})
    jobs = {it.name: it for it in shipped(str)}

    assert describe(cadence_of(jobs["orders"], site.schedule)) == "every 5 minutes"
    assert describe(cadence_of(jobs["sweep"], site.schedule)) == "off"
    names = "anchor, invoices, orders, probe, reconcile, remittances, retention, sweep, tally, verify, watch"
    assert problems(site.schedule, CADENCES) == [f"bridge.toml: schedule.jobs.x is not a job; the jobs are {names}."]


@pytest.mark.parametrize(
    ("cadence", "last"),
    [
        ({"cron": "0 * * * *"}, "2026-11-20T12:00"),
        ({"cron": "*/15 * * * *"}, "2026-11-20T12:00"),
        ({"cron": "7 12 * * *"}, "2026-11-20T12:07"),
        ({"cron": "8 12 * * *"}, "2026-11-19T12:08"),
        ({"cron": "0 6 * * 5"}, "2026-11-20T06:00"),
        ({"cron": "0 6 * * 0"}, "2026-11-15T06:00"),
        ({"cron": "0 6 * * 7"}, "2026-11-15T06:00"),
        ({"cron": "0 6 * * 1-3"}, "2026-11-18T06:00"),
        ({"cron": "0 6 * * sat"}, "2026-11-14T06:00"),
        ({"cron": "0 6 * * */2"}, "2026-11-19T06:00"),
        ({"cron": "0 6 1 1 *"}, "2026-01-01T06:00"),
        ({"every_minutes": 15}, "2026-11-20T12:00"),
        ({"every_minutes": 1440}, "2026-11-20T00:00"),
    ],
)
def test_weekdays_and_steps_mean_what_cron_means(cadence: dict[str, object], last: str) -> None:
    assert previous(Cadence.model_validate(cadence), FRIDAY) == datetime.fromisoformat(f"{last}+00:00")


@given(
    minutes=st.integers(1, 10_080),
    started=st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - made aware below
    apart=st.integers(0, 86_400),
)
def test_instances_started_at_any_time_agree_on_the_moments(minutes: int, started: datetime, apart: int) -> None:
    """Counted from its own start, each instance would have moments of its own, and each would be acted on."""
    cadence, first = Cadence(every_minutes=minutes), started.replace(tzinfo=UTC)

    one, other = previous(cadence, first), previous(cadence, first + timedelta(seconds=apart))

    assert one is not None
    assert other is not None
    assert (other - one) % timedelta(minutes=minutes) == timedelta(0)
    assert timedelta(0) <= first - one < timedelta(minutes=minutes)
