"""A PostgreSQL, or another instance, that vanished without a word: nobody waits for it for minutes."""

from __future__ import annotations

import socket
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from bridge import ledger
from bridge.ledger import marks


def test_a_server_that_does_not_answer_counts_as_gone_within_seconds(monkeypatch):
    monkeypatch.setitem(ledger._PG_GIVE_UP, "connect_timeout", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        house = ledger.Ledger(f"postgresql://bridge@127.0.0.1:{silent.getsockname()[1]}/bridge")
        began = time.monotonic()

        with pytest.raises(OperationalError), house.read():
            pass

        assert time.monotonic() - began < 20, "psycopg alone would wait for more than two minutes"


def test_a_statement_that_takes_too_long_is_ended_and_migrations_are_not(postgres_url, monkeypatch):
    monkeypatch.setattr(ledger, "STATEMENT_S", 1)
    house = ledger.Ledger(postgres_url)
    house.create()  # the connection that migrated would have no limit

    with pytest.raises(OperationalError, match="statement timeout"), house.read() as reading:
        reading.execute(text("SELECT pg_sleep(5)"))
    with house.read() as reading:
        answer = reading.execute(text("SHOW statement_timeout")).scalar()

    assert answer == "1s"
    house.close()


def test_what_the_url_says_of_time_outs_holds():
    house = ledger.Ledger("postgresql://bridge@127.0.0.1:1/bridge?connect_timeout=9")

    _, given = house.engine.dialect.create_connect_args(house.engine.url)

    assert given["connect_timeout"] == "9"


def test_an_instance_that_stands_still_in_a_transaction_does_not_hold_up_the_others(postgres_url, monkeypatch):
    """Its locks would outlast it by hours where its machine died: the server still believes in the connection."""
    monkeypatch.setattr(ledger, "FROZEN_S", 1)
    frozen, living = ledger.Ledger(postgres_url), ledger.Ledger(postgres_url)
    frozen.create()
    why = ("PAUSED_BY_PERSON", "maintenance")

    found: list[tuple[bool, float]] = []

    def stand_still() -> None:
        with frozen.write() as stuck:
            marks.start_pause(stuck, "*netsuite", *why)
            began = time.monotonic()
            with living.write() as writing:
                found.append((marks.start_pause(writing, "*netsuite", *why), time.monotonic() - began))

    with pytest.raises(DBAPIError):
        stand_still()

    with frozen.write() as writing:
        still = marks.pauses(writing.connection)
    [(is_ours, waited_s)] = found
    assert is_ours
    assert waited_s < 10
    assert [it.scope for it in still] == ["*netsuite"]
    frozen.close()
    living.close()
