"""The migrations make exactly the tables that the code believes in."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select

import bridge.ledger
from bridge.ledger import Ledger, audit, migrate
from bridge.ledger.models import audit_head, metadata


def test_the_migrated_schema_is_the_declared_one(ledger):
    with ledger.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, metadata) == []


def test_the_revision_the_code_looks_for_is_the_newest():
    """Else a new migration would never run, or run at every start."""
    config = Config()
    config.set_main_option("script_location", str(Path(bridge.ledger.__file__).parent / "migrations"))

    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]


def test_a_second_start_changes_nothing(ledger):
    ledger.create()

    assert migrate.revision(ledger.engine) == migrate.HEAD
    with ledger.read() as connection:
        assert len(connection.execute(select(audit_head)).all()) == audit.CHAINS


def test_instances_that_start_at_once_make_one_schema(bare_postgres_url):
    """They queue for it; the second finds it done."""
    failed: list[BaseException] = []

    def start() -> None:
        one = Ledger(bare_postgres_url)
        try:
            one.create()
        except BaseException as error:  # noqa: BLE001 - the test is about none
            failed.append(error)
        finally:
            one.close()

    threads = [threading.Thread(target=start) for _ in range(3)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()

    assert failed == []


def test_a_downgrade_leaves_nothing(ledger):
    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(Path(bridge.ledger.__file__).parent / "migrations"))
    with ledger.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        connection.commit()

        assert inspect(connection).get_table_names() == ["alembic_version"]
