"""What every save asks does not read a whole table, however many Accounts have been there."""

from __future__ import annotations

import pytest

from bridge.ledger import lanes, links
from bridge.ledger.models import lane, link

MANY = 2000


@pytest.fixture
def filled(ledger):
    """A ledger with many lanes that rest, and the links of as many records."""
    now = ledger._clock()
    common = {"sync": "customer", "target_kind": "customer", "version": 1, "modified_at": now, "fingerprint": "x",
              "updated_at": now}  # fmt: skip
    ids = [f"001{n:012d}AAA" for n in range(MANY)]
    with ledger.write() as writing:
        writing.connection.execute(lane.insert(), [{"key": it} for it in ids])
        writing.connection.execute(link.insert(), [common | {"source_id": it, "target_id": it[5:]} for it in ids])
        if not ledger.is_sqlite:
            writing.connection.exec_driver_sql("ANALYZE")
    return ledger


@pytest.mark.parametrize(
    ("asked", "index"),
    [(lanes._DUE, "lane_due"), (lanes._COUNT, "lane_due"), (links._OF_SOURCES._statement, "link_source")],
    ids=["next work", "how much work", "links of a record"],
)
def test_an_index_leads_to_what_is_asked_for(filled, asked, index):
    """Millions of Accounts rest for ever; to read all of them for each save is slower every day."""
    with filled.read() as connection:
        now = filled._clock()
        processed = asked.compile(dialect=connection.dialect)
        values = {"now": now.isoformat() if filled.is_sqlite else now, "most": 50}
        values["ids"] = '["001000000000007AAA"]' if filled.is_sqlite else ["001000000000007AAA"]
        given = {name: values.get(name, value) for name, value in processed.params.items()}
        placed = tuple(given[it] for it in processed.positiontup) if processed.positiontup else given
        explain = "EXPLAIN QUERY PLAN " if filled.is_sqlite else "EXPLAIN "
        plan = " ".join(str(it) for it in connection.exec_driver_sql(explain + processed.string, placed).all())

    assert index in plan, plan
    assert "SCAN link" not in plan
