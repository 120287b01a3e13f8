"""What a database is for: the organisation, the NetSuite account and the environment it was first used with.

Links and external ids mean something between two systems only. A database that is used between two others would send
changes of one company to another, or of a sandbox to production.

Must not know: settings, any system.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from bridge.ledger import Writing
from bridge.ledger.models import pin


def hold(writing: Writing, wanted: Mapping[str, str]) -> dict[str, str]:
    """Note *wanted* at the first start; return what was noted then, where it is something else."""
    make = postgresql.insert if writing.connection.dialect.name == "postgresql" else sqlite.insert
    other: dict[str, str] = {}
    for name, value in wanted.items():
        statement = make(pin).values(name=name, value=value, at=writing.now)
        made = writing.connection.execute(
            statement.on_conflict_do_nothing(index_elements=["name"]).returning(pin.c.name)
        ).first()
        if made is not None:
            writing.say("pinned", "start", target=f"{name} {value}")
            continue
        kept = writing.connection.execute(select(pin.c.value).where(pin.c.name == name)).scalar_one()
        if kept != value:
            other[name] = kept
    return other
