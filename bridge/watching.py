"""Watch the house: what should worry an administrator now, told once when it begins and once when it is over.

`look` compares what is with what should be and keeps incidents; `tell` hands the untold ones to the channels. The audit
is verified and anchored from here too.

Must not know: mail, chat, SQL beyond the ledger's own questions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row

from bridge import operating
from bridge.delivery import Delivery
from bridge.errors import BridgeError
from bridge.ledger import Ledger, anchors, audit, desk, incidents, marks
from bridge.ledger.incidents import Incident
from bridge.site import Alerts
from bridge.standing import EVERYTHING

LOG = logging.getLogger("bridge.watching")
ANCHORER = "anchors"  # who says so in the audit
ANCHORS = logging.getLogger("bridge.anchors")

FAMILIES: Final = ("failed", "paused", "silence", "lag", "quota", "clock", "expiry", "soap", "late", "job", "space")
# Token login may end with NetSuite 2028.1, a release before SOAP itself; its first accounts are moved in February.
SOAP_MAY_END: Final = date(2028, 2, 1)
SOAP_DAYS: Final = (365, 180, 90, 30)
EXPIRY_DAYS: Final = (30, 7, 1)
DAY: Final = timedelta(days=1)
REFUSED: Final = timedelta(minutes=10)  # without too many refused callouts; whoever refuses them reports it
LITTLE: Final = 5 * 1024**3  # bytes; a fifth of a large disk is plenty
STOP: Final = 1024**3  # bytes, or a twentieth of a small disk: the rest is for accepting

Tell = Callable[[Incident], bool]  # True once somebody was reached


@dataclass(frozen=True, slots=True)
class Watched:
    """What is looked at besides the ledger. *expiries* are keys, certificates and tokens by name with their last day.

    *usage* gives the share of Salesforce's daily calls that is used, *space* the bytes of the database's disk that are
    free, and all of them.
    """

    limits: Alerts
    timezone: str
    expiries: Sequence[tuple[str, date]] = ()
    usage: Callable[[], float] = field(default=lambda: 0.0)
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))  # this machine's
    space: Callable[[], tuple[int, int] | None] = field(default=lambda: None)


def look(engine: Delivery, watched: Watched) -> list[Incident]:
    """Keep what is wrong now, end what is no longer, and return what is wrong."""
    ledger = engine.ledger
    skew = _skew(engine, watched)  # asks NetSuite, so before any transaction
    space = watched.space()
    keep_room(engine, space)
    with ledger.read() as connection:
        now = ledger.now(connection)
        found = [
            *map(_failed, desk.errors(connection)),
            *(
                Incident(f"paused:{it.scope}", "SYNC_PAUSED", f"{it.scope.lstrip('*')} is paused: {it.reason}")
                for it in marks.pauses(connection)
            ),
            *_lag(desk.waiting_since(connection, now), now, watched.limits),
            *_silence(desk.last_call(connection), now, watched),
            *_late(desk.came_late(connection, now - DAY), watched.limits),
            *map(_not_done, marks.not_done(connection)),
        ]
    found += [
        *skew,
        *_space(space),
        *_quota(watched.usage()),
        *_expiring(watched.expiries, now.date()),
        *_soap(now.date()),
    ]
    with ledger.write() as writing:
        incidents.report(writing, found)
        incidents.end(writing, FAMILIES, [it.key for it in found])
        incidents.end_unseen(writing, "refused", writing.now - REFUSED)
        incidents.end_unseen(writing, "apart", writing.now - REFUSED)
    return found


def keep_room(engine: Delivery, space: tuple[int, int] | None) -> None:
    """Stop sending and pulling while the disk is nearly full, so that accepting can go on; resume with twice the room.

    What a pull does not read now is there later; a save that is refused has to be found by the sweep.
    """
    if space is None:
        return
    free, least = space[0], min(space[1] // 20, STOP)
    with engine.ledger.read() as connection:
        is_stopped = any(it.scope == EVERYTHING for it in marks.pauses(connection))
    if free < least and not is_stopped:
        reason = f"The disk of the database has {free // 1024**2:,} MB left, and they are kept for accepting."
        with engine.ledger.write() as writing:
            marks.start_pause(writing, EVERYTHING, "LOW_SPACE", reason, probe=False)
    elif free >= 2 * least and is_stopped:
        operating.resume(engine, EVERYTHING, actor="bridge")


def tell(ledger: Ledger, channels: Sequence[Tell]) -> int:
    """Hand every untold incident to all channels, and return how many were told; the others are tried again."""
    with ledger.read() as connection:
        waiting = incidents.untold(connection)
    count = 0
    for it in waiting:
        reached = [channel(it) for channel in channels]
        if any(reached):
            with ledger.write() as writing:
                incidents.told(writing, it)
            count += 1
    return count


def _failed(cause: Row[Any]) -> Incident:
    number = cause._mapping["count"]
    need = "record needs" if number == 1 else "records need"
    sentence = f"{number} {need} {cause.who}: {cause.reason} ({cause.code})"
    return Incident(f"failed:{cause.code}:{cause.who}"[:120], "RECORDS_FAILED", sentence, cause.who or "administrator")


def _lag(oldest: datetime | None, now: datetime, limits: Alerts) -> Iterator[Incident]:
    if oldest is not None and now - oldest > timedelta(minutes=limits.lag_minutes):
        yield Incident("lag:", "LAG", f"The oldest change that could be sent has waited for {_ago(now - oldest)}.")


def _silence(last: datetime | None, now: datetime, watched: Watched) -> Iterator[Incident]:
    """Say that no callout came for too long while people are at work. A house that never had one is not silent."""
    limits = watched.limits
    here = now.astimezone(ZoneInfo(watched.timezone))
    start, end = (time.fromisoformat(it) for it in limits.working_hours.split("-"))
    at_work = here.weekday() < 5 and start <= here.time() < end
    if not (limits.silence_minutes and last is not None and at_work):
        return
    opened = here.replace(hour=start.hour, minute=start.minute, second=0, microsecond=0)
    quiet = now - max(last, opened.astimezone(UTC))
    if quiet > timedelta(minutes=limits.silence_minutes):
        sentence = f"Salesforce has sent nothing for {_ago(quiet)}; look whether its callouts still reach the bridge."
        yield Incident("silence:", "SILENCE", sentence)


def _late(count: int, limits: Alerts) -> Iterator[Incident]:
    if count > limits.late_records:
        what = "1 change of the last day was" if count == 1 else f"{count} changes of the last day were"
        sentence = f"{what} found by the sweep only: callouts are being lost."
        yield Incident("late:", "CALLOUTS_LOST", sentence)


def _not_done(row: Row[Any]) -> Incident:
    sentence = f"The job {row.job} was not done at {row.scheduled_at:%Y-%m-%d %H:%M} UTC: {row.report or row.outcome}"
    return Incident(f"job:{row.job}", "JOB_NOT_DONE", sentence)


def _space(space: tuple[int, int] | None) -> Iterator[Incident]:
    if space is not None and space[0] < min(space[1] // 5, LITTLE):
        sentence = f"The disk of the database has {space[0] // 1024**2:,} MB left; when it is full nothing is accepted."
        yield Incident("space:", "LOW_SPACE", sentence)


def _skew(engine: Delivery, watched: Watched) -> list[Incident]:
    before = watched.clock()
    try:
        theirs = engine.netsuite.now()
    except BridgeError:
        return []  # whatever it is, the pause says so
    middle = before + (watched.clock() - before) / 2
    found = []
    for name, other in (("NetSuite", theirs), ("the database", engine.ledger.moment())):
        apart = abs((other - middle).total_seconds())
        if apart > watched.limits.skew_seconds:
            sentence = f"The clocks of this machine and of {name} are {apart:.0f} s apart; set this machine's clock."
            found.append(Incident(f"clock:{name}", "CLOCK_SKEW", sentence))
    return found


def _quota(share: float) -> Iterator[Incident]:
    if share >= 0.8:
        sentence = f"{share:.0%} of Salesforce's daily calls are used; at 90 % background work waits until some return."
        yield Incident("quota:salesforce", "QUOTA", sentence)


def _expiring(expiries: Sequence[tuple[str, date]], today: date) -> Iterator[Incident]:
    for name, last in expiries:
        left = (last - today).days
        step = next((it for it in sorted(EXPIRY_DAYS) if left <= it), None)
        if step is not None:
            words = f"ends in {left} days, on {last}" if left >= 0 else f"ended on {last}"
            yield Incident(f"expiry:{name}:{step}"[:120], "EXPIRES", f"{name} {words}; put a new one beside it.")


def _soap(today: date) -> Iterator[Incident]:
    left = (SOAP_MAY_END - today).days
    step = next((it for it in sorted(SOAP_DAYS) if left <= it), None)
    if step is not None:
        sentence = f"NetSuite may end token login for SOAP in {max(left, 0)} days; plan the move to its REST services."
        yield Incident(f"soap:{step}", "SOAP_ENDS", sentence)


def _ago(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return (
        f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours" if minutes < 2880 else f"{span.days} days"
    )


# --- the audit trail ---


def broken(ledger: Ledger, file: Path | None) -> list[str]:
    """Return what is wrong with the trail, alone and beside its anchors. Raises OSError where *file* is not there."""
    with ledger.read(still=True) as connection:
        found = list(audit.verify(connection, ledger.audit_key))
        if file is not None:
            with file.open(encoding="utf-8") as lines:
                wrong = list(anchors.check(connection, ledger.audit_key, lines))
            found += wrong or _shorter(file, _written(connection, file))
    return found


def write_anchor(ledger: Ledger, file: Path | None) -> str:
    """Append where the chains end to *file*, and to the log, which often goes to another machine. Say how it went.

    The audit says how many lines were written, so that a file that was taken away is missed although the next one
    begins anew.
    """
    with ledger.read() as connection:
        now = ledger.now(connection)
        previous = anchors.last_line(file) if file is not None and file.exists() else None
        line = anchors.line(connection, ledger.audit_key, now, previous)
        number = _written(connection, file) + 1 if file is not None else 0
    ANCHORS.info("%s", line)
    if file is None:
        return "the end of the audit chains is in the log"
    with file.open("a", encoding="utf-8") as kept:
        kept.write(line + "\n")
    with ledger.write() as writing:
        writing.say("anchored", ANCHORER, detail=f"{number} lines in {file.name}"[:400])
    return f"the end of the audit chains is in {file.name}"


def _written(connection: Connection, file: Path) -> int:
    """Return how many lines the audit says *file* has; 0 if another one was written to last."""
    row = audit.newest(connection, ANCHORER)
    count, _, name = (row.detail or "").partition(" lines in ") if row is not None else ("0", "", "")
    return int(count) if name == file.name else 0


def _shorter(file: Path, wanted: int) -> Iterator[str]:
    with file.open("rb") as lines:
        count = sum(1 for it in lines if it.strip())
    if count < wanted:
        missing = f"The file of anchors has {count} lines, but {wanted} were written"
        yield f"{missing}: put the others back, or name another file in BRIDGE_AUDIT_ANCHORS."


def verify(ledger: Ledger, file: Path | None) -> str:
    """Check the trail, and keep an incident while it does not hold."""
    try:
        wrong = broken(ledger, file if file is not None and file.exists() else None)
        if file is not None and not file.exists():
            wrong.append("The file of anchors is gone.")
    except OSError as error:
        wrong = [f"The file of anchors cannot be read: {error.strerror}."]
    found = [Incident(f"audit:{n}", "AUDIT_BROKEN", sentence, "auditor") for n, sentence in enumerate(wrong)]
    with ledger.write() as writing:
        incidents.report(writing, found)
        incidents.end(writing, ("audit",), [it.key for it in found])
    return "; ".join(wrong) or "the audit trail holds"
