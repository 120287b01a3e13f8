"""Whatever comes back instead of an answer: the save is neither delivered nor rejected, and in the end there once.

The adapter's own tests cut and flip a recorded answer at every byte; here the whole bridge lives through each kind.
"""

from __future__ import annotations

import tracemalloc

import pytest

from bridge import operating

BAD = [
    ("drop", {}),
    ("truncate", {"bytes": 300}),
    ("truncate", {"bytes": 300, "clean": True}),
    ("gzip_trailer", {}),
    ("garble", {"offset": 60}),
    ("http", {"status": 503, "body": "html"}),
    ("http", {"status": 200, "body": "html"}),
    ("http", {"status": 503, "body": "xhtml"}),
    ("http", {"status": 200, "body": "xhtml"}),
    ("http", {"status": 502, "body": "empty"}),
    ("redirect", {}),
    ("endless", {}),
    ("unexpected", {}),
    ("no_detail", {}),
]
MEBIBYTE = 1024 * 1024


@pytest.fixture
def ledger_url(tmp_path, empty_sqlite):
    """What an answer means does not depend on the database."""
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(empty_sqlite)
    return f"sqlite:///{path}"


@pytest.mark.parametrize(("action", "options"), BAD, ids=lambda it: it if isinstance(it, str) else str(it))
def test_a_bad_answer_settles_nothing_and_doubles_nothing(house, action, options):
    account = house.account()
    oven = house.application(account)
    house.ns.faults.add(action, operation="upsert*", count=10**6, **options)
    house.receive(account, oven)
    tracemalloc.start()
    house.engine.deliver(most=50)
    at_once = {row.state for row in house.messages() if row.sync in house.syncs.pushes}
    for _ in range(2):
        house.engine.deliver(most=50)  # what had been written all the same is found now
        house.clock.advance(minutes=7)
        operating.probe(house.engine)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    house.ns.faults.clear()

    for _ in range(6):
        house.clock.advance(minutes=11)
        operating.probe(house.engine)
        house.drain()

    assert at_once <= {"pending", "deferred", "uncertain", "held"}
    assert most < 100 * MEBIBYTE
    assert house.states("customer", account)[-1] == "delivered"
    assert house.states("sales_order", oven) == ["delivered"]
    assert {kind: len(house.made(kind)) for kind in ("customer", "vendor", "salesOrder", "purchaseOrder")} == {
        "customer": 1, "vendor": 1, "salesOrder": 1, "purchaseOrder": 1,
    }  # fmt: skip
    assert not house.audit(action="rejected")
    assert not house.audit(action="dead")


def test_an_element_that_we_do_not_know_is_no_reason_to_doubt(house):
    """Fault 27: NetSuite adds elements; the write is confirmed by its status and its id."""
    account = house.account()
    house.ns.faults.add("unknown_element", operation="upsert*", count=9)

    assert house.push_one(account).state == "delivered"
    assert len(house.made("customer")) == 1
