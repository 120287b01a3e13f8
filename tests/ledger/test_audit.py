"""The audit trail: whatever is done to its rows behind our back is found."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, event, insert, select, update
from sqlalchemy.exc import DBAPIError

from bridge import ledger as ledger_module
from bridge import watching
from bridge.ledger import Ledger, audit, direct, links
from bridge.ledger.links import Link
from bridge.ledger.models import audit as rows
from bridge.ledger.models import audit_head


@pytest.fixture
def written(ledger: Ledger) -> Ledger:
    for n in range(4):
        with ledger.write() as writing:
            writing.say("received", "005user", sync="customer", source_id=f"001-{n}", message_id=n + 1)
            writing.say("delivered", "bridge", sync="customer", source_id=f"001-{n}", target=f"customer/{n}")
    return ledger


def broken(ledger: Ledger, key: bytes | None = None) -> list[str]:
    with ledger.read(still=True) as connection:
        return list(audit.verify(connection, ledger.audit_key if key is None else key))


def test_an_untouched_chain_holds(written):
    assert broken(written) == []


def test_an_empty_chain_holds(ledger):
    assert broken(ledger) == []


def test_what_is_written_while_the_trail_is_read_does_not_look_put_there(written):
    """An alarm about a trail that holds would teach people not to look."""
    meanwhile = []

    @event.listens_for(written.engine, "after_cursor_execute")
    def _say(connection, cursor, statement, *_):
        if "FROM audit_head" in statement and not meanwhile:
            meanwhile.append(statement)
            with written.write() as writing:
                writing.say("received", "005user", sync="customer", source_id="001-late", message_id=5)

    found = watching.broken(written, None)

    assert meanwhile
    assert found == []


def test_a_transaction_asks_little_beside_its_own_questions(written, monkeypatch):
    """Each question is a round trip on PostgreSQL, for every save."""
    asked, at_once, together = [], direct.at_once, direct.together
    event.listen(written.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    def counted(connection, text, *given, **how):
        asked.append(text)
        return at_once(connection, text, *given, **how)

    def counted_together(connection, *several):
        asked.append("; ".join(it.text for it in several))
        return together(connection, *several)

    for module in (direct, ledger_module):
        monkeypatch.setattr(module, "at_once", counted)
    monkeypatch.setattr(direct, "together", counted_together)

    with written.write() as writing:
        writing.say("received", "005user", sync="customer", source_id="001-late", message_id=5)

    assert len(asked) == (4 if written.is_sqlite else 3), asked
    assert written.is_sqlite or asked[-1].endswith("COMMIT")


def disarm(connection):
    """What whoever owns the database can do first."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("DROP TRIGGER audit_update")
        connection.exec_driver_sql("DROP TRIGGER audit_delete")
    else:
        connection.exec_driver_sql("DROP TRIGGER audit_append_only ON audit")
        connection.exec_driver_sql("DROP TRIGGER audit_never_emptied ON audit")


@pytest.mark.parametrize("statement", [update(rows).values(actor="nobody"), delete(rows)], ids=["update", "delete"])
def test_the_database_itself_refuses_to_change_what_was_said(written, statement):
    with pytest.raises(DBAPIError, match="append-only"), written.write() as writing:
        writing.connection.execute(statement)

    assert broken(written) == []


def test_not_even_postgresql_empties_it_at_a_stroke(postgres_url):
    ledger = Ledger(postgres_url)
    ledger.create()

    with pytest.raises(DBAPIError, match="append-only"), ledger.write() as writing:
        writing.connection.exec_driver_sql("TRUNCATE audit")

    ledger.close()


def change(connection):
    connection.execute(update(rows).where(rows.c.seq == 3).values(actor="nobody"))


def back_date(connection):
    at = connection.execute(select(rows.c.at).where(rows.c.seq == 3)).scalar_one()
    connection.execute(update(rows).where(rows.c.seq == 3).values(at=at - timedelta(days=1)))


def remove(connection):
    connection.execute(delete(rows).where(rows.c.seq == 3))


def remove_and_close_up(connection):
    connection.execute(delete(rows).where(rows.c.seq == 3))
    for n in range(4, 9):
        connection.execute(update(rows).where(rows.c.seq == n).values(seq=n - 1))


def add(connection):
    last = connection.execute(select(rows).where(rows.c.seq == 8)).mappings().one()
    connection.execute(insert(rows).values(**{**last, "seq": 9}))


def swap(connection):
    for old, new in ((3, 100), (4, 3), (100, 4)):
        connection.execute(update(rows).where(rows.c.seq == old).values(seq=new))


def truncate(connection):
    connection.execute(delete(rows).where(rows.c.seq > 5))


def empty(connection):
    connection.execute(delete(rows))


def recompute_without_the_key(connection):
    """What a person can do who may write to the database but does not have the key."""
    previous = audit.START
    for row in connection.execute(select(rows).order_by(rows.c.seq)).all():
        values = [getattr(row, name) for name in audit.FIELDS]
        values[1] = "nobody"
        previous = audit.digest(b"", previous, row.at, [row.chain, row.seq, *audit._hashed(values)])
        connection.execute(update(rows).where(rows.c.seq == row.seq).values(actor="nobody", hash=previous))
    connection.execute(update(audit_head).where(audit_head.c.chain == 0).values(hash=previous))


@pytest.mark.parametrize(
    "tamper",
    [change, back_date, remove, remove_and_close_up, add, swap, truncate, empty, recompute_without_the_key],
    ids=lambda it: it.__name__,
)
def test_tampering_is_found(written, tamper):
    with written.write() as writing:
        disarm(writing.connection)
        tamper(writing.connection)

    (sentence,) = broken(written)

    assert sentence.startswith("Chain 0 ")


def put_where_no_chain_is(connection):
    """Whoever looks a record up would see the row, though no chain holds it."""
    row = connection.execute(select(rows).where(rows.c.seq == 1)).mappings().one()
    connection.execute(insert(rows).values(**{**row, "chain": 77}))


def remove_chain_and_end(connection):
    connection.execute(delete(rows).where(rows.c.chain == 0))
    connection.execute(delete(audit_head).where(audit_head.c.chain == 0))


@pytest.mark.parametrize(
    ("tamper", "chain"), [(put_where_no_chain_is, 77), (remove_chain_and_end, 0)], ids=["no chain", "no end"]
)
def test_a_chain_without_an_end_is_found(written, tamper, chain):
    with written.write() as writing:
        disarm(writing.connection)
        tamper(writing.connection)

    assert broken(written) == [f"Chain {chain} has no end: it was removed, or rows were put where there is no chain."]


def test_before_after_and_mapping_are_part_of_the_chain(written):
    with written.write() as writing:
        writing.say("delivered", "bridge", sync="customer", before="a" * 40, after="b" * 40)
    assert broken(written) == []

    with written.write() as writing:
        disarm(writing.connection)
        writing.connection.execute(update(rows).where(rows.c.seq == 9).values(after="c" * 40))

    assert broken(written) == ["Chain 0 is broken at row 9: it was changed, inserted or put in another's place."]


def test_the_chain_is_worth_nothing_to_another_key(written):
    assert broken(written, b"another")


def test_rows_of_a_transaction_that_failed_are_not_there(ledger):
    def fail(writing) -> None:
        writing.say("received", "bridge")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ledger.commit(fail)

    with ledger.read() as connection:
        assert connection.execute(select(rows)).all() == []


def test_many_writers_at_once_keep_every_chain_whole(ledger):
    def work() -> None:
        for _ in range(10):
            with ledger.write() as writing:
                writing.say("received", "bridge")

    threads = [threading.Thread(target=work) for _ in range(6)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()

    assert broken(ledger) == []
    with ledger.read() as connection:
        assert len(connection.execute(select(rows.c.seq)).all()) == 60


def test_an_order_is_found_by_its_number_and_nothing_else_is(ledger: Ledger):
    order = Link("sales_order", "006A", "salesOrder", "4711", 1, datetime(2026, 11, 20, tzinfo=UTC), "f", number="SO7")
    with ledger.write() as writing:
        links.save(writing, [order])
        writing.say("delivered", "005user", sync="sales_order", source_id="006A", target="salesOrder/4711")
        writing.say("delivered", "bridge", sync="purchase_order", source_id="006A", target="purchaseOrder/4712")
        writing.say("delivered", "bridge", sync="order_mirror", source_id="4712", target="salesOrder/4711")

    with ledger.read() as connection:
        found = audit.about(connection, "so7", 50, [])

    assert [it.sync for it in found] == ["order_mirror", "sales_order"]
