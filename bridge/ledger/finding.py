"""Find messages: by filters, by any id, number or name; group what needs a person by its cause; count up to a bound.

Every question costs the same however long the history is: lists are paged by key, a filter that no index serves looks
through a window of the newest messages at a time, and a count stops where nobody would go on reading.

Must not know: any system, HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    String,
    and_,
    exists,
    func,
    literal,
    literal_column,
    select,
    text,
    union_all,
)

from bridge.ledger.desk_models import named, triage
from bridge.ledger.models import (
    DELIVERED,
    HELD,
    IS_DONE,
    NEEDS,
    OPEN,
    SETTLED,
    SUPERSEDED,
    UNCHANGED,
    WAITS,
    link,
    message,
)

PAGE = 50
WINDOW = 20_000  # messages looked through for one page when no index serves the filter
COUNTED = 10_000  # a larger count is told as "more than"
HELD_LOOKED = 2_000  # held messages that are looked through for those that still stand
MATCHES = 200  # records that a search may name
_OURS = re.compile(r"sf-\w+-([0-9A-Za-z]{18})", re.ASCII)
_LISTED = tuple(message.c[name] for name in (
    "id", "sync", "source_kind", "source_id", "version", "state", "origin", "actor", "correlation", "attempts",
    "created_at", "modified_at", "settled_at", "due_at", "code", "reason", "who", "field", "target_kind", "target_id",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody looks for. Empty means any."""

    states: tuple[str, ...] = ()
    sync: str = ""
    code: str = ""
    who: str = ""
    origin: str = ""
    assignee: str = ""
    tag: str = ""
    search: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Messages, newest first. *next_before* is where the next page begins, None at the end.

    *looked_to*: no index served the filter, and only messages down to this number were looked at.
    """

    rows: list[Row[Any]]
    next_before: int | None
    looked_to: int | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause of errors: *count* messages (up to `COUNTED`), the oldest since *since*."""

    code: str
    who: str
    reason: str
    count: int
    since: datetime
    newest: int
    sync: str


def page(connection: Connection, wanted: Wanted, *, before: int | None = None, most: int = PAGE) -> Page:
    """Return the messages that are like *wanted*."""
    if wanted.states and wanted == Wanted(states=wanted.states):
        rows = _of_states(connection, wanted.states, before, most + 1)
        return Page(rows[:most], rows[most - 1].id if len(rows) > most else None)
    query, is_bounded = _query(connection, wanted)
    if query is None:
        return Page([], None)
    if before is not None:
        query = query.where(message.c.id < before)
    floor = None
    if not is_bounded:
        top = before if before is not None else (connection.execute(select(func.max(message.c.id))).scalar() or 0) + 1
        floor = max(0, top - WINDOW)
        query = query.where(message.c.id >= floor)
    rows = list(connection.execute(query.order_by(message.c.id.desc()).limit(most + 1)))
    if len(rows) > most:
        return Page(rows[:most], rows[most - 1].id)
    return Page(rows, floor or None, floor or None)


def _of_states(connection: Connection, states: Sequence[str], before: int | None, most: int) -> list[Row[Any]]:
    """Return the newest messages in *states*: a few of each from its own end of the index, then the newest of those."""
    parts = []
    for state in states:
        part = select(message.c.id).where(*_is_in(state))
        part = part if before is None else part.where(message.c.id < before)
        parts.append(select(part.order_by(message.c.id.desc()).limit(most).subquery().c.id))
    numbers = sorted(connection.execute(union_all(*parts)).scalars(), reverse=True)[:most]
    return by_numbers(connection, numbers)


def ids(connection: Connection, wanted: Wanted, most: int) -> list[int]:
    """Return the numbers of up to *most* messages that are like *wanted*, newest first."""
    query, is_bounded = _query(connection, wanted)
    if query is None:
        return []
    if not is_bounded:
        top = connection.execute(select(func.max(message.c.id))).scalar() or 0
        query = query.where(message.c.id > top - WINDOW)
    chosen = query.with_only_columns(message.c.id).order_by(message.c.id.desc()).limit(most)
    return list(connection.execute(chosen).scalars())


def _query(connection: Connection, wanted: Wanted) -> tuple[Select[Any] | None, bool]:
    """Return the question, and whether an index bounds what it looks at; None where nothing can match."""
    query = select(*_LISTED)
    conditions: list[ColumnElement[bool]] = []
    is_bounded = not (wanted.code or wanted.who or wanted.origin or wanted.sync)
    states = set(wanted.states)
    if states:
        conditions.append(message.c.state.in_(sorted(states)))
        if states == {HELD}:
            conditions.append(_is_newest())
        if states <= {"rejected", "dead"}:
            conditions.append(text(NEEDS))  # type: ignore[arg-type]  # a condition all the same
            is_bounded = is_bounded or bool(wanted.code)
        elif states <= set(OPEN):
            conditions.append(message.c.queue.is_not(None))
        if wanted.sync and states <= {*OPEN, "rejected", "dead"}:
            conditions.append(text(WAITS))  # type: ignore[arg-type]
            is_bounded = is_bounded or not (wanted.code or wanted.who or wanted.origin)
        elif wanted.sync and states <= set(SETTLED) and len(states) == 1:
            conditions.append(text(IS_DONE))  # type: ignore[arg-type]
            is_bounded = is_bounded or not (wanted.code or wanted.who or wanted.origin)
    given = {name: getattr(wanted, name) for name in ("sync", "code", "who", "origin")}
    conditions += [message.c[name] == value for name, value in given.items() if value]
    if wanted.assignee or wanted.tag:
        query = query.join(triage, triage.c.message_id == message.c.id)
        if wanted.assignee:
            conditions.append(triage.c.assignee == wanted.assignee)
        if wanted.tag:
            conditions.append(triage.c.tags.contains(f" {wanted.tag} ", autoescape=True))
        is_bounded = True  # people have touched few
    if wanted.search:
        found = _searched(connection, wanted.search)
        if found is None:
            return None, True
        conditions.append(found)
        is_bounded = True
    return query.where(and_(*conditions)) if conditions else query, is_bounded


def _searched(connection: Connection, search: str) -> ColumnElement[bool] | None:
    """Return what a search means: a message's number, a call, or the records that it names; None if nothing."""
    word = search.strip()
    if word.startswith("#") and word[1:].isdigit():
        return message.c.id == int(word[1:][:15])
    called = select(message.c.id).where(message.c.correlation == word).limit(1)
    if connection.execute(called).first() is not None:
        return message.c.correlation == word
    sources = records(connection, word)
    return message.c.source_id.in_(sources) if sources else None


def records(connection: Connection, word: str) -> list[str]:
    """Return the source records that *word* names: an id of either system, a number, an external id or a name."""
    found: dict[str, None] = {}
    ours = _OURS.fullmatch(word)
    if ours:
        found[ours[1]] = None
    for query in (
        select(message.c.source_id).where(message.c.source_id == word).limit(1),
        select(link.c.source_id).where(link.c.target_id == word).limit(MATCHES),
        select(link.c.source_id).where(link.c.number == word).limit(MATCHES),
        select(named.c.source_id).where(*_begins(word)).order_by(named.c.folded).limit(MATCHES),
    ):
        found |= dict.fromkeys(connection.execute(query).scalars())
    if len(word) == 15 and not found:  # an id as it stands in Salesforce's old pages
        begins = (message.c.source_id >= word, message.c.source_id < f"{word}~")
        found |= dict.fromkeys(connection.execute(select(message.c.source_id).where(*begins).limit(1)).scalars())
    return list(found)[:MATCHES]


def _begins(word: str) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that a name begins with *word*, in a way that the index serves on both databases."""
    folded = fold(word)
    if len(folded) < 2:
        return (named.c.folded == folded,)
    return (named.c.folded >= folded, named.c.folded < folded + "\U0010ffff")


def fold(name: str) -> str:
    """Return a name as it is searched for."""
    return " ".join(name.casefold().split())[:80]


CONTACT = "003"  # what ids of Contacts begin with


def names(connection: Connection, source_ids: Sequence[str], *, of_people: bool) -> dict[str, str]:
    """Return the names that are known of records; those of Contacts only where names *of_people* are asked for."""
    wanted = [it for it in dict.fromkeys(source_ids) if of_people or not it.startswith(CONTACT)]
    query = select(named.c.source_id, named.c.name).where(named.c.source_id.in_(wanted))
    return {row.source_id: row.name for row in connection.execute(query)} if wanted else {}


def applications(connection: Connection, search: str = "") -> list[Row[Any]]:
    """Return Applications by name, or those that came last."""
    query = select(named).where(named.c.kind == "Opportunity")
    if search:
        return list(connection.execute(query.where(*_begins(search)).order_by(named.c.folded).limit(PAGE)))
    return list(connection.execute(query.order_by(named.c.message_id.desc()).limit(PAGE)))


# --- counts and causes -----------------------------------------------------------------------------------------------


def counts(connection: Connection, states: Sequence[str]) -> dict[str, int]:
    """Return how many messages are in each of *states*, counted up to `COUNTED` and one; of held ones see `held`."""
    parts = [
        select(literal(state).label("state"), func.count().label("number")).select_from(
            select(message.c.id).where(message.c.state == state).limit(COUNTED + 1).subquery()
        )
        for state in states
        if state != HELD
    ]
    found = {row.state: row.number for row in connection.execute(union_all(*parts))} if parts else {}
    return {**found, HELD: held(connection)[0]} if HELD in states else found


def held(connection: Connection) -> tuple[int, bool]:
    """Return how many records are held among the newest `HELD_LOOKED` held messages, and whether there may be more.

    Of a held record only its newest version counts: every save before the gate opened left one.
    """
    newest = select(message.c.id).where(message.c.state == HELD).order_by(message.c.id.desc()).limit(HELD_LOOKED)
    ids = list(connection.execute(newest).scalars())
    if not ids:
        return 0, False
    query = select(func.count()).where(message.c.state == HELD, message.c.id >= ids[-1], _is_newest())
    return int(connection.execute(query).scalar_one()), len(ids) == HELD_LOOKED


def _is_in(state: str) -> list[ColumnElement[bool]]:
    return [message.c.state == state, *([_is_newest()] if state == HELD else [])]


def _is_newest() -> ColumnElement[bool]:
    later = message.alias("later")
    same = and_(later.c.sync == message.c.sync, later.c.source_id == message.c.source_id)
    return ~exists().where(same, later.c.id > message.c.id, later.c.state != SUPERSEDED)


def causes(connection: Connection) -> list[Cause]:
    """Return what needs a person, grouped by cause, the most frequent first."""
    # The index alone answers this; reasons and times are looked up for each cause.
    code, who = literal_column("code", String), literal_column("who", String)
    number = literal_column("id", Integer)
    # SQLite would rather look each message up by its state; it must be told.
    hint = " INDEXED BY message_cause" if connection.dialect.name == "sqlite" else ""
    grouped = (
        select(
            code.label("code"), who.label("who"), func.count().label("number"),
            func.min(number).label("oldest"), func.max(number).label("newest"),
        )
        .select_from(text(f"message{hint}"))
        .where(text(NEEDS))
        .group_by(code, who)
        .order_by(func.count().desc())
        .limit(100)
    )  # fmt: skip
    rows = connection.execute(grouped).all()
    asked = {it for row in rows for it in (row.oldest, row.newest)}
    shown = select(message.c.id, message.c.reason, message.c.created_at, message.c.sync).where(message.c.id.in_(asked))
    known = {row.id: row for row in connection.execute(shown)} if asked else {}
    return [
        Cause(
            row.code or "", row.who or "", known[row.newest].reason or "", row.number,
            known[row.oldest].created_at, row.newest, known[row.newest].sync,
        )
        for row in rows
    ]  # fmt: skip


def oldest_waiting(connection: Connection, syncs: Sequence[str]) -> Row[Any] | None:
    """Return the oldest message of *syncs* that is not where it belongs: on its way, or waiting for a person."""
    oldest = [
        select(message.c.id).where(text(WAITS), message.c.sync == it).order_by(message.c.id).limit(1).subquery()
        for it in syncs
    ]
    found = [it for part in oldest for it in connection.execute(select(part.c.id)).scalars()]
    if not found:
        return None
    query = select(message).where(message.c.id.in_(found)).order_by(message.c.created_at, message.c.id).limit(1)
    return connection.execute(query).first()


def waiting_of(connection: Connection, sync: str, most: int) -> list[Row[Any]]:
    """Return up to *most* messages of a sync that are not where they belong, the oldest first."""
    query = select(message).where(text(WAITS), message.c.sync == sync)
    return list(connection.execute(query.order_by(message.c.id).limit(most)))


def read_lately(connection: Connection, sync: str, most: int) -> list[str]:
    """Return what was last read of each record among the newest *most* readings of a pull, as it is stored."""
    parts = [
        # Each from its own end of the index; together SQLite may look through all messages for them.
        select(message.c.id).where(text(IS_DONE), message.c.sync == sync, message.c.state == state)
        .order_by(message.c.id.desc()).limit(most).subquery()
        for state in (DELIVERED, UNCHANGED)
    ]  # fmt: skip
    numbers = connection.execute(union_all(*(select(it.c.id) for it in parts))).scalars()
    newest = sorted(numbers, reverse=True)[:most]
    query = select(message.c.source_id, message.c.payload).where(message.c.id.in_(newest))
    found: dict[str, str] = {}
    for row in connection.execute(query.order_by(message.c.id.desc())):
        found.setdefault(row.source_id, row.payload)
    return list(found.values())


def by_numbers(connection: Connection, numbers: Sequence[int]) -> list[Row[Any]]:
    """Return messages by their numbers, newest first."""
    query = select(*_LISTED).where(message.c.id.in_(list(numbers)))
    return list(connection.execute(query.order_by(message.c.id.desc())))


def by_sources(connection: Connection, source_ids: Sequence[str]) -> list[Row[Any]]:
    """Return the names and kinds of records."""
    return list(connection.execute(select(named).where(named.c.source_id.in_(list(source_ids)[:MATCHES]))))
