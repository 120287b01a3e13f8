"""Who may use the console: local accounts with their passwords, and sessions.

A cookie holds a random word, the ledger its hash: whoever reads the database cannot use a session. A password is kept
as scrypt (OWASP Password Storage Cheat Sheet: N=2^15, r=8, p=3). After five wrong ones in a row an account makes the
next try wait, longer each time, up to a quarter of an hour: a guesser is stopped, and nobody can lock its owner out.

Must not know: HTTP.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from bridge.ledger import Ledger, Writing
from bridge.ledger.desk_models import account, session

ROLES = ("viewer", "operator", "accountant", "administrator", "auditor")
IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)
RECENT = timedelta(minutes=15)  # a sign-in that still counts for what moves much money
ON_THE_WAY = timedelta(minutes=10)  # to sign in at the provider
SEEN = timedelta(minutes=1)  # a session that is used is noted so often, not at each page
FREE_TRIES, LONGEST_WAIT_S = 5, 900
SHORTEST_PASSWORD = 12
_N, _R, _P = 15, 8, 3
_ONE_AT_A_TIME = threading.Semaphore(2)  # each takes 32 MB: guesses must not use all memory


@dataclass(frozen=True, slots=True)
class Session:
    """A person at the console; *name* is empty while they are on the way to sign in. *is_fresh*: signed in just now."""

    key: str
    name: str
    role: str
    way: str
    token: str
    data: str | None = None
    is_fresh: bool = True


def hashed(password: str, salt: bytes | None = None) -> str:
    """Return what is kept of a password."""
    salt = salt or secrets.token_bytes(16)
    with _ONE_AT_A_TIME:
        made = hashlib.scrypt(password.encode(), salt=salt, n=2**_N, r=_R, p=_P, maxmem=2**26, dklen=32)
    return f"scrypt${_N}${_R}${_P}${base64.b64encode(salt).decode()}${base64.b64encode(made).decode()}"


def _fits(password: str, kept: str) -> bool:
    salt = base64.b64decode(kept.split("$")[4])
    return hmac.compare_digest(hashed(password, salt), kept)


_NOBODY = f"scrypt${_N}${_R}${_P}${base64.b64encode(b'nobody' * 3).decode()}$"


def set_account(ledger: Ledger, name: str, role: str, password: str, *, actor: str) -> bool:
    """Make a local account, or give it another role and password; its sessions end. True if it is new."""
    kept = hashed(password)
    with ledger.write() as writing:
        values = {"role": role, "password": kept, "failures": 0, "failed_at": None}
        found = writing.connection.execute(
            update(account).where(account.c.name == name).values(values).returning(account.c.name)
        ).first()
        if found is None:
            writing.connection.execute(insert(account).values(name=name, created_at=writing.now, **values))
        end_all(writing, name)
        writing.say("account", actor, detail=f"{name} is {role}, {'made' if found is None else 'changed'}")
        return found is None


def remove_account(ledger: Ledger, name: str, *, actor: str) -> bool:
    """Remove a local account and end its sessions."""
    with ledger.write() as writing:
        query = delete(account).where(account.c.name == name).returning(account.c.name)
        gone = writing.connection.execute(query).first() is not None
        if gone:
            end_all(writing, name)
            writing.say("account", actor, detail=f"{name} is removed")
        return gone


def accounts(connection: Connection) -> list[Row[tuple[str, str, datetime]]]:
    """Return the local accounts: name, role, when last used."""
    return list(connection.execute(select(account.c.name, account.c.role, account.c.used_at).order_by(account.c.name)))


def any_account(connection: Connection) -> bool:
    return connection.execute(select(account.c.name).limit(1)).first() is not None


def check_password(ledger: Ledger, name: str, password: str) -> str | timedelta | None:
    """Return the account's role; how long the next try must wait; or None where name or password is wrong.

    Takes the same time for a name that there is not.
    """
    with ledger.read() as connection:
        row = connection.execute(select(account).where(account.c.name == name)).first()
        now = ledger.now(connection)
    if row is None:
        _fits(password, _NOBODY)
        return None
    if row.failures >= FREE_TRIES and row.failed_at is not None:
        wait_s = min(LONGEST_WAIT_S, 2 ** (row.failures - FREE_TRIES + 3))
        left: timedelta = row.failed_at + timedelta(seconds=wait_s) - now
        if left > timedelta(0):
            return left
    is_right = _fits(password, row.password)
    with ledger.write() as writing:
        values: dict[str, object] = {"failures": 0, "used_at": writing.now}
        if not is_right:
            values = {"failures": account.c.failures + 1, "failed_at": writing.now}
            writing.say("not_signed_in", name, code="WRONG_PASSWORD")
        writing.connection.execute(update(account).where(account.c.name == name).values(values))
    return str(row.role) if is_right else None


# --- sessions --------------------------------------------------------------------------------------------------------


def open_session(
    writing: Writing, *, name: str, role: str, way: str, data: str | None = None, until: timedelta = LONGEST
) -> tuple[str, Session]:
    """Begin a session under a new word, and return the word for the cookie. What has run out is thrown away."""
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
    is_fresh = row.created_at > now - RECENT
    return Session(row.key, row.name, row.role, row.way, row.token, row.data, is_fresh)


def in_use(connection: Connection) -> set[str]:
    """Return the local accounts that have a session."""
    return set(connection.execute(select(session.c.name).where(session.c.way == "local")).scalars())


def end_session(writing: Writing, key: str) -> None:
    writing.connection.execute(delete(session).where(session.c.key == key))


def end_all(writing: Writing, name: str | None = None) -> int:
    """End the sessions of one person, or of everybody."""
    query = delete(session) if name is None else delete(session).where(session.c.name == name)
    return writing.connection.execute(query).rowcount
