"""When what runs: the schedule of one instance, by the site's file and by what people chose at the console.

A choice is kept in the ledger; each instance looks there every few seconds, so it holds everywhere without a restart.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from bridge.app import Bridge, run_job
from bridge.ledger import Ledger, cadences, clocks, marks
from bridge.schedule import Job, Schedule, cadence_of, describe, problems, shipped
from bridge.settings import NotConfigured
from bridge.site import Cadence, sentence
from bridge.site import Schedule as Table

LOG = logging.getLogger("bridge.schedule")
LOOK_S = 5.0


class Occurrences:
    """Who acts on a scheduled time, kept in the ledger."""

    def __init__(self, ledger: Ledger, owner: str) -> None:
        self._ledger, self._owner = ledger, owner

    def claim(self, job: str, scheduled_at: datetime) -> bool:
        with self._ledger.write() as writing:
            # Telling people goes on: there may be no other instance to do so.
            if job != "watch" and self._ledger.is_apart(writing.now):
                clocks.tell(writing)
                return False
            return marks.claim(writing, job, scheduled_at.astimezone(UTC), self._owner)

    def finish(self, job: str, scheduled_at: datetime, outcome: str, report: str) -> None:
        with self._ledger.write() as writing:
            marks.finish(writing, job, scheduled_at.astimezone(UTC), outcome, report)


class Timetable(Schedule):
    """The schedule of one instance that follows what people choose."""

    def __init__(self, jobs: list[Job], ledger: Ledger, owner: str, table: Callable[[], Table]) -> None:
        super().__init__(jobs, Occurrences(ledger, owner), table())
        self._ledger, self._table = ledger, table
        self._follower = threading.Thread(target=self._follow, name="cadences", daemon=True)

    @property
    def _own(self) -> dict[str, Cadence]:
        """The cadences of the site, which may change while this runs."""
        table = self._table()
        return {name: cadence_of(job, table) for name, job in self._jobs.items()}

    def start(self, *, catch_up: bool = True) -> None:
        self._adopt()
        super().start(catch_up=catch_up)
        self._follower.start()

    def choose(self, job: str, wish: Mapping[str, str | int | bool] | None, *, actor: str) -> str:
        """Have *job* run by another cadence from now on, or by the site's again (None).

        Returns what is wrong with the wish, in a sentence; empty when it is done.
        """
        if job not in self._own:
            return f"There is no job {job}."
        try:
            after = self._own[job] if wish is None else Cadence.model_validate(dict(wish))
        except ValidationError as error:
            return sentence("The cadence", error.errors()[0])
        before = {it.name: it.cadence for it in self.rows()}[job]
        kept = None if wish is None else after.model_dump_json(exclude_none=True)
        with self._ledger.write() as writing:
            cadences.choose(writing, job, kept, actor=actor, before=before, after=describe(after))
        self._adopt()
        return ""

    def chosen(self) -> set[str]:
        """Return the jobs whose cadence was chosen at the console."""
        with self._ledger.read() as connection:
            return set(cadences.chosen(connection)) & self._own.keys()

    def _adopt(self) -> None:
        with self._ledger.read() as connection:
            found = cadences.chosen(connection)
        for job, own in self._own.items():
            wanted = Cadence.model_validate(json.loads(found[job])) if job in found else own
            if wanted != self._cadences[job]:
                self.change(job, wanted)

    def _follow(self) -> None:
        while not self.stopping.wait(LOOK_S):
            try:
                self._adopt()
            except (SQLAlchemyError, ValueError):
                LOG.exception("The chosen cadences could not be read; the next look is in %d seconds.", LOOK_S)


def timetable(bridge: Bridge) -> Timetable:
    """Return the schedule of this instance. Raises NotConfigured for a cadence of an unknown job."""
    jobs = shipped(lambda name: run_job(bridge, name))
    wrong = problems(bridge.site.schedule, [job.name for job in jobs])
    if wrong:
        raise NotConfigured(wrong)
    return Timetable(jobs, bridge.ledger, bridge.engine.owner, lambda: bridge.site.schedule)
