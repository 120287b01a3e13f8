"""What `conftest.py` promises: a database of its own for every test, on both kinds."""

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from bridge.ledger.models import metadata


@pytest.mark.parametrize("time", ["first", "second"])
def test_every_test_begins_with_our_schema_and_nothing_else(database_url: str, time: str) -> None:
    engine = create_engine(database_url, poolclass=NullPool)
    ours = {*metadata.tables, "alembic_version"}
    assert set(inspect(engine).get_table_names()) == ours

    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE left_by_a_test (time TEXT)"))
        connection.execute(text("INSERT INTO left_by_a_test VALUES (:time)"), {"time": time})

    assert set(inspect(engine).get_table_names()) == {*ours, "left_by_a_test"}


def test_a_bare_database_is_empty(bare_postgres_url: str) -> None:
    assert inspect(create_engine(bare_postgres_url, poolclass=NullPool)).get_table_names() == []
