"""The migrations make exactly the tables that the code believes in."""

from __future__ import annotations

import ast
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

import bridge.ledger
from bridge.errors import Misconfigured
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


# --- versions beside each other (fault 71) ---


def newer(ledger, revision):
    """Have the schema look as a newer version leaves it."""
    with ledger.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})


def test_an_older_version_starts_beside_a_newer_one(ledger, caplog):
    newer(ledger, "9999")

    ledger.create()

    assert migrate.revision(ledger.engine) == "9999"
    assert "made ready by a newer version" in caplog.text


def test_a_version_that_is_too_old_for_the_schema_says_so_and_does_not_start(ledger, monkeypatch):
    monkeypatch.setattr(migrate, "LEAST", "9998")
    with ledger.engine.begin() as connection:
        migrate._note_least(connection)
    newer(ledger, "9999")

    with pytest.raises(Misconfigured, match="start the newer version") as refused:
        ledger.create()

    assert refused.value.code == "DATABASE_IS_NEWER"


TAKES_AWAY = {"drop_table", "drop_column", "drop_constraint", "drop_index", "alter_column", "rename_table"}


def takes_away(source):
    """Name what an ``upgrade`` does that older code cannot live with."""
    (body,) = (it for it in ast.parse(source).body if isinstance(it, ast.FunctionDef) and it.name == "upgrade")
    calls = [it for it in ast.walk(body) if isinstance(it, ast.Call)]
    made_anew = {ast.dump(it.args[0]) for it in calls if getattr(it.func, "attr", "") == "create_index"}
    for call in calls:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if name in TAKES_AWAY and not (name == "drop_index" and ast.dump(call.args[0]) in made_anew):
            yield name
        if name == "add_column":  # what older code does not fill must not be asked for
            given = {it.arg: it.value for it in call.args[1].keywords}
            may_be_empty = getattr(given.get("nullable"), "value", True)
            if not may_be_empty and "server_default" not in given:
                yield "add_column that must not be empty"


@pytest.mark.parametrize(
    "path",
    sorted((Path(bridge.ledger.__file__).parent / "migrations" / "versions").glob("0*.py")),
    ids=lambda path: path.stem,
)
def test_a_migration_only_adds_unless_older_code_is_refused(path):
    found = set(takes_away(path.read_text(encoding="utf-8")))

    assert not found or path.stem[:4] <= migrate.LEAST


def test_the_look_for_what_takes_away_sees_it():
    source = """
def upgrade():
    op.drop_column("message", "actor")
    op.drop_index("one", table_name="message")
    op.create_index("one", "message", ["id"])
    op.drop_index("another", table_name="message")
    op.add_column("message", sa.Column("word", sa.String(), nullable=False))
    op.add_column("message", sa.Column("other", sa.String(), nullable=True))
"""
    assert set(takes_away(source)) == {"drop_column", "drop_index", "add_column that must not be empty"}
