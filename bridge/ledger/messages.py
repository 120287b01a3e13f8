"""Messages: accept, open, settle. One row is one change on its way; every change of its state is in the audit."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    bindparam,
    case,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from bridge.ledger import Writing, lanes, many
from bridge.ledger.direct import Asked, Direct, run
from bridge.ledger.models import DELIVERED, OPEN, PENDING, SENDING, UNCERTAIN, Instant, attempt, link, message

INTERACTIVE, BULK = 0, 1  # priorities: a person is waiting, or nobody is
PAGE = 2000  # open messages that are looked at in one transaction

# Statements are made once: SQLAlchemy finds what it compiled by a key, and making that key of a wide table's new
# statement takes longer than SQLite takes to answer it.
FAR = datetime(9000, 1, 1, tzinfo=UTC)
_BY_QUEUE = Direct(
    select(message)
    .where(many.among(message.c.queue, "keys"))
    .order_by(
        case(
            (or_(message.c.due_at > bindparam("now", type_=Instant()), many.among(message.c.sync, "shut")), 1), else_=0
        ),
        message.c.id,
    )
    .limit(bindparam("most"))
)
_OF_RECORDS = (
    select(
        message.c.id,
        message.c.state,
        func.row_number()
        .over(
            partition_by=(message.c.sync, message.c.source_id),
            order_by=(message.c.version.desc(), message.c.modified_at.desc(), message.c.id.desc()),
        )
        .label("place"),
    )
    .where(many.among(message.c.queue, "keys"), many.among(message.c.source_id, "ids"))
    .subquery()
)
_DECIDING = select(_OF_RECORDS.c.id).where(or_(_OF_RECORDS.c.place == 1, _OF_RECORDS.c.state.in_((SENDING, UNCERTAIN))))
_HOLD = text("SELECT pg_advisory_xact_lock(7202, hashtext(:id))")
_BY_ID = select(message).where(message.c.id.in_(bindparam("ids", expanding=True))).order_by(message.c.id)
_SENT = select(message.c.sync, message.c.source_id, message.c.actor, message.c.source_hash).where(
    many.among(message.c.source_id, "ids"),
    message.c.state == "delivered",
    message.c.settled_at > bindparam("since"),
)
_CHANGE = ("state", "queue", "due_at", "waits_for", "sent_at", "settled_at", "code", "reason", "who", "field", "detail",
           "target_kind", "target_id", "attempts", "crashes")  # fmt: skip
_SETTLE = Direct(
    update(message).where(message.c.id == bindparam("m")).values({name: bindparam(name) for name in _CHANGE})
)
_KEPT = ("sent_at", "target_kind", "target_id", "attempts", "crashes")
_ATTEMPT = insert(attempt)
_ARRIVED = (
    update(message)
    .where(message.c.id.in_(bindparam("ids", expanding=True)), message.c.state == SENDING)
    .values(
        state=DELIVERED, queue=None, settled_at=bindparam("now", type_=Instant()), target_kind=bindparam("kind"),
        target_id=select(link.c.target_id)
        .where(link.c.sync == message.c.sync, link.c.source_id == message.c.source_id)
        .scalar_subquery(),
    )
)  # fmt: skip
_ARRIVAL = insert(attempt).from_select(
    ["message_id", "epoch", "started_at", "finished_at", "outcome"],
    select(
        message.c.id, bindparam("epoch", type_=BigInteger), message.c.sent_at, bindparam("now", type_=Instant()),
        literal(DELIVERED),
    ).where(message.c.id.in_(bindparam("ids", expanding=True))),
)  # fmt: skip
# What other systems call things may be longer than the columns, and PostgreSQL refuses the whole transaction then.
_LONGEST = {"code": 80, "who": 20, "field": 80, "target_kind": 60, "target_id": 40}


@dataclass(frozen=True, slots=True)
class New:
    """A message to accept."""

    sync: str
    source_kind: str
    source_id: str
    version: int
    modified_at: datetime
    lane: str
    payload: str
    origin: str
    source_hash: str = ""
    actor: str | None = None
    priority: int = BULK
    write_back: bool = True
    forced: bool = False
    correlation: str = ""  # of its own call, where several calls are stored together


_GIVEN = (
    "sync", "source_kind", "source_id", "version", "modified_at", "lane", "queue", "priority", "payload", "source_hash",
    "origin", "actor", "correlation", "forced", "write_back", "waits_for",
)  # fmt: skip
_ONCE = "ON CONFLICT (sync, source_id, version, modified_at) DO NOTHING"
_Told = namedtuple("_Told", "id sync source_id version lane actor origin correlation")
_LAST = "SELECT max(seq) FROM sqlite_sequence WHERE name = 'message'"
_SINCE = f"SELECT {', '.join(_Told._fields)} FROM message WHERE id > ? ORDER BY id"  # noqa: S608 - our own names


def begin(writing: Writing, new: Sequence[New], correlation: str, waits: Mapping[str, str | None]) -> dict[str, int]:
    """Store *new* messages as being sent, by the holder of their lane's lease: record id → message id of the new ones.

    One step and one audit row instead of two, for what is sent right after this transaction. *waits* tells what comes
    later and is a reason to send them again.
    """
    if not new:
        return {}
    new = sorted(new, key=attrgetter("source_id"))
    stored = _store(writing, new, correlation, waits, state=SENDING, attempts=1, sent_at=writing.now)
    for row in stored:
        writing.say(
            "received", row.actor or row.origin, sync=row.sync, source_id=row.source_id, message_id=row.id,
            correlation=row.correlation, detail=SENDING,
        )  # fmt: skip
    return {row.source_id: row.id for row in stored}


def delivered(writing: Writing, ids: Sequence[int], epoch: int, target_kind: str) -> None:
    """Settle messages that arrived at their first attempt, and keep the attempt; the caller says so in the audit."""
    values = {"ids": list(ids), "now": writing.now, "epoch": epoch, "kind": target_kind}
    writing.connection.execute(_ARRIVED, values)
    writing.connection.execute(_ARRIVAL, values)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The ids of messages that are new, and when their lanes have to be woken for them."""

    ids: list[int] = field(default_factory=list)
    due: dict[str, tuple[datetime | None, int]] = field(default_factory=dict)


def accept(writing: Writing, new: Sequence[New], correlation: str = "") -> list[int]:
    """Store *new* messages, each once per (sync, record, version), wake their lanes, and return the new ids."""
    done = store(writing, new, correlation)
    wake(writing, done.due)
    return done.ids


def store(writing: Writing, new: Sequence[New], correlation: str = "", *, shut: Container[str] = ()) -> Accepted:
    """Store *new* messages as `accept` does; the caller wakes their lanes in the same transaction.

    Nobody is woken for messages of the syncs *shut*, which are paused: whoever ends the pause makes their lanes due.
    """
    if not new:
        return Accepted()
    # Always in one order: two transactions that bring the same records in turn would wait for each other.
    new = sorted(new, key=attrgetter("source_id"))
    stored = _store(writing, new, correlation, {}, state=PENDING, attempts=0)
    for row in stored:
        writing.say(
            "received", row.actor or row.origin, sync=row.sync, source_id=row.source_id, message_id=row.id,
            correlation=row.correlation,
        )  # fmt: skip
    if len(stored) < len(new):
        kept = {(row.sync, row.source_id, row.version, row.correlation) for row in stored}
        _say_repeated(writing, new, correlation, kept)
    priority: dict[str, int] = {}
    for it in new:
        priority[it.lane] = min(it.priority, priority.get(it.lane, it.priority))
    asleep = {row.lane: (None, priority[row.lane]) for row in stored if row.sync in shut}
    awake = {row.lane: (writing.now, priority[row.lane]) for row in stored if row.sync not in shut}
    return Accepted([row.id for row in stored], {**asleep, **awake})


def _store(
    writing: Writing, new: Sequence[New], correlation: str, waits: Mapping[str, str | None], **state: Any
) -> Sequence[_Told]:
    connection = writing.connection
    rows = [
        (
            it.sync, it.source_kind, it.source_id, it.version, it.modified_at, it.lane, it.lane, it.priority,
            it.payload, it.source_hash, it.origin, it.actor, it.correlation or correlation, it.forced, it.write_back,
            waits.get(it.source_id),
        )
        for it in new
    ]  # fmt: skip
    common = {**state, "crashes": 0, "created_at": writing.now}
    if connection.dialect.name == "postgresql":
        told = f"{_ONCE} RETURNING {', '.join(_Told._fields)}"
        return [_Told(*it) for it in many.insert(connection, message, _GIVEN, rows, common, told)]
    # SQLite's driver returns nothing of many rows. But it has one writer at a time, and never uses a number twice.
    [(last,)] = run(connection, _LAST, ())
    many.insert(connection, message, _GIVEN, rows, common, _ONCE)
    return [_Told(*it) for it in run(connection, _SINCE, (last or 0,))]


def _say_repeated(
    writing: Writing, new: Sequence[New], correlation: str, stored: Container[tuple[str, str, int, str]]
) -> None:
    """Keep that a callout brought what another had brought; a pull's overlap does so all the time."""
    for it in new:
        whose = it.correlation or correlation
        if it.origin == "callout" and (it.sync, it.source_id, it.version, whose) not in stored:
            writing.say("repeated", it.actor or it.origin, sync=it.sync, source_id=it.source_id, correlation=whose)


def wake(writing: Writing, due: Mapping[str, tuple[datetime | None, int]]) -> None:
    """Make lanes due, and tell the carrier when this transaction commits; not of those that sleep without a moment."""
    if due:
        waking(writing, due).alone(writing.connection)


def waking(writing: Writing, due: Mapping[str, tuple[datetime | None, int]]) -> Asked:
    """Ask for what `wake` does."""
    writing.wakes.update(key for key, (at, _) in due.items() if at is not None)
    return lanes.waking(writing.connection, due)


def newest(connection: Connection, source_ids: Sequence[str], syncs: Iterable[str]) -> dict[str, tuple[int, datetime]]:
    """Return version and stamp of the newest message of each of the records *source_ids*, in *syncs* only.

    The write-backs of the same record count their own versions, which say nothing of its saves.
    """
    if not source_ids:
        return {}
    query = select(message.c.source_id, message.c.version, message.c.modified_at)
    rows = connection.execute(
        query.where(message.c.source_id.in_(source_ids), message.c.sync.in_(list(syncs))).order_by(
            message.c.version, message.c.modified_at
        )
    )
    return {row.source_id: (row.version, row.modified_at) for row in rows}


def opened(
    connection: Connection, keys: Sequence[str], now: datetime | None = None, shut: Iterable[str] = ()
) -> list[Row[Any]]:
    """Return open messages of lanes *keys*, oldest first, but those that wait beyond *now*, or are *shut*, last.

    At most `PAGE`, and of each record among them its newest message and whatever may have reached the other system:
    an older save must not be sent before a newer one, nor a newer one while nobody knows what became of the older.
    """
    found = _BY_QUEUE.rows(connection, keys=list(keys), most=PAGE, now=now or FAR, shut=list(shut))
    if len(found) < PAGE:
        return found
    seen = {row.id for row in found}
    deciding = connection.execute(_DECIDING, {"keys": list(keys), "ids": {row.source_id for row in found}}).scalars()
    return found + by_ids(connection, [it for it in deciding if it not in seen])


def hold_records(connection: Connection, source_ids: Iterable[str]) -> None:
    """Let nobody else decide about these records until this transaction ends: two lanes may hold changes of one.

    SQLite has one writer at a time, which comes to the same.
    """
    if connection.dialect.name == "postgresql":
        for source_id in sorted(source_ids):
            connection.execute(_HOLD, {"id": source_id})


def sent_since(
    connection: Connection, source_ids: Sequence[str], since: datetime
) -> dict[tuple[str, str], list[tuple[str | None, str]]]:
    """Return what was delivered of *source_ids* since then: (sync, record) → (who saved it, hash of what it said)."""
    if not source_ids:
        return {}
    found: dict[tuple[str, str], list[tuple[str | None, str]]] = {}
    for row in connection.execute(_SENT, {"ids": list(set(source_ids)), "since": since}):
        found.setdefault((row.sync, row.source_id), []).append((row.actor, row.source_hash))
    return found


def by_ids(connection: Connection, ids: Sequence[int]) -> list[Row[Any]]:
    return list(connection.execute(_BY_ID, {"ids": list(ids)}))


class Changes:
    """Collects what becomes of messages in one transaction and writes it in few statements."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self._rows: list[dict[str, Any]] = []
        self._attempts: list[dict[str, Any]] = []

    def set(
        self,
        row: Row[Any],
        state: str,
        *,
        action: str | None = None,
        say: bool = True,
        before: str | None = None,
        after: str | None = None,
        **values: Any,
    ) -> None:
        """Change the state of message *row*; unnamed columns of its error are cleared, others are kept.

        *before* and *after* are fingerprints of what stood and stands in the other system, for the audit.
        """
        now = self._writing.now
        is_open = state in OPEN
        kept = {name: getattr(row, name) for name in _KEPT}
        new: dict[str, Any] = {
            **dict.fromkeys(_CHANGE),
            **kept,
            "state": state,
            "queue": row.lane if is_open else None,
            "settled_at": None if is_open else now,
            **values,
        }
        for name, longest in _LONGEST.items():
            if new[name] is not None:
                new[name] = new[name][:longest]
        self._rows.append({"m": row.id, **new})
        if say:
            target = f"{new['target_kind']}/{new['target_id']}" if new["target_id"] else None
            self._writing.say(
                action or state,
                row.actor or row.origin,
                sync=row.sync,
                source_id=row.source_id,
                target=target,
                message_id=row.id,
                correlation=row.correlation,
                code=new["code"],
                before=before,
                after=after,
            )

    def attempted(
        self,
        row: Row[Any],
        epoch: int,
        outcome: str,
        code: str | None = None,
        detail: str | None = None,
        *,
        sent_at: datetime | None,
    ) -> None:
        """Keep how an attempt went. That it was begun stands in the message itself, committed before it was made."""
        self._attempts.append(
            {
                "message_id": row.id,
                "epoch": epoch,
                "started_at": sent_at or self._writing.now,
                "finished_at": self._writing.now,
                "outcome": outcome,
                "code": code and code[: _LONGEST["code"]],
                "detail": detail,
            }
        )

    def flush(self) -> None:
        connection = self._writing.connection
        if self._attempts:
            connection.execute(_ATTEMPT, self._attempts)
        if self._rows:
            _SETTLE.change(connection, self._rows)
