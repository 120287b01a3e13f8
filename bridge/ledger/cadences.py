"""Cadences that people chose at the console: they win over the site's file, on all instances, until taken back.

Must not know: what a cadence means.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from bridge.ledger import Writing
from bridge.ledger.desk_models import cadence


def chosen(connection: Connection) -> dict[str, str]:
    """Return job → what was chosen."""
    return {row.job: row.chosen for row in connection.execute(select(cadence.c.job, cadence.c.chosen))}


def choose(writing: Writing, job: str, wish: str | None, *, actor: str, before: str, after: str) -> None:
    """Keep a choice, or take it back (None). *before* and *after* are told in the audit as people read them."""
    if wish is None:
        writing.connection.execute(delete(cadence).where(cadence.c.job == job))
    else:
        insert = postgresql.insert if writing.connection.dialect.name == "postgresql" else sqlite.insert
        values = {"chosen": wish, "actor": actor, "changed_at": writing.now}
        statement = insert(cadence).values(job=job, **values)
        writing.connection.execute(statement.on_conflict_do_update(index_elements=["job"], set_=values))
    writing.say("cadence", actor, sync=job, detail=f"{before} → {after}")
