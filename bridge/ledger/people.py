"""Who may use the console: sessions, and who a person of the provider is.

A cookie holds a random word, the ledger its hash: whoever reads the database cannot use a session.

Must not know: HTTP.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, or_, select, union_all, update

from bridge.ledger import Ledger, Writing
from bridge.ledger.desk_models import account, known_person, session

ROLES = ("viewer", "operator", "accountant", "administrator", "auditor")
IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)
RECENT = timedelta(minutes=15)  # a sign-in that still counts for what moves much money
ON_THE_WAY = timedelta(minutes=10)  # to sign in at the provider, or to type a code
SEEN = timedelta(minutes=1)  # a session that is used is noted so often, not at each page
LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Session:
    """A person at the console; *name* is empty while they are on the way to sign in.

    *is_fresh*: a password was asked for just now. That somebody came in just now is not enough: a provider that knows
    the browser lets whoever sits before it in.
    """

    key: str
    name: str
    role: str
    way: str
    token: str
    data: str | None = None
    is_fresh: bool = True


def open_session(
    writing: Writing,
    *,
    name: str,
    role: str,
    way: str,
    data: str | None = None,
    until: timedelta = LONGEST,
    asked_at: datetime | None = None,
) -> tuple[str, Session]:
    """Begin a session under a new word, and return the word for the cookie. What has run out is thrown away.

    *asked_at*: when a password was last asked for, None where nobody says so.
    """
    old = or_(session.c.until < writing.now, session.c.seen_at < writing.now - LONGEST)
    writing.connection.execute(delete(session).where(old))
    word = secrets.token_urlsafe(32)
    made = Session(key_of(word), name, role, way, secrets.token_urlsafe(24), data)
    writing.connection.execute(
        insert(session).values(
            key=made.key,
            name=name,
            role=role,
            way=way,
            token=made.token,
            data=data,
            asked_at=asked_at and min(asked_at, writing.now),
            created_at=writing.now,
            seen_at=writing.now,
            until=writing.now + until,
        )
    )
    return word, made


def key_of(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()


def find_session(ledger: Ledger, word: str) -> Session | None:
    """Return the session of a cookie, unless it has been idle or open for too long."""
    with ledger.read() as connection:
        now = ledger.now(connection)
        row = connection.execute(select(session).where(session.c.key == key_of(word))).first()
    if row is None or row.until <= now or row.seen_at <= now - IDLE:
        return None
    if row.seen_at <= now - SEEN:
        with ledger.write() as writing:
            writing.connection.execute(update(session).where(session.c.key == row.key).values(seen_at=writing.now))
    is_fresh = row.asked_at is not None and row.asked_at > now - RECENT
    return Session(row.key, row.name, row.role, row.way, row.token, row.data, is_fresh)


def in_use(connection: Connection) -> set[str]:
    """Return the local accounts that have a session."""
    query = select(session.c.name).where(session.c.way == "local", session.c.name != "")
    return set(connection.execute(query).scalars())


def end_session(writing: Writing, key: str) -> None:
    writing.connection.execute(delete(session).where(session.c.key == key))


def end_all(writing: Writing, name: str | None = None) -> int:
    """End the sessions of one person, or of everybody."""
    query = delete(session) if name is None else delete(session).where(session.c.name == name)
    return writing.connection.execute(query).rowcount


# --- people of the provider ------------------------------------------------------------------------------------------


def called(writing: Writing, subject: str, name: str) -> str:
    """Return what the provider's person *subject* is called here, for ever: *name* at the first sign-in.

    Else somebody who may change their name there could approve, under the new one, what they asked for under the old.
    """
    key = hashlib.sha256(subject.encode()).hexdigest()
    kept = writing.connection.execute(select(known_person.c.name).where(known_person.c.subject == key)).scalar()
    if kept is not None:
        return str(kept)
    wanted, number = name[:LONGEST_NAME], 1
    while _is_taken(writing, wanted):
        number += 1
        wanted = f"{name[: LONGEST_NAME - 5]} {number}"
    writing.connection.execute(insert(known_person).values(subject=key, name=wanted))
    return wanted


def _is_taken(writing: Writing, name: str) -> bool:
    """Say whether another person, or a local account, has that name: in the audit they must not be one."""
    here = select(account.c.name).where(account.c.name == name)
    there = select(known_person.c.name).where(known_person.c.name == name)
    return writing.connection.execute(union_all(here, there)).first() is not None
