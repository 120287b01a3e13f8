"""Links: two transactions that know of one link each keep what they had to say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bridge.ledger import Ledger, links
from bridge.ledger.links import Link

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
PAIR = ("sales_order", "006-1")
MADE = Link(*PAIR, "salesOrder", "42", 1, NOW, "first", external_id="sf-so-006-1")


@pytest.fixture
def stored(ledger: Ledger) -> Link:
    with ledger.write() as writing:
        links.save(writing, [MADE])
    with ledger.read() as connection:
        return links.find(connection, [PAIR])[PAIR]


def now(ledger: Ledger) -> Link:
    with ledger.read() as connection:
        return links.find(connection, [PAIR])[PAIR]


def test_a_number_that_a_pull_brings_takes_nothing_back_that_a_push_stored_meanwhile(ledger, stored):
    with ledger.write() as writing:
        links.save(writing, [replace(stored, version=2, fingerprint="second", parts={"lines": {"00k": 1}})])
    with ledger.write() as writing:
        links.add_number(writing, stored, "SO1001")

    found = now(ledger)
    assert (found.version, found.fingerprint, found.parts) == (2, "second", {"lines": {"00k": 1}})
    assert found.number == "SO1001"


@pytest.mark.parametrize("meanwhile", [{"number": "SO7"}, {"target_id": "43"}])
def test_a_number_is_not_put_over_another_nor_on_another_record(ledger, stored, meanwhile):
    with ledger.write() as writing:
        links.save(writing, [replace(stored, **meanwhile)])
    with ledger.write() as writing:
        links.add_number(writing, stored, "SO1001")

    assert now(ledger).number == meanwhile.get("number")
