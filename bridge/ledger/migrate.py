"""Alembic, driven from code: no ini file, and no import of it when the schema is already the newest.

Versions run beside each other while instances are replaced. So a migration only adds: tables, columns that may stay
empty, indexes. What takes something away comes a release later, and raises `LEAST`; code before that refuses to start.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite

from bridge.errors import Misconfigured
from bridge.ledger.models import pin

LOG = logging.getLogger("bridge.ledger")

HEAD = "0013"
LEAST = "0001"  # the newest schema of the oldest code that may run on this one
NOTE = "schema_least"  # under which the database keeps that


def revision(engine: Engine) -> str | None:
    """Return the schema revision of the database, None for an empty one."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(engine: Engine) -> None:
    """Run the migrations that are missing: all of them or none. Instances that start at once queue for it.

    A schema that a newer version made is left as it is. Raises Misconfigured where this version is too old for it.
    """
    there = revision(engine)
    if there is not None and there >= HEAD:
        _may_run(engine, there)
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection = connection.execution_options(writes=True)
        if engine.dialect.name == "postgresql":
            # A large table may take an hour to change, and who waits for another instance's migration waits as long.
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_lock(7201)"))
            connection.commit()
        try:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            _note_least(connection)
            connection.commit()
        finally:
            if engine.dialect.name == "postgresql":
                connection.rollback()
                connection.execute(text("SELECT pg_advisory_unlock(7201)"))
                connection.commit()
                connection.invalidate()  # the pool opens the next one with the usual limit


def _may_run(engine: Engine, there: str) -> None:
    if there == HEAD:
        return
    with engine.connect() as connection:
        least = connection.execute(select(pin.c.value).where(pin.c.name == NOTE)).scalar()
    if least is not None and least > HEAD:
        raise Misconfigured(
            f"The database was made ready by a newer version of the bridge (schema {there}), beside which this one"
            f" (schema {HEAD}) cannot run; start the newer version.",
            code="DATABASE_IS_NEWER",
        )
    LOG.warning("The database was made ready by a newer version (schema %s); this one runs beside it.", there)


def _note_least(connection: Connection) -> None:
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    noted = make(pin).values(name=NOTE, value=LEAST, at=datetime.now(UTC))
    connection.execute(noted.on_conflict_do_update(index_elements=["name"], set_={"value": LEAST}))
