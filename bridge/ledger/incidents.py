"""Incidents: what goes wrong for a while, each with a key, so that people are told once and once more when it is over.

Must not know: mail, chat, HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, and_, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bridge.ledger import Writing
from bridge.ledger.models import incident


@dataclass(frozen=True, slots=True)
class Incident:
    """*key* names what is wrong where, *code* what kind it is, *sentence* says it to the person *who* can act."""

    key: str
    code: str
    sentence: str
    who: str = "administrator"
    since: datetime | None = None
    ended_at: datetime | None = None


def report(writing: Writing, found: Iterable[Incident]) -> list[str]:
    """Keep what is wrong now; return the keys of incidents that are new, or have come back."""
    new = []
    for it in found:
        before = writing.connection.execute(select(incident).where(incident.c.key == it.key)).first()
        values = {"code": it.code, "sentence": it.sentence, "who": it.who, "seen_at": writing.now}
        begins = {"since": writing.now, "told_at": None, "ended_at": None, "end_told_at": None}
        made = writing.connection.execute(
            _insert(writing.connection.dialect.name), {"key": it.key, **values, **begins}
        ).first()
        if made is not None or (before is not None and before.ended_at is not None):
            if made is None:
                values |= begins
            new.append(it.key)
            writing.say("incident", "bridge", code=it.code, detail=it.key)
        if made is None:
            writing.connection.execute(update(incident).where(incident.c.key == it.key).values(values))
    return new


def end(writing: Writing, families: Iterable[str], still: Iterable[str]) -> None:
    """End every open incident of *families* (the word before the colon of its key) that is not among *still*."""
    kept, wanted = set(still), set(families)
    for row in writing.connection.execute(select(incident.c.key, incident.c.code).where(incident.c.ended_at.is_(None))):
        if row.key not in kept and row.key.split(":", 1)[0] in wanted:
            gone = update(incident).where(incident.c.key == row.key).values(ended_at=writing.now)
            writing.connection.execute(gone)
            writing.say("incident_over", "bridge", code=row.code, detail=row.key)


def end_unseen(writing: Writing, family: str, since: datetime) -> None:
    """End the open incidents of *family* that nobody has reported since then."""
    seen = select(incident.c.key).where(incident.c.ended_at.is_(None), incident.c.seen_at >= since)
    end(writing, [family], writing.connection.execute(seen).scalars())


def open_ones(connection: Connection) -> list[Incident]:
    """Return what is wrong now, the oldest first."""
    query = select(incident).where(incident.c.ended_at.is_(None)).order_by(incident.c.since)
    return [_read(row) for row in connection.execute(query)]


def untold(connection: Connection) -> list[Incident]:
    """Return what nobody was told yet: incidents that began, and ends of those that were told."""
    begun = and_(incident.c.ended_at.is_(None), incident.c.told_at.is_(None))
    over = and_(incident.c.ended_at.is_not(None), incident.c.told_at.is_not(None), incident.c.end_told_at.is_(None))
    query = select(incident).where(or_(begun, over)).order_by(incident.c.since)
    return [_read(row) for row in connection.execute(query)]


def told(writing: Writing, it: Incident) -> None:
    """Keep that people know of this state of *it*."""
    column = "told_at" if it.ended_at is None else "end_told_at"
    writing.connection.execute(update(incident).where(incident.c.key == it.key).values({column: writing.now}))


def _read(row: Any) -> Incident:
    return Incident(row.key, row.code, row.sentence, row.who, row.since, row.ended_at)


@cache
def _insert(dialect: str) -> Any:
    statement = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(incident)
    return statement.on_conflict_do_nothing(index_elements=["key"]).returning(incident.c.key)
