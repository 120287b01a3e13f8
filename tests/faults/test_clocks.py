"""Three instances with one schedule, one of them two seconds ahead: every scheduled time is acted on exactly once."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apscheduler.schedulers.base as timer
import pytest

from bridge.ledger import Ledger, marks
from bridge.schedule import Job, Schedule
from bridge.site import Cadence
from tests.faults.children import fork

EVERY_SECOND = Cadence(every_seconds=1)


class Shared:
    """Occurrences in the ledger, and a file to which whoever acts adds a line."""

    def __init__(self, ledger: Ledger, name: str, acted: Path) -> None:
        self.ledger, self.name, self.acted = ledger, name, acted

    def claim(self, job: str, scheduled_at: datetime) -> bool:
        with self.ledger.write() as writing:
            won = marks.claim(writing, job, scheduled_at.astimezone(UTC), self.name)
        if won:
            with self.acted.open("a") as file:
                file.write(f"{self.name} {scheduled_at.isoformat()}\n")
        return won

    def finish(self, job: str, scheduled_at: datetime, outcome: str, report: str) -> None:
        """Nothing is told here."""


def keep_time(url: str, name: str, acted: str, ahead_s: float, stop_after_s: float) -> None:
    """Run the schedule of one instance whose clock is *ahead_s* seconds ahead."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(seconds=ahead_s)

    timer.datetime = Clock
    ledger = Ledger(url)
    job = Job("every_second", lambda: "", EVERY_SECOND, EVERY_SECOND)
    schedule = Schedule([job], Shared(ledger, name, Path(acted)))
    schedule.start(catch_up=False)
    threading.Event().wait(stop_after_s)
    os._exit(0)


@pytest.mark.parametrize("seconds", [7])
def test_three_instances_with_one_clock_ahead_act_once_on_every_second(postgres_url, tmp_path, seconds):
    Ledger(postgres_url).create()
    acted = tmp_path / "acted"

    instances = [
        fork(keep_time, postgres_url, name, str(acted), ahead, float(seconds))
        for name, ahead in (("first", 0.0), ("second", 0.0), ("ahead", 2.0))
    ]
    threading.Event().wait(3)
    os.kill(instances[2].pid, signal.SIGKILL)  # then the others catch up with the clock that was ahead
    for one in instances:
        one.join(20)

    lines = [line.split() for line in acted.read_text().splitlines()]
    times = Counter(datetime.fromisoformat(at) for _, at in lines)
    whole = [min(times) + timedelta(seconds=n) for n in range(int((max(times) - min(times)).total_seconds()) + 1)]
    assert set(times.values()) == {1}
    assert sorted(times) == whole, "no second is missing"
    assert len(whole) >= seconds - 2
    assert "ahead" in {name for name, _ in lines}
    assert {name for name, _ in lines} & {"first", "second"}
