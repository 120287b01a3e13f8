"""Local accounts of the console: passwords, second factors, and the very first account.

A password is kept as Argon2id (OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane). After five wrong
passwords or codes in a row an account makes the next try wait, longer each time, up to a quarter of an hour. A try is
counted before it is looked at, so that many at once are as slow as one after the other.

Must not know: HTTP.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from sqlalchemy import Connection, Row, case, delete, insert, select, update

from bridge.ledger import Ledger, Writing, people, second_factor
from bridge.ledger.desk_models import account, session

FREE_TRIES, LONGEST_WAIT_S = 5, 900
SHORTEST_PASSWORD = 12
FIRST, FIRST_LASTS = "first", timedelta(hours=1)  # a word that makes the first account, once
_ONE_AT_A_TIME = threading.Semaphore(2)  # each takes 19 MB: guesses must not use all memory


def wrong_name(name: str) -> str | None:
    """Return what is wrong with a name."""
    is_right = 0 < len(name) <= people.LONGEST_NAME and name.isprintable() and name == name.strip()
    return None if is_right else f"A name has 1 to {people.LONGEST_NAME} characters that can be seen."


def wrong_password(password: str) -> str | None:
    """Return what is wrong with a password."""
    return None if len(password) >= SHORTEST_PASSWORD else f"A password has {SHORTEST_PASSWORD} characters or more."


def hashed(password: str) -> str:
    """Return what is kept of a password."""
    with _ONE_AT_A_TIME:
        return _argon2(secrets.token_bytes(16)).derive_phc_encoded(password.encode())


def _argon2(salt: bytes) -> Argon2id:
    return Argon2id(salt=salt, length=32, iterations=2, lanes=1, memory_cost=19 * 1024)


def _fits(password: str, kept: str) -> bool:
    with _ONE_AT_A_TIME:
        if kept.startswith("scrypt$"):  # as it was kept before; a right one is kept anew
            _, n, r, p, salt, made = kept.split("$")
            found = hashlib.scrypt(
                password.encode(), salt=base64.b64decode(salt), n=2 ** int(n), r=int(r), p=int(p), maxmem=2**26,
                dklen=32,
            )  # fmt: skip
            return hmac.compare_digest(found, base64.b64decode(made))
        try:
            Argon2id.verify_phc_encoded(password.encode(), kept)
        except InvalidKey:
            return False
        return True


def _fitting_nobody() -> str:
    """Return what could be kept of a password and fits none: checking it takes as long as checking a real one."""
    salt, made = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={19 * 1024},t=2,p=1${salt}${made}"


_NOBODY = _fitting_nobody()


def set_account(ledger: Ledger, name: str, role: str, password: str, *, actor: str) -> bool:
    """Make a local account, or give it another role and password; its sessions end. True if it is new.

    Its second factor is forgotten, and set up at the next sign-in: that is also the way back for who lost the phone.
    """
    kept = hashed(password)
    with ledger.write() as writing:
        values = {"role": role, "password": kept, "failures": 0, "failed_at": None, "factor": None, "factor_step": None}
        found = writing.connection.execute(
            update(account).where(account.c.name == name).values(values).returning(account.c.name)
        ).first()
        if found is None:
            _insert(writing, name, values)
        people.end_all(writing, name)
        writing.say("account", actor, detail=f"{name} is {role}, {'made' if found is None else 'changed'}")
        return found is None


def _insert(writing: Writing, name: str, values: dict[str, Any]) -> None:
    writing.connection.execute(insert(account).values(name=name, created_at=writing.now, **values))
    writing.connection.execute(delete(session).where(session.c.way == FIRST))  # there is a way in now


def remove_account(ledger: Ledger, name: str, *, actor: str) -> bool:
    """Remove a local account and end its sessions."""
    with ledger.write() as writing:
        query = delete(account).where(account.c.name == name).returning(account.c.name)
        gone = writing.connection.execute(query).first() is not None
        if gone:
            people.end_all(writing, name)
            writing.say("account", actor, detail=f"{name} is removed")
        return gone


def accounts(connection: Connection) -> list[Row[Any]]:
    """Return the local accounts: name, role, when last used, and the sealed second factor, if there is one."""
    columns = (account.c.name, account.c.role, account.c.used_at, account.c.factor)
    return list(connection.execute(select(*columns).order_by(account.c.name)))


def any_account(connection: Connection) -> bool:
    return connection.execute(select(account.c.name).limit(1)).first() is not None


# --- signing in ------------------------------------------------------------------------------------------------------


def check_password(ledger: Ledger, name: str, password: str) -> Row[Any] | timedelta | None:
    """Return the account; how long the next try must wait; or None where name or password is wrong.

    Takes the same time for a name that there is not. A right one takes its own try back and none before it, so that
    it does not make guessing the code any quicker.
    """
    row, tried_at = _one_more_try(ledger, name)
    if isinstance(row, timedelta):
        return row
    if not _fits(password, row.password if row is not None else _NOBODY) or row is None:
        if row is not None:
            _say_wrong(ledger, name, code="WRONG_PASSWORD")
        return None
    values: dict[str, Any] = {"failures": account.c.failures - 1}
    values["failed_at"] = case((account.c.failed_at == tried_at, row.failed_at), else_=account.c.failed_at)
    if row.password.startswith("scrypt$"):
        values["password"] = hashed(password)
    with ledger.write() as writing:
        mine = update(account).where(account.c.name == name, account.c.password == row.password)
        writing.connection.execute(mine.values(values))
        return _locked(writing, name)


def mark(row: Row[Any]) -> str:
    """Return what an account has until it is given another password: a sign-in that was begun before is over then."""
    return hashlib.sha256(row.password.encode()).hexdigest()[:32]


def check_code(ledger: Ledger, name: str, code: str, marked: str) -> Row[Any] | timedelta | None:
    """Return the account whose app shows *code* now; how long the next try must wait; or None for a wrong code.

    *marked* is the account's mark when its password was typed.
    Raises NotReadable where the audit key is another one than when the second factor was set up.
    """
    row, _ = _one_more_try(ledger, name)
    if row is None or isinstance(row, timedelta) or row.factor is None:
        return row if isinstance(row, timedelta) else None
    secret = second_factor.opened(ledger.audit_key, name, row.factor)
    with ledger.write() as writing:
        # Read again under the lock: two at once must not both use one code.
        used = _locked(writing, name)
        is_same = used is not None and mark(used) == marked and used.factor == row.factor
        step = second_factor.step_of(secret, code, writing.now, used.factor_step) if used and is_same else None
        if step is not None:
            mine = update(account).where(account.c.name == name)
            writing.connection.execute(mine.values(factor_step=step))
            return row
    _say_wrong(ledger, name, code="WRONG_CODE")
    return None


def set_factor(ledger: Ledger, name: str, kept: str, code: str, marked: str) -> bool:
    """Give an account without one the second factor *kept*, if *code* is of it; *marked* as above."""
    secret = second_factor.opened(ledger.audit_key, name, kept)
    with ledger.write() as writing:
        step = second_factor.step_of(secret, code, writing.now, None)
        row = _locked(writing, name)
        if step is None or row is None or mark(row) != marked:
            return False
        mine = update(account).where(account.c.name == name, account.c.factor.is_(None))
        found = writing.connection.execute(mine.values(factor=kept, factor_step=step).returning(account.c.name)).first()
        if found is not None:
            writing.say("account", name, detail=f"{name} has a second factor now")
        return found is not None


def came_in(writing: Writing, name: str) -> Row[Any] | None:
    """Note that somebody signed in, and forget the tries before it; None if the account is gone meanwhile."""
    values = {"failures": 0, "used_at": writing.now}
    mine = update(account).where(account.c.name == name).values(values)
    return writing.connection.execute(mine.returning(account.c.name, account.c.role)).first()


def _one_more_try(ledger: Ledger, name: str) -> tuple[Row[Any] | timedelta | None, datetime]:
    """Count a try; return the account as it was before, or how long it must wait, and when that was."""
    with ledger.write() as writing:
        row = _locked(writing, name)
        if row is None:
            return None, writing.now
        if row.failures >= FREE_TRIES and row.failed_at is not None:
            wait_s = min(LONGEST_WAIT_S, 2 ** min(row.failures - FREE_TRIES + 3, 20))
            left: timedelta = row.failed_at + timedelta(seconds=wait_s) - writing.now
            if left > timedelta(0):
                return left, writing.now
        counted = {"failures": row.failures + 1, "failed_at": writing.now}
        writing.connection.execute(update(account).where(account.c.name == name).values(counted))
        return row, writing.now


def _locked(writing: Writing, name: str) -> Row[Any] | None:
    return writing.connection.execute(select(account).where(account.c.name == name).with_for_update()).first()


def _say_wrong(ledger: Ledger, name: str, *, code: str) -> None:
    with ledger.write() as writing:
        writing.say("not_signed_in", name, code=code)


# --- the first account -----------------------------------------------------------------------------------------------


def first_word(ledger: Ledger) -> str:
    """Return a new word that makes the first account within an hour, once; the ledger keeps its hash."""
    with ledger.write() as writing:
        word, _ = people.open_session(writing, name="", role="administrator", way=FIRST, until=FIRST_LASTS)
        writing.say("account", "bridge", detail="a word for the first account was printed at the start")
        return word


def awaits_first(ledger: Ledger) -> bool:
    """Say whether such a word may still be used."""
    with ledger.read() as connection:
        now: datetime = ledger.now(connection)
        open_one = select(session.c.key).where(session.c.way == FIRST, session.c.until > now).limit(1)
        return connection.execute(open_one).first() is not None and not any_account(connection)


def make_first(ledger: Ledger, word: str, name: str, password: str) -> bool:
    """Make the first account, an administrator's, for who has the word; False where it does not count any more."""
    kept = hashed(password)
    with ledger.write() as writing:
        mine = (session.c.key == people.key_of(word), session.c.way == FIRST, session.c.until > writing.now)
        used = writing.connection.execute(delete(session).where(*mine).returning(session.c.key)).first()
        if used is None or any_account(writing.connection):
            return False
        _insert(writing, name, {"role": "administrator", "password": kept, "failures": 0})
        writing.say("account", name, detail=f"{name} is administrator, made with the word of the start")
        return True
