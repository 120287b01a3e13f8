"""Recovery: notice that the ledger is older than the world, and let nothing be pushed until a person has looked.

A database that was restored from a backup, or lost its last commits in a fail-over, does not know what it has done
since. Three witnesses know better: the anchors kept outside, what this process saw in the database a while ago, and
the times that Salesforce shows on records that were delivered. Nothing need be installed in NetSuite for that.

Must not know: SOAP, HTTP.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, func, select

from bridge.delivery import Delivery
from bridge.errors import BridgeError, Misconfigured
from bridge.ledger import Ledger, Writing, anchors, incidents, lanes, marks
from bridge.ledger.anchors import Heads
from bridge.ledger.incidents import Incident
from bridge.ledger.models import attempt, occurrence
from bridge.merging import FORGOTTEN
from bridge.standing import covered

LOG = logging.getLogger("bridge.recovering")

SCOPE, CODE, MARK = "*netsuite", "RECOVERY", "recovery"
MARGIN = timedelta(minutes=15)  # two clocks, an answer on its way, and what the sweep's overlap brings by itself
BUSY = timedelta(minutes=5)  # a ledger that worked so lately cannot have lost more than that
LOOKS = 20  # states that are remembered, one a minute: the oldest is older than MARGIN
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
BEATS = "watch"  # a job that some instance does every minute: when it was last done says how old a copy is
# Where Salesforce refuses the question, as without the package's fields, it is put again so seldom and so often.
REFUSED, REFUSALS = timedelta(hours=1), 24
HINT = "Run 'bridge reconcile' to see what differs, and 'bridge reconcile --apply' to link it again and go on."

Shown = Callable[[datetime, datetime], bool]  # does Salesforce show a record as delivered between these times?


class Witness:
    """What this process saw in the database, for as long as it runs.

    *to_ask*: between which times Salesforce is still to be asked for what it shows, because it did not answer at the
    start, and *ask_at* when. What was delivered since then the ledger knows of.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[datetime, Heads]] = deque(maxlen=LOOKS)
        self.to_ask: tuple[datetime, datetime] | None = None
        self.ask_at, self.refusals = NEVER, 0

    def look(self, connection: Connection, now: datetime) -> tuple[datetime | None, datetime]:
        """Remember what is there. Return when the oldest thing was seen that is gone, None if none is.

        And the last time of which it is certain that what was there then is there still.
        """
        gone = [at for at, seen in self._seen if anchors.missing(connection, seen)]
        kept = [at for at, _ in self._seen if at not in gone]
        if gone:
            self._seen.clear()
        self._seen.append((now, anchors.heads(connection)))
        if gone and not kept:
            kept = [_last_beat(connection, min(gone)) or NEVER]
        return min(gone, default=None), max(kept, default=NEVER)


def last_done(connection: Connection) -> datetime | None:
    """Return when anything was last tried, as far as this ledger knows."""
    found: datetime | None = connection.execute(select(func.max(attempt.c.finished_at))).scalar()
    return found


def _last_beat(connection: Connection, before: datetime) -> datetime | None:
    """Return when a job was started last before then. What this process itself saw is all gone."""
    query = select(occurrence.c.started_at).where(
        occurrence.c.job == BEATS, occurrence.c.scheduled_at <= before, occurrence.c.started_at <= before
    )
    found: datetime | None = connection.execute(query.order_by(occurrence.c.scheduled_at.desc()).limit(1)).scalar()
    return found


def check(engine: Delivery, anchors_file: Path | None, witness: Witness, shown: Shown) -> str | None:
    """Pause pushes where the ledger turns out to be older than what others saw; return the reason. At a start."""
    with engine.ledger.read() as connection:
        now = engine.ledger.now(connection)
        mark = marks.read_watermark(connection, MARK)
        done = last_done(connection)
        lost = next(_behind(connection, anchors_file, mark), None)
    if lost is None and (done is None or now - done > BUSY):
        lost = _shown_since(max(done or NEVER, mark or NEVER), now, now, witness, shown)
    if lost is not None:
        begin(engine, f"{lost} It seems to be an older copy, or a new one. {HINT}")
    return lost


def watch(engine: Delivery, witness: Witness, shown: Shown) -> str | None:
    """Look whether the database has lost what it had while this process ran; return what was done about it."""
    with engine.ledger.read() as connection:
        now = engine.ledger.now(connection)
        lost, held = witness.look(connection, now)
        done = last_done(connection) or NEVER
    if lost is None:
        due = witness.to_ask if now >= witness.ask_at else None
        late = _shown_since(*due, now, witness, shown) if due is not None else None
        if late is not None:
            begin(engine, f"{late} It seems to be an older copy, or a new one. {HINT}")
        return late and "recovery"
    minutes = int((now - lost).total_seconds() // 60)
    # This process may not run for long; how old the copy is, its last beat and what Salesforce shows tell.
    if now - min(lost, held) > MARGIN or _shown_since(max(done, held), now, now, witness, shown):
        begin(engine, f"The database has lost what it knew {minutes} minutes ago: an older copy was put back. {HINT}")
        return "recovery"
    # The sweep receives again whatever was accepted so lately, and every write is an upsert: nobody need wait.
    said = f"The database has lost its last commits (a fail-over?), at most {minutes + 1} minutes. {HINT}"

    def work(writing: Writing) -> None:
        incidents.report(writing, [Incident(f"recovery:{now:%Y%m%dT%H%M%S}", "COMMITS_LOST", said)])
        marks.move_watermark(writing, FORGOTTEN, writing.now)

    engine.ledger.commit(work)
    return "commits lost"


def begin(engine: Delivery, reason: str) -> None:
    """Send nothing to NetSuite until a person says so; accepting, sweeping and pulling go on."""

    def work(writing: Writing) -> None:
        marks.move_watermark(writing, MARK, writing.now)
        marks.move_watermark(writing, FORGOTTEN, writing.now)
        for it in marks.pauses(writing.connection):
            if it.scope == SCOPE:
                marks.end_pause(writing, SCOPE)  # this reason is the one that a person must know
        marks.start_pause(writing, SCOPE, CODE, reason, probe=False)

    engine.ledger.commit(work)
    LOG.warning("%s", reason)


def is_on(ledger: Ledger) -> bool:
    """Say whether pushes wait because of a recovery."""
    return why(ledger) is not None


def why(ledger: Ledger) -> str | None:
    """Return why pushes wait for a person to look, None if they do not."""
    with ledger.read() as connection:
        return next((it.reason for it in marks.pauses(connection) if it.scope == SCOPE and it.code == CODE), None)


def end(engine: Delivery, *, actor: str, is_whole: bool = True) -> None:
    """Somebody has looked: go on, and let what waits drain in order. A pause for another reason stays.

    *is_whole*: all was compared and linked again; without that, the ledger is doubted where it knows nothing.
    """

    def work(writing: Writing) -> None:
        incidents.end(writing, ("recovery",), ())
        if is_whole:
            marks.forget_watermark(writing, FORGOTTEN)
        if any(it.scope == SCOPE and it.code == CODE for it in marks.pauses(writing.connection)):
            marks.end_pause(writing, SCOPE, actor=actor)
            lanes.reopen(writing.connection, covered(SCOPE, engine.syncs), writing.now)
            writing.wakes.add("*")

    engine.ledger.commit(work)


def _behind(connection: Connection, file: Path | None, mark: datetime | None) -> Iterator[str]:
    """Yield a sentence where the last anchor saw more than is there; those from before a recovery count no more."""
    if file is None:
        return
    try:
        last = anchors.last_line(file)
    except FileNotFoundError:
        return
    except OSError as error:  # its disk is away: accepting goes on, and the daily verification tells of it
        LOG.warning("The anchors cannot be read to see whether the database is an older copy: %s", error.strerror)
        return
    try:
        said = json.loads(last or "{}")
        at, heads = datetime.fromisoformat(said["at"]), anchors.heads_of(said)
    except (ValueError, KeyError, TypeError, AttributeError):
        return  # the daily verification says what is wrong with the file
    if (mark is None or at > mark) and anchors.missing(connection, heads):
        yield f"At {at:%Y-%m-%d %H:%M} UTC the audit trail was longer than it is now."


def _shown_since(since: datetime, until: datetime, now: datetime, witness: Witness, shown: Shown) -> str | None:
    """Return a sentence where Salesforce shows something that was delivered after all that the ledger knows.

    What was delivered after *until*, while Salesforce is asked or before it could be, is no sign.
    """
    try:
        is_shown = shown(since + MARGIN if since > NEVER else NEVER, until)
    except BridgeError as error:
        LOG.warning("Salesforce could not be asked whether the database is an older copy: %s", error.message)
        is_refused = isinstance(error, Misconfigured)
        witness.refusals += is_refused
        witness.ask_at = now + REFUSED if is_refused else now
        witness.to_ask = (since, until) if witness.refusals < REFUSALS else None
        return None
    witness.to_ask = None
    if not is_shown:
        return None
    when = f" after {since:%Y-%m-%d %H:%M} UTC" if since > NEVER else ""
    return f"Salesforce shows records that were delivered{when}, and the database knows nothing of it."
