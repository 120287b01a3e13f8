"""A PostgreSQL that vanished without a word, as in a fail-over: nobody waits for it for minutes."""

from __future__ import annotations

import socket
import time

import pytest
from sqlalchemy.exc import OperationalError

from bridge import ledger


def test_a_server_that_does_not_answer_counts_as_gone_within_seconds(monkeypatch):
    monkeypatch.setitem(ledger._PG_GIVE_UP, "connect_timeout", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        house = ledger.Ledger(f"postgresql://bridge@127.0.0.1:{silent.getsockname()[1]}/bridge")
        began = time.monotonic()

        with pytest.raises(OperationalError), house.read():
            pass

        assert time.monotonic() - began < 20, "psycopg alone would wait for more than two minutes"


def test_what_the_url_says_of_time_outs_holds():
    house = ledger.Ledger("postgresql://bridge@127.0.0.1:1/bridge?connect_timeout=9")

    _, given = house.engine.dialect.create_connect_args(house.engine.url)

    assert given["connect_timeout"] == "9"
