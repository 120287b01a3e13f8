"""The audit trail: one row per change of state, append-only, hash-chained, in the transaction of the change itself.

Several chains, so that transactions on PostgreSQL need not queue for one head: a transaction takes any free chain and
writes all its rows there. SQLite has one writer and so one chain in use. The hash of a row covers the row before it;
with a key it is an HMAC, which a person who can write to the database cannot compute.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

import orjson
from sqlalchemy import Connection, Row, Select, and_, bindparam, exists, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bridge.ledger import many
from bridge.ledger.direct import Asked, Direct, commit_with
from bridge.ledger.models import audit, audit_head, link, message

CHAINS = 16
START = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened. *target* is ``kind/id`` in the other system; *detail* holds no secret and no personal data.

    *before* and *after* are fingerprints of what the other system held and holds now, *mapping* is the version of the
    rules by which it came about.
    """

    action: str
    actor: str
    sync: str | None = None
    source_id: str | None = None
    target: str | None = None
    message_id: int | None = None
    correlation: str | None = None
    code: str | None = None
    detail: str | None = None
    before: str | None = None
    after: str | None = None
    mapping: str | None = None


_FIRST = ("action", "actor", "sync", "source_id", "target", "message_id", "correlation", "code", "detail")
_LATER = ("before", "after", "mapping")  # rows without these hash as they did before there were any
FIELDS = (*_FIRST, *_LATER)
EXPORTED = ("at", "actor", "action", "sync", "source_id", "target", "code", "detail", "correlation", "before", "after",
            "mapping", "message_id", "chain", "seq", "hash")  # fmt: skip
CALLED = 2_000  # messages of one call that are looked at
LOOKED_AT = 20_000  # rows about one record that are looked through for the newest
STEP = 10_000  # messages whose rows are looked for in one statement
_TAKE = select(audit_head.c.chain, audit_head.c.seq, audit_head.c.hash).order_by(audit_head.c.chain).limit(1)
_TAKE_FREE, _TAKE_FIRST = Direct(_TAKE.with_for_update(skip_locked=True)), Direct(_TAKE.with_for_update())
_MOVE = Direct(
    update(audit_head)
    .where(audit_head.c.chain == bindparam("c"))
    .values(seq=bindparam("new_seq"), hash=bindparam("new_hash"))
)
# PostgreSQL does it with the rows, in one round trip.
_MOVING = "WITH moved AS (UPDATE audit_head SET seq = %s, hash = %s WHERE chain = %s)"
_COLUMNS = ("seq", *FIELDS, "hash")
_VALUES = attrgetter(*FIELDS)


def start(connection: Connection) -> None:
    """Make the chains that are not there yet. Two instances may do so at once."""
    present = set(connection.execute(select(audit_head.c.chain)).scalars())
    fresh = [{"chain": n, "seq": 0, "hash": START} for n in range(CHAINS) if n not in present]
    if fresh:
        insert_here = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(insert_here(audit_head).on_conflict_do_nothing(index_elements=["chain"]), fresh)


def digest(key: bytes, previous: str, at: datetime, values: Sequence[Any]) -> str:
    """Return the hash of one row: HMAC-SHA256 under *key* of the previous hash and the row's own values."""
    return _digest(key, [previous, at.astimezone(UTC).isoformat(), *values])


def _digest(key: bytes, parts: Sequence[Any]) -> str:
    body = orjson.dumps(parts)
    return hmac.digest(key, body, "sha256").hex() if key else hashlib.sha256(body).hexdigest()


def _hashed(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return values if any(it is not None for it in values[len(_FIRST) :]) else values[: len(_FIRST)]


def free_chain(connection: Connection) -> Asked:
    """Ask for a chain that nobody uses now, and keep it: the last lock that a transaction takes."""
    return _TAKE_FREE.of(connection)


def write(
    connection: Connection, key: bytes, at: datetime, entries: Sequence[Entry], chains: Sequence[Any] = ()
) -> None:
    """Append *entries* to a free chain, in order, as the last thing of a transaction.

    *chains* is what `free_chain` found already. On PostgreSQL the transaction is committed with the rows.
    """
    if not entries:
        return
    is_postgresql = connection.dialect.name == "postgresql"
    head = next(iter(chains), None) or _TAKE_FREE.first(connection)  # SQLite has no such locks, nor needs them
    if head is None:  # every chain is in use just now: wait for the first
        [head] = _TAKE_FIRST.rows(connection)
    chain, seq, previous = head
    rows = []
    moment = at.astimezone(UTC).isoformat()
    for entry in entries:
        seq += 1
        values = _VALUES(entry)
        previous = _digest(key, (previous, moment, chain, seq, *_hashed(values)))
        rows.append((seq, *values, previous))
    common = {"chain": chain, "at": at}
    if is_postgresql:
        moving = (_MOVING, (seq, previous, chain))
        commit_with(connection, many.inserting(connection, audit, _COLUMNS, rows, common, first=moving))
        return
    many.insert(connection, audit, _COLUMNS, rows, common)
    _MOVE.change(connection, [{"c": chain, "new_seq": seq, "new_hash": previous}])


def newest(connection: Connection, actor: str) -> Row[Any] | None:
    """Return the last row of *actor*."""
    query = select(audit).where(audit.c.actor == actor).order_by(audit.c.at.desc()).limit(1)
    return connection.execute(query).first()


def about(connection: Connection, word: str, most: int, kinds: Iterable[str]) -> list[Row[Any]]:
    """Return the newest rows about an id of either system, an order's number, a user, a correlation or a message.

    *kinds* are those of the records that syncs write: a target is kept as ``kind/id``. A number such as ``SO1001`` is
    kept in the links only; it leads to whatever happened to that order, either way.
    """
    called = select(message.c.id).where(message.c.correlation == word).limit(CALLED)
    asked = [
        audit.c.source_id == word,
        audit.c.target.in_([word, *(f"{kind}/{word}" for kind in kinds)]),
        audit.c.message_id.in_(list(connection.execute(called).scalars())),
    ]
    asked += [audit.c.message_id == int(word)] if word.isdecimal() and len(word) < 19 else []
    numbered = select(link.c.sync, link.c.source_id, link.c.target_kind, link.c.target_id)
    for one in connection.execute(numbered.where(link.c.number.in_({word, word.upper()})).limit(most)):
        asked.append(and_(audit.c.source_id == one.source_id, audit.c.sync == one.sync))
        asked.append(audit.c.target == f"{one.target_kind}/{one.target_id}")
    newest = select(audit).where(audit.c.actor == word).order_by(audit.c.at.desc()).limit(most)
    found = {(row.chain, row.seq): row for row in connection.execute(newest)}
    for condition in asked:
        # Each by its own index, and ordered afterwards: in one question the newest of all rows would be looked through.
        few = select(audit).where(condition).limit(LOOKED_AT).subquery()
        rows = connection.execute(select(few).order_by(few.c.at.desc()).limit(most))
        found |= {(row.chain, row.seq): row for row in rows}
    return sorted(found.values(), key=lambda row: (row.at, -row.chain, row.seq), reverse=True)[:most]


def lately(connection: Connection, since: datetime | None, until: datetime | None, most: int) -> list[Row[Any]]:
    """Return the newest rows of ``[since, until)``."""
    query = select(audit).order_by(audit.c.at.desc(), audit.c.chain, audit.c.seq.desc()).limit(most)
    return list(connection.execute(_within(query, since, until)))


def _within(query: Select[Any], since: datetime | None, until: datetime | None) -> Select[Any]:
    query = query.where(audit.c.at >= since) if since else query
    return query.where(audit.c.at < until) if until else query


def under(connection: Connection, mapping: str, actions: Sequence[str]) -> Iterator[Sequence[Row[Any]]]:
    """Yield in steps the rows of *actions* that came about by one version of the rules."""
    query = select(audit).where(audit.c.mapping == mapping, audit.c.action.in_(list(actions)))
    found = connection.execution_options(yield_per=500).execute(query.order_by(audit.c.chain, audit.c.seq))
    yield from found.partitions()


def period(connection: Connection, since: datetime | None, until: datetime | None) -> Iterator[Row[Any]]:
    """Yield the rows of ``[since, until)`` in the order of their time, a thousand in memory at once."""
    query = select(audit).order_by(audit.c.at, audit.c.chain, audit.c.seq)
    yield from connection.execute(_within(query, since, until), execution_options={"yield_per": 1000})


def verify(connection: Connection, key: bytes) -> Iterator[str]:
    """Yield one sentence for the first broken row of each chain; nothing when every chain holds.

    The trail is compared with the messages, too: who takes the last rows of a chain away, and moves its end, leaves
    messages of which nothing is said.
    *connection* must stand still (`Ledger.read`): what is written after the heads were read would look put there.
    """
    found = connection.execute(select(audit_head.c.chain, audit_head.c.seq, audit_head.c.hash)).all()
    heads = {chain: (last, head) for chain, last, head in found}
    chains = {*range(CHAINS), *heads, *connection.execute(select(audit.c.chain).distinct()).scalars()}
    for chain in sorted(chains):
        if chain not in heads:
            yield f"Chain {chain} has no end: it was removed, or rows were put where there is no chain."
            continue
        yield from _verify_one(connection, key, chain, *heads[chain])
    number = unsaid(connection)
    if number is not None:
        yield f"Message {number} is settled, but the audit does not say so: rows were deleted, or it was changed."


def _verify_one(connection: Connection, key: bytes, chain: int, last: int, head: str) -> Iterator[str]:
    previous, expected = START, 0
    query = select(audit).where(audit.c.chain == chain).order_by(audit.c.seq)
    rows = connection.execute(query, execution_options={"yield_per": 1000})
    for expected, row in enumerate(rows, start=1):
        values = _hashed(_VALUES(row))
        if row.seq != expected:
            yield f"Chain {chain} lacks row {expected}: it was deleted, or rows were renumbered."
        elif row.hash != digest(key, previous, row.at, [chain, expected, *values]):
            yield f"Chain {chain} is broken at row {expected}: it was changed, inserted or put in another's place."
        else:
            previous = row.hash
            continue
        rows.close()
        return
    if expected < last:
        yield f"Chain {chain} lacks row {expected + 1}: it should end at row {last}."
    elif expected != last or previous != head:
        yield f"Chain {chain} should end at row {last}, but ends at row {expected}."


def unsaid(connection: Connection) -> int | None:
    """Return the first message that settled without a row of that moment or later, None where there is none.

    In steps: all messages in one question take longer than any statement may with millions of rows.
    """
    last = connection.execute(select(func.max(message.c.id))).scalar() or 0
    for start in range(0, last, STEP):
        end = start + STEP
        told = exists().where(
            audit.c.message_id == message.c.id,
            audit.c.message_id > start,  # said again: PostgreSQL would look through the whole trail
            audit.c.message_id <= end,
            audit.c.at >= message.c.settled_at,
        )
        query = select(message.c.id).where(message.c.id > start, message.c.id <= end)
        query = query.where(message.c.settled_at.is_not(None), ~told).order_by(message.c.id).limit(1)
        found: int | None = connection.execute(query).scalar()
        if found is not None:
            return found
    return None
