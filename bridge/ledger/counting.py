"""Count and name ahead what pages show, so that no page looks through all messages: figures by hour, samples, names.

`fold` takes in what is new since the last time. Figures may be a minute old. Every instance may do it; one at a time.

Must not know: any system, HTTP.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import Connection, delete, func, select, text
from sqlalchemy.dialects import postgresql, sqlite

from bridge.ledger import Ledger, Writing, plain
from bridge.ledger.desk_models import named, place, remitted, sample, tally
from bridge.ledger.finding import fold as folded
from bridge.ledger.models import NEEDS, attempt, message

STEP = 2_000  # rows in one transaction
SETTLING = timedelta(seconds=5)  # PostgreSQL may commit a lower number later; nothing takes longer to commit
KEPT = timedelta(days=62)
SAMPLED_TO = 100_000
RATIO, LEAST_S, MOST_BUCKETS = 1.2, 0.01, 100  # buckets grow by a fifth: quantiles are right within a tenth
NOBODY_WAITED = -1
MINOR = Decimal(10_000)  # hundredths of a cent in one unit


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of figures: how many attempts ended how, and quantiles in seconds from save to NetSuite."""

    at: str
    outcomes: Mapping[str, int]
    half_s: float | None
    most_s: float | None


def fold(ledger: Ledger) -> int:
    """Take in attempts and names that are new, and one sample of what waits; return how many rows were taken in."""
    total = 0
    while True:
        with ledger.write() as writing:
            done = _fold_attempts(writing, ledger.is_sqlite)
        total += done
        if done < STEP:
            break
    total += fold_names(ledger)
    with ledger.write() as writing:
        _take_sample(writing)
        old = writing.now - KEPT
        writing.connection.execute(delete(tally).where(tally.c.hour < f"{old:%Y-%m-%d %H}"))
        writing.connection.execute(delete(sample).where(sample.c.at < f"{old:%Y-%m-%d %H:%M}"))
    return total


def _fold_attempts(writing: Writing, is_sqlite: bool) -> int:
    last = _place(writing, "attempts")
    query = (
        select(attempt.c.id, attempt.c.finished_at, attempt.c.outcome, message.c.sync, message.c.origin,
               message.c.modified_at)
        .join(message, message.c.id == attempt.c.message_id)
        .where(attempt.c.id > last)
        .order_by(attempt.c.id)
        .limit(STEP)
    )  # fmt: skip
    rows = writing.connection.execute(query).all()
    until = writing.now if is_sqlite else writing.now - SETTLING
    counted: Counter[tuple[str, str, str, int]] = Counter()
    for row in rows:
        if row.finished_at is None or row.finished_at > until:
            break
        last = row.id
        outcome = "delivered" if row.outcome in ("adopted", "recreated") else row.outcome or ""
        wait_s = (row.finished_at - row.modified_at).total_seconds()
        bucket = bucket_of(wait_s) if outcome == "delivered" and row.origin == "callout" else NOBODY_WAITED
        counted[f"{row.finished_at:%Y-%m-%d %H}", row.sync, outcome, bucket] += 1
    names = ("hour", "sync", "outcome", "bucket")
    values = [{**dict(zip(names, key, strict=True)), "number": number} for key, number in counted.items()]
    if values:
        writing.connection.execute(_add(writing.connection.dialect.name), values)
    _move(writing, "attempts", last)
    return sum(counted.values())


def _place(writing: Writing, name: str) -> int:
    """Return how far it has come, and let no other instance go on from there until this transaction ends."""
    if writing.connection.dialect.name == "postgresql":
        writing.connection.execute(text("SELECT pg_advisory_xact_lock(7203)"))
    return writing.connection.execute(select(place.c.number).where(place.c.name == name)).scalar() or 0


def _move(writing: Writing, name: str, number: int) -> None:
    statement = (postgresql.insert if writing.connection.dialect.name == "postgresql" else sqlite.insert)(place)
    fresh = {"number": statement.excluded.number}
    values = statement.values(name=name, number=number)
    writing.connection.execute(values.on_conflict_do_update(index_elements=["name"], set_=fresh))


@cache
def _add(dialect: str) -> Any:
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(tally)
    more = {"number": tally.c.number + statement.excluded.number}
    return statement.on_conflict_do_update(index_elements=["hour", "sync", "outcome", "bucket"], set_=more)


def fold_names(ledger: Ledger) -> int:
    """Take in the names of records that came since the last time."""
    total = 0
    while True:
        with ledger.write() as writing:
            last = _place(writing, "names")
            query = (
                select(message.c.id, message.c.source_kind, message.c.source_id, message.c.payload)
                .where(message.c.id > last, message.c.origin != "bridge")
                .order_by(message.c.id)
                .limit(STEP)
            )
            rows = writing.connection.execute(query).all()
            found = {row.source_id: it for row in rows if (it := _named(row)) is not None}
            if found:
                writing.connection.execute(_name(writing.connection.dialect.name), list(found.values()))
            if rows:
                # On PostgreSQL a lower number may be committed later; taking a name in twice does no harm.
                margin = 0 if ledger.is_sqlite or len(rows) == STEP else 200
                _move(writing, "names", max(last, rows[-1].id - margin))
        total += len(rows)
        if len(rows) < STEP:
            return total


def _named(row: Any) -> dict[str, Any] | None:
    source = plain.loads(row.payload)
    source = source.get("source", source)
    names = [str(source[it]) for it in ("FirstName", "LastName") if source.get(it)]
    name = str(source.get("Name") or source.get("tranId") or " ".join(names)).strip()
    if not name:
        return None
    return {
        "source_id": row.source_id,
        "kind": row.source_kind,
        "name": name[:255],
        "folded": folded(name),
        "message_id": row.id,
    }


@cache
def _name(dialect: str) -> Any:
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(named)
    fresh = {it: statement.excluded[it] for it in ("kind", "name", "folded", "message_id")}
    return statement.on_conflict_do_update(index_elements=["source_id"], set_=fresh)


def _take_sample(writing: Writing) -> None:
    """Note how much waits, once in five minutes."""
    at = writing.now - timedelta(minutes=writing.now.minute % 5)
    waits = select(message.c.id).where(message.c.queue.is_not(None)).limit(SAMPLED_TO).subquery()
    needs = select(message.c.id).where(text(NEEDS)).limit(SAMPLED_TO).subquery()
    values = {
        "at": f"{at:%Y-%m-%d %H:%M}",
        "waiting": writing.connection.execute(select(func.count()).select_from(waits)).scalar_one(),
        "person": writing.connection.execute(select(func.count()).select_from(needs)).scalar_one(),
    }
    statement = (postgresql.insert if writing.connection.dialect.name == "postgresql" else sqlite.insert)(sample)
    writing.connection.execute(statement.values(values).on_conflict_do_nothing(index_elements=["at"]))


# --- quantiles from buckets ------------------------------------------------------------------------------------------


def bucket_of(seconds: float) -> int:
    """Return the bucket of a length of time."""
    if seconds <= LEAST_S:
        return 0
    return min(MOST_BUCKETS, 1 + int(math.log(seconds / LEAST_S, RATIO)))


def quantile(counted: Mapping[int, int], share: float) -> float | None:
    """Return the length of time within which *share* of what is counted came, from the middle of its bucket."""
    wanted, seen = share * sum(counted.values()), 0
    for bucket, number in sorted(counted.items()):
        seen += number
        if seen >= wanted:
            return LEAST_S if bucket == 0 else LEAST_S * RATIO ** (bucket - 0.5)
    return None


# --- what pages ask --------------------------------------------------------------------------------------------------


def hours(connection: Connection, now: datetime, number: int = 24) -> list[Hour]:
    """Return the last *number* hours, the oldest first; an hour without anything is there too."""
    wanted = [f"{now - timedelta(hours=ago):%Y-%m-%d %H}" for ago in reversed(range(number))]
    outcomes: dict[str, Counter[str]] = {it: Counter() for it in wanted}
    waits: dict[str, Counter[int]] = {it: Counter() for it in wanted}
    query = select(tally.c.hour, tally.c.outcome, tally.c.bucket, func.sum(tally.c.number).label("number"))
    query = query.where(tally.c.hour >= wanted[0]).group_by(tally.c.hour, tally.c.outcome, tally.c.bucket)
    for row in connection.execute(query):
        if row.hour in outcomes:
            outcomes[row.hour][row.outcome] += int(row.number)
            if row.bucket != NOBODY_WAITED:
                waits[row.hour][row.bucket] += int(row.number)
    return [Hour(it, outcomes[it], quantile(waits[it], 0.5), quantile(waits[it], 0.95)) for it in wanted]


def waits(connection: Connection, now: datetime, number: int = 24) -> dict[str, tuple[float, float, int]]:
    """Return p50, p95 (seconds) and how many there were, for each sync, over the last *number* hours."""
    since = f"{now - timedelta(hours=number):%Y-%m-%d %H}"
    query = select(tally.c.sync, tally.c.bucket, func.sum(tally.c.number).label("number"))
    query = query.where(tally.c.hour >= since, tally.c.bucket != NOBODY_WAITED).group_by(tally.c.sync, tally.c.bucket)
    found: dict[str, Counter[int]] = {}
    for row in connection.execute(query):
        found.setdefault(row.sync, Counter())[row.bucket] += int(row.number)
    return {
        sync: (quantile(counted, 0.5) or 0.0, quantile(counted, 0.95) or 0.0, sum(counted.values()))
        for sync, counted in sorted(found.items())
    }


def samples(connection: Connection, since: datetime) -> list[tuple[str, int, int]]:
    """Return (time, how many wait, how many need a person) since then."""
    query = select(sample).where(sample.c.at >= f"{since:%Y-%m-%d %H:%M}").order_by(sample.c.at)
    return [(row.at, row.waiting, row.person) for row in connection.execute(query)]


# --- remittances -----------------------------------------------------------------------------------------------------


@cache
def _remit(dialect: str) -> Any:
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(remitted)
    kept = ("application_id", "payment_id", "number", "day", "amount", "hundredths", "currency")
    fresh = {it: func.coalesce(statement.excluded[it], remitted.c[it]) for it in kept}
    return statement.on_conflict_do_update(index_elements=["row_key"], set_=fresh)


def remit(writing: Writing, rows: Iterable[Mapping[str, Any]]) -> None:
    """Keep what was remitted, row by row of the mirror: ``row_key payment_id application_id number day amount``."""
    values = [{**row, "amount": str(row["amount"]), "hundredths": int(Decimal(row["amount"]) * MINOR)} for row in rows]
    if values:
        writing.connection.execute(_remit(writing.connection.dialect.name), values)


def remitted_by_day(connection: Connection, since: str) -> dict[str, list[tuple[str, Decimal]]]:
    """Return, for each currency, the sums of days since then."""
    query = select(remitted.c.currency, remitted.c.day, func.sum(remitted.c.hundredths).label("sum"))
    query = query.where(remitted.c.day >= since).group_by(remitted.c.currency, remitted.c.day).order_by(remitted.c.day)
    found: dict[str, list[tuple[str, Decimal]]] = {}
    for row in connection.execute(query):
        found.setdefault(row.currency or "", []).append((row.day, Decimal(int(row.sum)) / MINOR))
    return found


def remitted_of(connection: Connection, application_id: str) -> Sequence[Any]:
    """Return the remittances of one Application, the oldest first."""
    query = select(remitted).where(remitted.c.application_id == application_id)
    return connection.execute(query.order_by(remitted.c.day, remitted.c.row_key)).all()
