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
from bridge.errors import BridgeError
from bridge.ledger import Ledger, anchors, incidents, lanes, marks
from bridge.ledger.anchors import Heads
from bridge.ledger.incidents import Incident
from bridge.ledger.models import attempt
from bridge.standing import covered

LOG = logging.getLogger("bridge.recovering")

SCOPE, CODE, MARK = "*netsuite", "RECOVERY", "recovery"
MARGIN = timedelta(minutes=15)  # two clocks, an answer on its way, and what the sweep's overlap brings by itself
BUSY = timedelta(minutes=5)  # a ledger that worked so lately cannot have lost more than that
LOOKS = 20  # states that are remembered, one a minute: the oldest is older than MARGIN
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
HINT = "Run 'bridge reconcile' to see what differs, and 'bridge reconcile --apply' to link it again and go on."

Shown = Callable[[datetime, datetime], bool]  # does Salesforce show a record as delivered between these times?


class Witness:
    """What this process saw in the database, for as long as it runs.

    *to_ask*: between which times Salesforce is still to be asked for what it shows, because it did not answer at the
    start. What was delivered since then the ledger knows of.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[datetime, Heads]] = deque(maxlen=LOOKS)
        self.to_ask: tuple[datetime, datetime] | None = None

    def look(self, connection: Connection, now: datetime) -> tuple[timedelta | None, datetime]:
        """Remember what is there. Return how old the oldest thing is that was seen and is gone, None if none is.

        And when what is there still was seen for the last time.
        """
        gone = [at for at, seen in self._seen if anchors.missing(connection, seen)]
        kept = [at for at, _ in self._seen if at not in gone]
        if gone:
            self._seen.clear()
        self._seen.append((now, anchors.heads(connection)))
        return now - min(gone) if gone else None, max(kept, default=NEVER)


def last_done(connection: Connection) -> datetime | None:
    """Return when anything was last tried, as far as this ledger knows."""
    found: datetime | None = connection.execute(select(func.max(attempt.c.finished_at))).scalar()
    return found


def check(engine: Delivery, anchors_file: Path | None, witness: Witness, shown: Shown) -> str | None:
    """Pause pushes where the ledger turns out to be older than what others saw; return the reason. At a start."""
    with engine.ledger.read() as connection:
        now = engine.ledger.now(connection)
        mark = marks.read_watermark(connection, MARK)
        done = last_done(connection)
        lost = next(_behind(connection, anchors_file, mark), None)
    if lost is None and (done is None or now - done > BUSY):
        lost = _shown_since(max(done or NEVER, mark or NEVER), now, witness, shown)
    if lost is not None:
        begin(engine, f"{lost} It seems to be an older copy, or a new one. {HINT}")
    return lost


def watch(engine: Delivery, witness: Witness, shown: Shown) -> str | None:
    """Look whether the database has lost what it had while this process ran; return what was done about it."""
    with engine.ledger.read() as connection:
        now = engine.ledger.now(connection)
        age, held = witness.look(connection, now)
        done = last_done(connection) or NEVER
    if age is None:
        late = _shown_since(*witness.to_ask, witness, shown) if witness.to_ask is not None else None
        if late is not None:
            begin(engine, f"{late} It seems to be an older copy, or a new one. {HINT}")
        return late and "recovery"
    minutes = int(age.total_seconds() // 60)
    # This process may not run for long; what Salesforce shows goes further back.
    if age > MARGIN or _shown_since(max(done, held), now, witness, shown):
        begin(engine, f"The database has lost what it knew {minutes} minutes ago: an older copy was put back. {HINT}")
        return "recovery"
    # The sweep receives again whatever was accepted so lately, and every write is an upsert: nobody need wait.
    said = f"The database has lost its last commits (a fail-over?), at most {minutes + 1} minutes. {HINT}"
    with engine.ledger.write() as writing:
        incidents.report(writing, [Incident(f"recovery:{now:%Y%m%dT%H%M%S}", "COMMITS_LOST", said)])
    return "commits lost"


def begin(engine: Delivery, reason: str) -> None:
    """Send nothing to NetSuite until a person says so; accepting, sweeping and pulling go on."""
    with engine.ledger.write() as writing:
        marks.move_watermark(writing, MARK, writing.now)
        for it in marks.pauses(writing.connection):
            if it.scope == SCOPE:
                marks.end_pause(writing, SCOPE)  # this reason is the one that a person must know
        marks.start_pause(writing, SCOPE, CODE, reason, probe=False)
    LOG.warning("%s", reason)


def is_on(ledger: Ledger) -> bool:
    """Say whether pushes wait because of a recovery."""
    with ledger.read() as connection:
        return any(it.scope == SCOPE and it.code == CODE for it in marks.pauses(connection))


def end(engine: Delivery, *, actor: str) -> None:
    """Somebody has looked: go on, and let what waits drain in order. A pause for another reason stays."""
    with engine.ledger.write() as writing:
        incidents.end(writing, ("recovery",), ())
        if any(it.scope == SCOPE and it.code == CODE for it in marks.pauses(writing.connection)):
            marks.end_pause(writing, SCOPE, actor=actor)
            lanes.reopen(writing.connection, covered(SCOPE, engine.syncs), writing.now)
            writing.wakes.add("*")


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


def _shown_since(since: datetime, until: datetime, witness: Witness, shown: Shown) -> str | None:
    """Return a sentence where Salesforce shows something that was delivered after all that the ledger knows.

    What was delivered after *until*, while Salesforce is asked or before it could be, is no sign.
    """
    try:
        is_shown = shown(since + MARGIN if since > NEVER else NEVER, until)
    except BridgeError as error:
        LOG.warning("Salesforce could not be asked whether the database is an older copy: %s", error.message)
        witness.to_ask = since, until
        return None
    witness.to_ask = None
    if not is_shown:
        return None
    when = f" after {since:%Y-%m-%d %H:%M} UTC" if since > NEVER else ""
    return f"Salesforce shows records that were delivered{when}, and the database knows nothing of it."
