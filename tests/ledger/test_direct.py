"""Statements that go past SQLAlchemy's execute: its types, its transactions and its errors all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import bindparam, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from bridge.ledger import Ledger, many, marks
from bridge.ledger.direct import Direct, commit_with, run, together
from bridge.ledger.models import call, message, pause

NOW = datetime(2026, 11, 25, 12, 0, 0, 123456, tzinfo=UTC)
OF = Direct(select(message).where(many.among(message.c.source_id, "ids"), message.c.version > bindparam("v")))


def store(ledger: Ledger, *source_ids: str) -> None:
    names = ("sync", "source_kind", "source_id", "version", "modified_at", "lane", "queue", "priority", "payload",
             "source_hash", "origin", "correlation", "forced", "write_back")  # fmt: skip
    rows = [("customer", "Account", it, 2, NOW, it, it, 1, "{}", "h", "callout", "c", True, False) for it in source_ids]
    common = {"state": "pending", "attempts": 0, "crashes": 0, "created_at": NOW}
    with ledger.write() as writing:
        many.insert(writing.connection, message, names, rows, common)


def test_rows_are_those_of_sqlalchemy_by_name_and_type(ledger):
    store(ledger, "001-a", "001-b", "001-ü %s ?")
    asked = {"ids": ["001-a", "001-ü %s ?"], "v": 1}

    with ledger.read() as connection:
        ours = OF.rows(connection, **asked)
        theirs = connection.execute(OF._statement, asked).all()

    assert [it._asdict() for it in ours] == [it._asdict() for it in theirs]
    assert {(it.modified_at, it.forced, it.write_back, it.due_at) for it in ours} == {(NOW, True, False, None)}
    with ledger.read() as connection:
        assert OF.first(connection, ids=[], v=0) is None


def test_a_look_is_one_transaction(ledger):
    """On PostgreSQL each statement would see another moment without one."""
    store(ledger, "001-a")
    with ledger.read(still=True) as connection:
        assert len(OF.rows(connection, ids=["001-a", "001-b"], v=0)) == 1
        assert connection.in_transaction()
        store(ledger, "001-b")
        assert len(OF.rows(connection, ids=["001-a", "001-b"], v=0)) == 1


def test_what_was_written_is_undone_with_the_transaction(ledger):
    def fail(writing):
        marks.open_calls(writing, [marks.Seen("00D", "call", "hash", "correlation")])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ledger.commit(fail)

    with ledger.read() as connection:
        assert connection.execute(select(call)).first() is None


def test_an_error_is_sqlalchemys_and_tells_no_values(ledger):
    row = ("*netsuite", NOW, "PAUSED", "Maren's secret", "operator")
    names = ("scope", "since", "code", "reason", "actor")
    with pytest.raises(IntegrityError) as told, ledger.write() as writing:
        many.insert(writing.connection, pause, names, [row, row])

    assert "secret" not in str(told.value)
    assert "pause" in str(told.value)
    with ledger.read() as connection:
        assert marks.pauses(connection) == []


def test_a_lock_that_is_not_given_is_an_operational_error(ledger, tmp_path):
    if ledger.is_sqlite:
        pytest.skip("writers queue in the process")
    with ledger.write() as first:
        run(first.connection, "LOCK TABLE pause IN ACCESS EXCLUSIVE MODE", None, returns=False)
        with ledger.read() as second:
            run(second, "SET LOCAL lock_timeout = '50ms'", None, returns=False)
            with pytest.raises(OperationalError):
                marks.pauses(second)


def test_a_connection_that_is_gone_is_thrown_away_with_the_others(ledger):
    if ledger.is_sqlite:
        pytest.skip("there is no server to lose")
    with ledger.read() as victim:
        [(pid,)] = run(victim, "SELECT pg_backend_pid()", None)
        with ledger.read() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        with pytest.raises(DBAPIError) as told:
            marks.pauses(victim)

    assert told.value.connection_invalidated
    for _ in range(3):
        with ledger.read() as connection:
            assert marks.pauses(connection) == []


def test_a_text_that_depends_on_the_number_of_values_is_refused(ledger):
    with ledger.read() as connection, pytest.raises(ValueError, match="not of one length"):
        Direct(select(pause).where(pause.c.scope.in_(["a", "b"]))).rows(connection)


def test_moments_go_in_as_they_come_out(ledger):
    since = Direct(select(call.c.id).where(call.c.received_at >= bindparam("since", type_=call.c.received_at.type)))
    with ledger.write() as writing:
        marks.open_calls(writing, [marks.Seen("00D", "call", "hash", "correlation")])
        now = writing.now

    with ledger.read() as connection:
        assert since.rows(connection, since=now) == [("call",)]
        assert since.rows(connection, since=now + timedelta(microseconds=1)) == []


ODD = ["it's", '"', "\\", "100 %", "%s", "%(ids)s", "?", ":v", ";", "--", "$1", "'); DROP TABLE message; --", "ü\n"]


def test_what_is_asked_together_is_answered_in_order_as_if_asked_alone(ledger):
    store(ledger, "001-a", "001-b", *ODD)

    with ledger.read() as connection:
        asked = [OF.of(connection, ids=ids, v=v) for ids, v in ((["001-a"], 0), ([], 0), (ODD, 1), (["001-b"], 2))]
        found = together(connection, *asked)

        assert found == [it.alone(connection) for it in asked]
    assert [len(it) for it in found] == [1, 0, len(ODD), 0]
    assert {(it.modified_at, it.forced, it.write_back, it.due_at) for it in found[2]} == {(NOW, True, False, None)}


def test_what_is_asked_together_is_done_in_order_and_sees_what_went_before(ledger):
    names, row = ("scope", "since", "code", "reason", "actor"), ("customer", NOW, "PAUSED", "why", "operator")

    with ledger.write() as writing:
        connection = writing.connection
        putting = many.inserting(connection, pause, names, [row])
        before, _, after = together(
            connection, marks.keeping_pauses(connection), putting, marks.keeping_pauses(connection)
        )

    assert (before, [it.scope for it in after]) == ([], ["customer"])


def test_an_error_among_what_is_asked_together_undoes_all_and_tells_no_values(ledger):
    names, row = ("scope", "since", "code", "reason", "actor"), ("customer", NOW, "PAUSED", "secret", "operator")

    def put_twice(writing):
        putting = many.inserting(writing.connection, pause, names, [row])
        together(writing.connection, putting, putting)

    with pytest.raises(IntegrityError) as told:
        ledger.commit(put_twice)

    assert "secret" not in str(told.value)
    with ledger.read() as connection:
        assert marks.pauses(connection) == []


def test_a_connection_that_is_gone_is_noticed_by_what_is_asked_together(ledger):
    if ledger.is_sqlite:
        pytest.skip("there is no server to lose")
    with ledger.read() as victim:
        [(pid,)] = run(victim, "SELECT pg_backend_pid()", None)
        with ledger.read() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        with pytest.raises(DBAPIError) as told:
            together(victim, marks.keeping_pauses(victim), marks.keeping_pauses(victim))

    assert told.value.connection_invalidated
    with ledger.read() as connection:
        assert marks.pauses(connection) == []


def test_what_ends_a_transaction_is_there_for_others_at_once_or_not_at_all(ledger):
    if ledger.is_sqlite:
        pytest.skip("whoever began the transaction ends it")
    names, row = ("scope", "since", "code", "reason", "actor"), ("customer", NOW, "PAUSED", "why", "operator")

    with ledger.write() as writing:
        commit_with(writing.connection, many.inserting(writing.connection, pause, names, [row]))
        with ledger.read() as other:
            assert [it.scope for it in marks.pauses(other)] == ["customer"]

    def fail(writing):
        run(writing.connection, "DELETE FROM pause", None, returns=False)
        commit_with(writing.connection, many.inserting(writing.connection, pause, names, [row, row]))

    with pytest.raises(IntegrityError):
        ledger.commit(fail)

    with ledger.read() as connection:
        assert [it.scope for it in marks.pauses(connection)] == ["customer"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_change_is_done_with_each_row_its_types_and_fixed_values(ledger, count):
    settle = Direct(
        update(message)
        .where(message.c.source_id == bindparam("of"))
        .values(state=bindparam("to"), queue=None, settled_at=bindparam("at"))
    )
    names = ["001-a", "001-b", "001-c"]
    store(ledger, *names)

    with ledger.write() as writing:
        settle.change(writing.connection, [{"of": it, "to": f"to {it}", "at": NOW} for it in names[:count]])

    with ledger.read() as connection:
        rows = {it.source_id: it for it in OF.rows(connection, ids=names, v=0)}
    changed = {it: (rows[it].state, rows[it].queue, rows[it].settled_at) for it in names}
    assert changed == {
        it: (f"to {it}", None, NOW) if place < count else ("pending", it, None) for place, it in enumerate(names)
    }
