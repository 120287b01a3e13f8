"""A pull has everything that changed, says what it has not, and reads nothing twice for nothing."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as examples
from hypothesis import strategies as st

from bridge import operating
from bridge.errors import Deferred
from bridge.failpoints import Failpoint
from bridge.ledger import desk, marks
from bridge.pulling import SETTLE, pull
from bridge.sandbox import netsuite_search, netsuite_store

SALE = "sales_order_mirror"
ZONES = ("America/Los_Angeles", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe")
# Shortly before clocks go forward or back: in the Pacific zone, New York, Berlin, on Lord Howe.
CHANGEOVERS = [
    datetime(year, *moment, tzinfo=UTC)
    for year in range(2027, 2067, 2)
    for moment in ((3, 14, 9, 55), (3, 28, 0, 55), (4, 3, 14, 55), (10, 31, 0, 30), (11, 7, 5, 30), (11, 7, 8, 55))
]


def watermark(house, name=SALE):
    with house.ledger.read() as connection:
        return marks.read_watermark(connection, name)


def sales(house, count=1):
    """So many orders of one customer of ours, as accounting types them in; the first is made by us."""
    oven = house.application(house.account("Acme"), ("Wire Fee", "25.00"))
    house.push_one(oven)
    (first,) = house.made("salesOrder")
    return [first, *(another(house, first) for _ in range(count - 1))]


def another(house, order):
    store = house.ns.store
    with house.ns.lock:
        made = store.new("salesOrder")
        made.fields = dict(order.fields) | {"tranId": store.number("SO")}
        made.lists = copy.deepcopy(order.lists)
        store.add(made)
    return made


def edit(house, order):
    with house.ns.lock:
        order.fields["memo"] = f"edited {house.clock.at:%H:%M:%S.%f}"
        house.ns.store.changed(order)


def mirrors(house):
    return {it["NetSuite_Id__c"]: it for it in house.sf.rows("NetSuite_Order__c")}


# --- cost


def test_a_run_without_news_costs_one_search_and_one_look_for_deletions_a_kind_and_one_look_at_the_clock(house):
    sales(house)
    house.clock.advance(minutes=5)
    for name in house.syncs.pulls:
        house.pull(name)
    house.clock.advance(hours=30)
    for name in house.syncs.pulls:
        house.pull(name)
    house.clock.advance(minutes=15)  # longer, and the names of custom record types would be asked for again
    before, usage = house.calls().copy(), house.sf.api_usage

    now = house.netsuite.now()
    reports = [pull(house.engine, name, now=now) for name in house.syncs.pulls]

    kinds = len(house.syncs.pulls)
    assert house.calls() - before == {"getServerTime": 1, "search": kinds, "getDeleted": kinds}
    assert house.sf.api_usage == usage
    assert [(it.read, it.stored) for it in reports] == [(0, 0)] * kinds


def test_what_the_overlap_brings_again_is_neither_stored_nor_followed_up(house):
    """The invoices of a payment are read once, not with every pull of the next day."""
    (order,) = sales(house)
    invoice = house.ns.admin.bill(kind="salesOrder", id=order.id)
    house.ns.admin.pay(order.fields["entity"].id, "25.00", {invoice.id: "25.00"})
    house.clock.advance(minutes=5)
    house.pull("remittance")
    before = house.calls().copy()

    report = house.pull("remittance")

    assert (report.read, report.stored, report.unchanged) == (1, 0, 1)
    assert house.calls() - before == {"getServerTime": 1, "search": 1, "getDeleted": 1}


# --- complete


def test_an_edit_in_the_same_second_as_the_one_that_was_read_is_not_lost(house):
    """Stamps have whole seconds: the later edit has the stamp that is known already."""
    (order,) = sales(house)
    house.clock.advance(minutes=5)
    house.pull(SALE)
    order.fields["memo"] = "changed without a new stamp"
    house.ns.store.revision += 1
    order.cache.clear()

    report = house.pull(SALE)

    assert report.stored == 1
    assert mirrors(house)[order.id]["Memo__c"] == "changed without a new stamp"


def test_the_watermark_stays_when_a_row_could_not_be_stored(house, monkeypatch):
    sales(house)
    house.clock.advance(minutes=5)
    before = house.pull(SALE).until
    house.clock.advance(minutes=5)
    edit(house, house.made("salesOrder")[0])
    house.clock.advance(minutes=5)
    monkeypatch.setenv("BRIDGE_FAILPOINT", "after_pull_store:raise:1")
    monkeypatch.setattr("bridge.failpoints._visits", {})

    with pytest.raises(Failpoint):
        pull(house.engine, SALE)

    assert watermark(house) == before
    monkeypatch.delenv("BRIDGE_FAILPOINT")
    report = house.pull(SALE)
    assert watermark(house) == report.until > before


def test_the_watermark_stays_when_netsuite_stops_answering(house):
    house.pull(SALE)
    before = watermark(house)
    house.clock.advance(hours=1)
    house.ns.faults.add("throttle", operation="getDeleted", count=1)

    with pytest.raises(Deferred):
        pull(house.engine, SALE)

    assert watermark(house) == before


def test_a_watermark_in_the_future_is_set_right(house):
    """A restored backup, or a clock that was set back."""
    with house.ledger.write() as writing:
        marks.move_watermark(writing, SALE, house.clock.at + timedelta(days=9))
    (order,) = sales(house)
    house.clock.advance(minutes=5)

    report = house.pull(SALE)

    assert order.id in mirrors(house)
    assert watermark(house) == report.until


def test_a_pull_that_starts_behind_a_gap_does_not_move_the_watermark(house):
    first = house.pull(SALE)
    house.clock.advance(hours=5)

    pull(house.engine, SALE, since=first.until + timedelta(hours=2))

    assert watermark(house) == first.until


@pytest.mark.slow
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@examples(script=st.lists(
    st.tuples(st.sampled_from(["edit", "add", "delete", "hide", "show"]), st.integers(0, 40),
              st.sampled_from([0, 0, 1, 30, 400, 4000])),
    min_size=1, max_size=12,
), size=st.integers(5, 9), meanwhile=st.dictionaries(st.integers(1, 60), st.integers(0, 40), max_size=4),
    zone=st.sampled_from(ZONES), changeover=st.integers(0, 5))  # fmt: skip
def test_what_was_pulled_is_what_changed_and_a_second_pull_writes_nothing(
    house, monkeypatch, script, size, meanwhile, zone, changeover
):
    """Edits, new orders, deletions and hidden rows at any time, equal stamps, any page size, edits during the pull.

    In any zone of the account, and now and then on a day on which clocks change.
    """
    monkeypatch.setattr(netsuite_store, "PACIFIC", ZoneInfo(zone))
    netsuite_store._pacific.cache_clear()
    if not house.made("salesOrder"):
        sales(house, 8)
        house.pull(SALE)
    if changeover == 1:
        house.clock.at = next(it for it in CHANGEOVERS if it > house.clock.at)
    store, house.netsuite._page_size = house.ns.store, size
    for what, which, pause in script:
        orders = house.made("salesOrder")
        order = orders[which % len(orders)]
        if what == "edit":
            edit(house, order)
        elif what == "add":
            another(house, orders[0])
        elif what == "hide":
            house.ns.admin.hide(kind="salesOrder", id=order.id)
        elif what == "show":
            store.hidden.clear()
        elif len(orders) > 4 and order is not orders[0]:
            house.ns.admin.delete(kind="salesOrder", id=order.id)
        house.clock.advance(seconds=pause)
    house.clock.advance(minutes=5)
    asked = house.netsuite.search_page
    calls = iter(range(1, 10_000))

    def busy(*arguments, **options):
        which = meanwhile.get(next(calls))
        if which is not None:
            orders = house.made("salesOrder")
            edit(house, orders[which % len(orders)])
        return asked(*arguments, **options)

    house.netsuite.search_page = busy
    house.pull(SALE)
    del house.netsuite.search_page
    house.clock.advance(minutes=5)
    last = house.pull(SALE)
    count, usage = len(house.messages()), house.sf.api_usage

    again = house.pull(SALE)

    assert again.stored == again.deleted == 0
    assert len(house.messages()) == count
    assert house.sf.api_usage == usage
    shown = mirrors(house)
    orders = {it.id: it for it in house.made("salesOrder")}
    hidden = {key for _, key in store.hidden}
    for key, order in orders.items():
        if key not in hidden:
            assert (shown[key].get("Memo__c") or None) == (order.fields.get("memo") or None)
            assert shown[key]["Name"] == order.fields["tranId"]
    assert {it.ref.id for it in last.skipped} <= hidden
    assert {
        key for key, row in shown.items() if row["Status__c"] == "Deleted in NetSuite"
    } == shown.keys() - orders.keys()
    store.hidden.clear()


# --- what cannot be read


def test_an_order_that_is_hidden_stands_on_the_error_desk_until_it_is_read(house):
    """By id and reason; and it is read without a new edit as soon as the role may."""
    orders = sales(house, 3)
    house.clock.advance(minutes=5)
    house.ns.admin.hide(kind="salesOrder", id=orders[1].id)

    report = house.pull(SALE)
    repeated = house.pull(SALE)

    assert [(it.ref.id, it.code) for it in report.skipped] == [(orders[1].id, "INSUFFICIENT_PERMISSION")]
    assert f"salesOrder {orders[1].id}" in report.sentence()
    assert [it.ref.id for it in repeated.skipped] == [orders[1].id]
    assert set(mirrors(house)) == {orders[0].id, orders[2].id}
    with house.ledger.read() as connection:
        (cause,) = desk.errors(connection)
    assert (cause.code, cause.who, cause.count) == ("INSUFFICIENT_PERMISSION", "administrator", 1)

    house.clock.advance(hours=3)
    house.ns.admin.show(kind="salesOrder", id=orders[1].id)
    report = house.pull(SALE)

    assert report.skipped == ()
    assert set(mirrors(house)) == {it.id for it in orders}
    with house.ledger.read() as connection:
        assert desk.errors(connection) == []


def test_an_order_that_was_hidden_in_the_last_second_of_a_window_is_read_later(house, monkeypatch):
    """What says that it could not be read must not have the version and stamp that the order itself will have.

    Whether NetSuite counts the end of ``within`` is not documented; here it does.
    """
    own = netsuite_search.date_window
    closed = lambda element: (own(element)[0], own(element)[1] + timedelta(seconds=1))  # noqa: E731
    monkeypatch.setattr(netsuite_search, "date_window", closed)
    orders = sales(house, 2)
    house.clock.advance(minutes=5)
    house.pull(SALE)
    house.clock.at = house.clock.at.replace(microsecond=0)
    edit(house, orders[1])
    house.ns.admin.hide(kind="salesOrder", id=orders[1].id)
    house.clock.advance(seconds=SETTLE.total_seconds())
    report = house.pull(SALE)
    house.ns.admin.show(kind="salesOrder", id=orders[1].id)

    again = house.pull(SALE)

    assert report.until == orders[1].modified
    assert [it.ref.id for it in report.skipped] == [orders[1].id]
    assert again.skipped == ()
    assert mirrors(house)[orders[1].id]["Memo__c"] == orders[1].fields["memo"]


@pytest.mark.parametrize("tried_again", [False, True])
def test_an_order_that_is_hidden_while_its_reading_waits_is_still_written(house, tried_again):
    """That it cannot be read any more says nothing against what was read before."""
    orders = sales(house, 2)
    house.clock.advance(minutes=5)
    operating.pause(house.engine, "*salesforce", actor="pat", reason="maintenance")
    house.pull(SALE)
    house.ns.admin.hide(kind="salesOrder", id=orders[1].id)
    report = house.pull(SALE)
    if tried_again:
        (unread,) = (it for it in house.messages(SALE, orders[1].id) if it.state == "rejected")
        operating.replay(house.engine, [unread.id], actor="pat")
        house.drain()
    house.ns.admin.show(kind="salesOrder", id=orders[1].id)
    house.pull(SALE)
    operating.resume(house.engine, "*salesforce", actor="pat")

    house.drain()

    assert [it.ref.id for it in report.skipped] == [orders[1].id]
    assert set(mirrors(house)) == {it.id for it in orders}


def test_an_order_that_was_mirrored_and_is_hidden_after_an_edit_is_reported(house):
    """Else its mirror would stay as it was, and nobody would know."""
    (order,) = sales(house)
    house.clock.advance(minutes=5)
    house.pull(SALE)
    edit(house, order)
    house.ns.admin.hide(kind="salesOrder", id=order.id)
    house.clock.advance(minutes=5)

    house.pull(SALE)

    assert house.states(SALE, order.id) == ["delivered", "rejected"]


def test_a_locked_invoice_does_not_keep_back_the_other_payments(house):
    (order,) = sales(house)
    invoice = house.ns.admin.bill(kind="salesOrder", id=order.id)
    customer = order.fields["entity"].id
    house.ns.admin.pay(customer, "10.00", {invoice.id: "10.00"})
    house.ns.admin.pay(customer, "7.00")
    house.ns.admin.hide(kind="invoice", id=invoice.id)
    house.clock.advance(minutes=5)

    report = house.pull("remittance")

    assert report.stored == 2
    assert [(it.ref.kind, it.ref.id) for it in report.skipped] == [("invoice", invoice.id)]


# --- deletions


def test_a_deleted_order_stays_and_says_so(house):
    orders = sales(house, 2)
    house.clock.advance(minutes=5)
    house.pull(SALE)
    house.ns.admin.delete(kind="salesOrder", id=orders[1].id)
    house.clock.advance(minutes=5)

    report = house.pull(SALE)

    assert report.deleted == 1
    assert "1 deleted" in report.sentence()
    rows = mirrors(house)
    assert rows[orders[1].id]["Status__c"] == "Deleted in NetSuite"
    assert rows[orders[1].id].get("NetSuite_Url__c") is None
    assert rows[orders[0].id]["Status__c"] != "Deleted in NetSuite"


def test_a_deletion_is_told_once(house):
    orders = sales(house, 2)
    house.clock.advance(minutes=5)
    house.pull(SALE)
    house.ns.admin.delete(kind="salesOrder", id=orders[1].id)
    house.clock.advance(minutes=5)
    house.pull(SALE)

    report = house.pull(SALE)

    assert report.deleted == 0
    assert house.states(SALE, orders[1].id) == ["delivered", "delivered"]


def test_an_order_that_was_never_ours_may_be_deleted_without_a_word(house):
    orders = sales(house, 2)
    house.ns.admin.delete(kind="salesOrder", id=orders[1].id)
    house.clock.advance(minutes=5)

    assert house.pull(SALE).deleted == 0


def test_an_order_deleted_in_the_second_of_its_last_edit_is_deleted(house):
    orders = sales(house, 2)
    house.clock.advance(minutes=5)
    house.pull(SALE)
    edit(house, orders[1])
    house.ns.admin.delete(kind="salesOrder", id=orders[1].id)
    house.clock.advance(minutes=5)

    house.pull(SALE)

    assert mirrors(house)[orders[1].id]["Status__c"] == "Deleted in NetSuite"


def test_a_deleted_payment_gives_the_application_its_balance_back(house):
    (order,) = sales(house)
    oven = order.external_id.removeprefix("sf-so-")
    invoice = house.ns.admin.bill(kind="salesOrder", id=order.id)
    payment = house.ns.admin.pay(order.fields["entity"].id, "25.00", {invoice.id: "25.00"})
    house.clock.advance(minutes=5)
    house.pull("remittance")
    before = Decimal(str(house.sf.row(oven)["Remaining_Balance__c"]))
    house.ns.admin.delete(kind="customerPayment", id=payment.id)
    house.clock.advance(minutes=5)

    house.pull("remittance")

    (row,) = house.sf.rows("Remittance__c")
    assert before == Decimal("64975.00")
    assert (row["Amount__c"], row["Reversed__c"], row["Status__c"]) == (0, True, "Deleted in NetSuite")
    assert Decimal(str(house.sf.row(oven)["Remaining_Balance__c"])) == Decimal("65000.00")
