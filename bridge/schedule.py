"""Ways in by clock: which job runs when, and that each scheduled time is acted on once, on one instance.

Every instance runs the same `Schedule` with its own clock and nothing shared but the ledger: when a time comes, each of
them tries to insert the *occurrence* of that job and that time, and whoever inserts it acts. There is no leader; an
instance whose clock is ahead merely wins more often.

Must not know: what a job does, SQL.

Source: APScheduler 3 FAQ, "How do I share a single job store among one or more worker processes?" ("You can't").
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from apscheduler.executors.base import BaseExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from bridge.errors import BridgeError
from bridge.site import CRON, WEEKDAYS, Cadence
from bridge.site import Schedule as Table

LOG = logging.getLogger("bridge.schedule")

# Counted from here, "every 20 minutes" is the same moment on every instance, whenever it was started.
EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
LOOK_BACK: Final = tuple(timedelta(days=days) for days in (1 / 24, 1, 8, 32, 367))
THREADS: Final = 4

# Job → cadence by default, and in the profile quarter-hourly. Times are UTC.
CADENCES: Final[Mapping[str, tuple[Cadence, Cadence]]] = {
    "sweep": (Cadence(every_minutes=15), Cadence(every_minutes=15)),
    "orders": (Cadence(cron="0 * * * *"), Cadence(every_minutes=15)),
    # Beside the orders, not with them: an invoice is shown with the order that it bills.
    "invoices": (Cadence(cron="10 * * * *"), Cadence(every_minutes=15)),
    # At 10:00 UTC the day before is over in every part of the United States.
    "remittances": (Cadence(cron="0 10 * * *"), Cadence(every_minutes=15)),
    "probe": (Cadence(every_minutes=1), Cadence(every_minutes=1)),
    "tally": (Cadence(every_minutes=1), Cadence(every_minutes=1)),
    "watch": (Cadence(every_minutes=1), Cadence(every_minutes=1)),
    # Midnight in the west of the United States; it reads every record of both systems, and writes to neither.
    "reconcile": (Cadence(cron="0 8 * * *"), Cadence(cron="0 8 * * *")),
    "anchor": (Cadence(cron="5 * * * *"), Cadence(cron="5 * * * *")),
    "verify": (Cadence(cron="20 9 * * *"), Cadence(cron="20 9 * * *")),
    "retention": (Cadence(cron="40 9 * * *"), Cadence(cron="40 9 * * *")),
}


class Occurrences(Protocol):
    """Who acts on a scheduled time, and what came of it; kept in the ledger, which all instances share."""

    def claim(self, job: str, scheduled_at: datetime) -> bool:
        """Say whether this instance acts on it: True for the first that asks, for ever."""
        ...

    def finish(self, job: str, scheduled_at: datetime, outcome: str, report: str) -> None:
        """Note what came of it, in a sentence."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """Something done by the clock. *run* returns its report as a sentence."""

    name: str
    run: Callable[[], str]
    default: Cadence
    quarter_hourly: Cadence


@dataclass(frozen=True, slots=True)
class Row:
    """A job as people see it."""

    name: str
    cadence: str
    next_run: datetime | None
    is_running: bool


def shipped(run: Callable[[str], str]) -> list[Job]:
    """Return the jobs of `CADENCES`; *run* does one by its name."""

    def bound(name: str) -> Callable[[], str]:
        return lambda: run(name)

    return [Job(name, bound(name), *cadences) for name, cadences in CADENCES.items()]


def cadence_of(job: Job, table: Table) -> Cadence:
    """Return when *job* runs on this site."""
    profile = job.default if table.profile == "default" else job.quarter_hourly
    chosen = table.jobs.get(job.name)
    if chosen is None:
        return profile
    if chosen.cron is None and chosen.every_minutes is None and chosen.every_seconds is None:
        return profile.model_copy(update={"enabled": chosen.enabled})
    return chosen


def problems(table: Table, names: Iterable[str]) -> list[str]:
    """Return what a site says of jobs that there are not, one sentence each."""
    known = sorted(names)
    return [
        f"bridge.toml: schedule.jobs.{name} is not a job; the jobs are {', '.join(known)}."
        for name in table.jobs
        if name not in known
    ]


def describe(cadence: Cadence) -> str:
    """Say when it runs, in the words of ``bridge.toml``."""
    if not cadence.enabled:
        return "off"
    if cadence.cron is not None:
        return f"{cadence.cron} UTC"
    number, unit = (cadence.every_seconds, "second") if cadence.every_seconds else (cadence.every_minutes, "minute")
    return f"every {unit}" if number == 1 else f"every {number} {unit}s"


def previous(cadence: Cadence, now: datetime) -> datetime | None:
    """Return the last scheduled time up to *now*."""
    trigger, moment = _trigger(cadence), timedelta(microseconds=1)
    for window in LOOK_BACK:
        found, at = None, trigger.get_next_fire_time(None, now - window)
        while at is not None and at <= now:
            found, at = at, trigger.get_next_fire_time(None, at + moment)
        if found is not None:
            return _utc(found)
    return None


def _trigger(cadence: Cadence) -> Any:
    if cadence.cron is None:
        length_s = cadence.every_seconds or (cadence.every_minutes or 1) * 60
        return IntervalTrigger(seconds=length_s, start_date=EPOCH, timezone=UTC)
    minute, hour, day, month, weekday = cadence.cron.split()
    names = {"minute": minute, "hour": hour, "day": day, "month": month, "day_of_week": _weekdays(weekday)}
    return CronTrigger(**names, timezone=UTC)


def _weekdays(text: str) -> str:
    """Spell cron's weekdays out. APScheduler counts from Monday, cron from Sunday."""
    if text == "*":
        return text
    low, high = CRON[4][1], CRON[4][2] - 1
    found: list[str] = []
    for part in text.split(","):
        days, _, step = part.partition("/")
        first, _, last = days.partition("-")
        start = low if first == "*" else _weekday(first)
        end = high if first == "*" or (step and not last) else _weekday(last or first)
        found += [WEEKDAYS[number] for number in range(start, end + 1, int(step or 1))]
    return ",".join(dict.fromkeys(found))


def _weekday(word: str) -> int:
    return int(word) if word.isdigit() else WEEKDAYS.index(word)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


class Schedule:
    """The jobs of one instance.

    A time that passed while no instance was there, or while this one was frozen, is caught up by one run, however many
    times were missed. A job does not run beside itself on one instance.
    """

    def __init__(
        self, jobs: Sequence[Job], occurrences: Occurrences, table: Table | None = None, *, threads: int = THREADS
    ) -> None:
        chosen = table or Table()
        self._jobs = {job.name: job for job in jobs}
        self._cadences = {job.name: cadence_of(job, chosen) for job in jobs}
        self._executor = _Executor(self.act, threads)
        self._scheduler = BackgroundScheduler(timezone=UTC, executors={"default": self._executor})
        self._occurrences = occurrences
        self._running: set[str] = set()
        self._lock = threading.Lock()
        self.stopping = threading.Event()  # a long job looks at it between two steps

    def start(self, *, catch_up: bool = True) -> None:
        """Begin. With *catch_up* the last time of every job is tried first; it is won only if nobody acted on it."""
        now = self.now()
        for name, cadence in self._cadences.items():
            missed = previous(cadence, now) if catch_up and cadence.enabled else None
            self._add(name, cadence, missed)
        self._scheduler.start()

    def stop(self) -> None:
        """Start nothing more and wait until what runs has ended."""
        self.stopping.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        self._executor.finish()

    def now(self) -> datetime:
        """Return this instance's time, by which APScheduler goes too."""
        return datetime.now(UTC)

    def rows(self) -> list[Row]:
        """Return every job with its cadence and its next time on this instance."""
        found = {job.id: job.next_run_time for job in self._scheduler.get_jobs()} if self._scheduler.running else {}
        with self._lock:
            return [
                Row(name, describe(cadence), found.get(name), name in self._running)
                for name, cadence in self._cadences.items()
            ]

    def change(self, name: str, cadence: Cadence) -> None:
        """Run the job by another cadence from now on."""
        self._cadences = {**self._cadences, self._jobs[name].name: cadence}
        if self._scheduler.running:
            if self._scheduler.get_job(name) is not None:
                self._scheduler.remove_job(name)
            self._add(name, cadence)

    def run_now(self, name: str) -> bool:
        """Start the job at once, beside its cadence; False if it is running here already."""
        job = self._jobs[name]
        with self._lock:
            if name in self._running:
                return False
        return self._executor.submit(job.name, datetime.now(UTC))

    def act(self, name: str, scheduled_at: datetime) -> None:
        """Run the job if this instance is the one that acts on *scheduled_at*."""
        with self._lock:
            if name in self._running or self.stopping.is_set():
                return
            self._running.add(name)
        try:
            if self._occurrences.claim(name, scheduled_at):
                outcome, report = self._run(name)
                self._occurrences.finish(name, scheduled_at, outcome, report)
        except Exception:  # the database is away; the next time comes
            LOG.exception("The schedule could not note the job %s of %s.", name, scheduled_at)
        finally:
            with self._lock:
                self._running.discard(name)

    def _run(self, name: str) -> tuple[str, str]:
        try:
            return "done", self._jobs[name].run()
        except BridgeError as error:
            LOG.warning("The job %s was not done: %s", name, error.message)
            return error.outcome, error.message
        except Exception:
            LOG.exception("The job %s failed.", name)
            return "failed", "The job failed for a reason that the bridge does not know; its log has the details."

    def _add(self, name: str, cadence: Cadence, first: datetime | None = None) -> None:
        if not cadence.enabled:
            return
        self._scheduler.add_job(
            _never,
            _trigger(cadence),
            id=name,
            coalesce=True,
            misfire_grace_time=None,  # however late, one run catches up
            max_instances=1,
            **({"next_run_time": first} if first is not None else {}),
        )


def _never() -> None:
    """Stand where APScheduler wants a function: `_Executor` runs jobs by name."""


class _Executor(BaseExecutor):  # type: ignore[misc]  # APScheduler has no types
    """Runs a job with the time it was scheduled for, which APScheduler keeps from the job itself."""

    def __init__(self, act: Callable[[str, datetime], None], threads: int) -> None:
        super().__init__()
        self._act = act
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="bridge-job")

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        future = self._pool.submit(self._act, job.id, _utc(run_times[-1]))
        future.add_done_callback(lambda _: self._run_job_success(job.id, []))

    def submit(self, name: str, at: datetime) -> bool:
        """Run a job outside of its cadence; False when the pool has stopped."""
        try:
            self._pool.submit(self._act, name, at)
        except RuntimeError:
            return False
        return True

    def shutdown(self, wait: bool = True) -> None:
        """Take nothing more; APScheduler holds its locks meanwhile, so the waiting is done in `finish`."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def finish(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
