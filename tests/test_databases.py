"""What `conftest.py` promises: a database of its own for every test, on both kinds."""

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool


@pytest.mark.parametrize("time", ["first", "second"])
def test_every_test_begins_with_an_empty_database(database_url: str, time: str) -> None:
    engine = create_engine(database_url, poolclass=NullPool)
    assert inspect(engine).get_table_names() == []

    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE left_by_a_test (time TEXT)"))
        connection.execute(text("INSERT INTO left_by_a_test VALUES (:time)"), {"time": time})

    assert inspect(engine).get_table_names() == ["left_by_a_test"]
