"""SuiteTalk bindings in the ledger: the sets that were fetched, which of them is live, and who runs on it.

A set is kept whole or not at all, in one transaction, and known by its seal. What is live is the newest row of
``wsdl_live``: one insert is the swap, for all instances at once.

Must not know: SOAP, XML, HTTP.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from bridge.errors import Misconfigured
from bridge.failpoints import reached
from bridge.ledger import Ledger, Writing, incidents, marks
from bridge.ledger import live as live_now
from bridge.ledger.models import wsdl_file, wsdl_instance, wsdl_live, wsdl_set

SEEN = timedelta(minutes=3)  # an instance that was not seen for so long is gone


@dataclass(frozen=True, slots=True)
class KeptSet:
    """A fetched set. *files* are hashes by name."""

    seal: str
    version: str
    source: str
    fetched_at: datetime
    actor: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Live:
    """One row of what became live. *seal* is None for the set that the settings name, or the shipped one."""

    n: int
    seal: str | None
    version: str
    action: str
    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Instance:
    """A process that sends, and the row of ``Live`` that it runs on."""

    owner: str
    n: int
    version: str
    seen_at: datetime


def keep(
    writing: Writing, seal: str, version: str, source: str, actor: str, manifest: Mapping[str, str],
    files: Mapping[str, bytes],
) -> bool:  # fmt: skip
    """Keep a set; False when it is there already."""
    known = writing.connection.execute(select(wsdl_set.c.seal).where(wsdl_set.c.seal == seal)).first()
    if known is not None:
        return False
    writing.connection.execute(
        insert(wsdl_set).values(
            seal=seal, version=version, source=source[:200], fetched_at=writing.now, actor=actor[:40],
            manifest=json.dumps(dict(manifest), sort_keys=True),
        )
    )  # fmt: skip
    rows = [{"seal": seal, "name": name, "content": zlib.compress(content)} for name, content in files.items()]
    writing.connection.execute(insert(wsdl_file), rows)
    writing.say("wsdl fetched", actor[:40], target=f"{version} {seal}", detail=source[:200])
    return True


def kept(connection: Connection) -> list[KeptSet]:
    """Return every set that was fetched, the newest first."""
    rows = connection.execute(select(wsdl_set).order_by(wsdl_set.c.fetched_at.desc(), wsdl_set.c.seal))
    return [
        KeptSet(it.seal, it.version, it.source, it.fetched_at, it.actor, json.loads(it.manifest)) for it in rows
    ]  # fmt: skip


def files_of(connection: Connection, seal: str) -> dict[str, bytes]:
    """Return a set's files as they are kept; whoever uses them checks their hashes. A spoilt one is left out."""
    found: dict[str, bytes] = {}
    for row in connection.execute(select(wsdl_file).where(wsdl_file.c.seal == seal)):
        try:
            found[row.name] = zlib.decompress(row.content)
        except zlib.error:
            continue
    return found


def live(connection: Connection) -> Live | None:
    """Return what is live; None as long as nothing was ever deployed."""
    row = connection.execute(select(wsdl_live).order_by(wsdl_live.c.n.desc()).limit(1)).first()
    return Live(*row) if row is not None else None


def newest(connection: Connection) -> int:
    """Return the number of the row that is live, 0 for none: what every instance asks all the time."""
    return connection.execute(_NEWEST).scalar() or 0


_NEWEST = select(func.max(wsdl_live.c.n))


def history(connection: Connection, most: int = 20) -> list[Live]:
    """Return what became live, the newest first."""
    return [Live(*row) for row in connection.execute(select(wsdl_live).order_by(wsdl_live.c.n.desc()).limit(most))]


def make_live(
    ledger: Ledger, seal: str | None, version: str, action: str, actor: str, reason: str, *, after: int,
    configuration: int | None = None,
) -> int:  # fmt: skip
    """Make a set live for all instances.

    Raises Misconfigured if *after* no longer is what was live, or *configuration* (where it matters) what it was
    tried with.
    """
    try:
        with ledger.write() as writing:
            live_now.hold(writing, configuration=configuration, deployment=after)
            writing.connection.execute(
                insert(wsdl_live).values(
                    n=after + 1, seal=seal, version=version, action=action, at=writing.now, actor=actor[:40],
                    reason=reason,
                )
            )  # fmt: skip
            writing.say(f"wsdl {action}", actor[:40], target=f"{version} {seal or 'shipped'}", detail=reason)
            reached("in_change")
    except IntegrityError as error:  # by an older version of the bridge, which does not hold
        words = "Somebody else deployed at the same moment; look at bridge wsdl status and decide again."
        raise Misconfigured(words, code="DEPLOYED_MEANWHILE") from error
    return after + 1


def roll_back(ledger: Ledger, settings_version: str, *, actor: str, reason: str) -> Live:
    """Make live again what was live before; without any, the set of the settings, which is of *settings_version*.

    A rollback after a rollback goes forward again. Raises Misconfigured when there is nothing to go back to.
    """
    with ledger.read() as connection:
        rows = history(connection, most=1000)
    now = rows[0] if rows else None
    before = next((it for it in rows if now and (it.seal, it.version) != (now.seal, now.version)), None)
    if now is None or (before is None and now.seal is None):
        raise Misconfigured("Nothing else was live before, so there is nothing to go back to.", code="NOT_DEPLOYED")
    seal, version = (before.seal, before.version) if before else (None, settings_version)
    make_live(ledger, seal, version, "rollback", actor, reason, after=now.n)
    with ledger.read() as connection:
        return history(connection, most=1)[0]


def seen(writing: Writing, owner: str, n: int, version: str) -> None:
    """Note that an instance runs on row *n*."""
    values = {"owner": owner, "n": n, "version": version, "seen_at": writing.now}
    statement = _upsert(writing.connection)(wsdl_instance).values(values)
    writing.connection.execute(statement.on_conflict_do_update(index_elements=["owner"], set_=values))
    writing.connection.execute(wsdl_instance.delete().where(wsdl_instance.c.seen_at < writing.now - 10 * SEEN))


def changed_over(writing: Writing) -> None:
    """Say that an instance uses another set: what that one knows is over, and what was paused for it is tried again.

    What it does not know either comes again.
    """
    incidents.end(writing, ("drift", "bindings"), ())
    marks.probe_now(writing)


def gone(writing: Writing, owner: str) -> None:
    """Note that an instance has ended."""
    writing.connection.execute(wsdl_instance.delete().where(wsdl_instance.c.owner == owner))


def instances(connection: Connection, now: datetime) -> list[Instance]:
    """Return the instances that are running."""
    found = connection.execute(select(wsdl_instance).where(wsdl_instance.c.seen_at > now - SEEN))
    return [Instance(*row) for row in found]


def _upsert(connection: Connection) -> type[postgresql.Insert] | type[sqlite.Insert]:
    return postgresql.Insert if connection.dialect.name == "postgresql" else sqlite.Insert
