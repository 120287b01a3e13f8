"""Reading: by id and key, children and parents, windows, deletions, totals; against the fake org."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from bridge.errors import Deferred, Misconfigured
from bridge.ports import Record, Ref

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def acme(fake):
    return fake.insert("Account", Name="Acme")


@pytest.fixture
def deal(fake, acme):
    return fake.insert(
        "Opportunity",
        Name="Deal",
        AccountId=acme,
        StageName="New",
        CloseDate="2026-12-01",
        Funded_Amount__c="12345678901234.56",
    )


def mirror(fake, key, **values):
    return fake.insert("NetSuite_Order__c", user=fake.integration_user, NetSuite_Key__c=key, Name=key, **values)


def test_records_come_in_the_order_asked_and_none_for_what_is_not_there(fake, salesforce, acme, deal):
    refs = [
        Ref("Opportunity", id=deal),
        Ref("Account", id="001000000000001"),
        Ref("Account", id=acme),
        Ref("Account", id="?"),
    ]

    found = salesforce.get(refs, ("Name",))

    assert [it and it.fields["Name"] for it in found] == ["Deal", None, "Acme", None]
    assert found[2].ref == Ref("Account", id=acme)


def test_an_id_of_15_characters_finds_the_record(salesforce, acme):
    assert salesforce.get([Ref("Account", id=acme[:15])], ("Name",))[0].ref.id == acme


def test_a_mirror_is_found_by_its_key_whatever_the_case(fake, salesforce):
    made = mirror(fake, "salesOrder-4711")

    found = salesforce.get([Ref("NetSuite_Order__c", external_id="SALESORDER-4711")], ("Name",))

    assert found[0].ref == Ref("NetSuite_Order__c", id=made, external_id="salesOrder-4711")


def test_a_key_full_of_signs_is_only_a_key(fake, salesforce):
    key = "a'b\\c\"d %&+#/?ü€ OR Name != ''"
    made = mirror(fake, key)

    assert salesforce.get([Ref("NetSuite_Order__c", external_id=key)], ("Name",))[0].ref.id == made
    assert salesforce.get([Ref("NetSuite_Order__c", external_id="' OR Name != '")], ("Name",)) == [None]


def test_values_are_plain_and_exact(salesforce, deal, clock):
    record = salesforce.get(
        [Ref("Opportunity", id=deal)], ("Funded_Amount__c", "CloseDate", "Funding_Accepted__c", "Broker__c")
    )[0]

    assert record.fields["Funded_Amount__c"] == Decimal("12345678901234.56")
    assert record.fields["CloseDate"] == date(2026, 12, 1)
    assert record.fields["Funding_Accepted__c"] is False
    assert record.fields["Broker__c"] is None
    assert "attributes" not in record.fields


def test_id_stamp_and_version_are_always_read(salesforce, deal, clock):
    record = salesforce.get([Ref("Opportunity", id=deal)], ("Name",))[0]

    assert record.modified_at == clock()
    assert record.fields["Id"] == deal
    assert record.fields["Bridge_Version__c"] >= 1
    assert isinstance(record.fields["Bridge_Version__c"], int)


def test_fee_lines_come_with_the_application_in_the_order_of_their_ids(fake, salesforce, deal):
    first = fake.add_fee(deal, "Origination Fee", "500.25")
    second = fake.add_fee(deal, "Wire Fee", 30, quantity=2)

    record = salesforce.get(
        [Ref("Opportunity", id=deal)], ("Name", "Lines.Fee_Type__c", "Lines.UnitPrice", "Lines.Quantity")
    )[0]

    assert record.fields["Lines"] == [
        {"Id": first, "Fee_Type__c": "Origination Fee", "UnitPrice": Decimal("500.25"), "Quantity": Decimal(1)},
        {"Id": second, "Fee_Type__c": "Wire Fee", "UnitPrice": Decimal(30), "Quantity": Decimal(2)},
    ]


def test_an_application_without_lines_has_an_empty_list(salesforce, deal):
    assert salesforce.get([Ref("Opportunity", id=deal)], ("Lines.UnitPrice",))[0].fields["Lines"] == []


def test_a_parents_field_comes_under_its_path(fake, salesforce, deal):
    record = salesforce.get([Ref("Opportunity", id=deal)], ("Account.Name", "Broker__r.Name"))[0]

    assert record.fields["Account.Name"] == "Acme"
    assert record.fields["Broker__r.Name"] is None


def test_without_fields_everything_is_read(salesforce, deal):
    fields = salesforce.get([Ref("Opportunity", id=deal)])[0].fields

    assert {"Name", "StageName", "Funded_Amount__c", "NetSuite_Status__c"} <= set(fields)


def test_a_field_that_is_not_there_is_misconfigured_and_named(salesforce, deal):
    with pytest.raises(Misconfigured) as caught:
        salesforce.get([Ref("Opportunity", id=deal)], ("Name", "Nope__c"))

    assert caught.value.field == "Nope__c"
    assert caught.value.code == "INSUFFICIENT_PERMISSION"


@pytest.mark.parametrize(
    "name", ["Name FROM User", "(SELECT Id FROM Contacts)", "Account.Nope", "Nope__r.Name", "Lines.Nope"]
)
def test_nothing_but_a_described_name_enters_a_query(salesforce, wire, deal, name):
    with pytest.raises(Misconfigured):
        salesforce.get([Ref("Opportunity", id=deal)], (name,))

    assert not wire.paths("/query")


def test_an_object_that_is_not_there_is_misconfigured(salesforce):
    with pytest.raises(Misconfigured):
        salesforce.get([Ref("Nope__c", id="001000000000001")])


def test_the_currency_of_a_single_currency_organisation_is_left_out(salesforce, deal):
    fields = salesforce.get([Ref("Opportunity", id=deal)], ("Name", "CurrencyIsoCode"))[0].fields

    assert "CurrencyIsoCode" not in fields


def test_many_records_are_asked_for_in_queries_that_fit(fake, wire, salesforce):
    keys = [f"salesOrder-{n}-{'x' * 60}" for n in range(450)]
    for key in keys:
        mirror(fake, key)

    found = salesforce.get([Ref("NetSuite_Order__c", external_id=key) for key in keys], ("Name",))

    assert [it.fields["Name"] for it in found] == keys
    queries = wire.paths("/query?")
    assert 3 <= len(queries) <= 10
    assert max(len(it) for it in queries) < 14_000


def test_an_object_is_described_once(wire, salesforce, acme):
    for _ in range(3):
        salesforce.get([Ref("Account", id=acme)], ("Name",))

    assert len(wire.paths("/describe")) == 1


# --- windows ----------------------------------------------------------------------------------------------------------


def test_changed_yields_what_was_saved_in_the_window_oldest_first(fake, salesforce, clock):
    start = clock()
    made = []
    for n in range(4):
        made.append(fake.insert("Account", Name=f"A{n}"))
        clock.at += SECOND

    found = list(salesforce.changed("Account", start + SECOND, start + 3 * SECOND, ("Name",)))

    assert [it.ref.id for it in found] == made[1:3]
    assert [it.modified_at for it in found] == [start + SECOND, start + 2 * SECOND]


def test_the_edges_of_a_window_are_rounded_outwards(fake, salesforce, clock):
    """A stamp has whole seconds; a window that ends within one must still hold it."""
    made = fake.insert("Account", Name="Acme")
    part = timedelta(milliseconds=400)

    found = list(salesforce.changed("Account", clock() + part, clock() + part, ("Name",)))

    assert [it.ref.id for it in found] == [made]


def test_changed_reads_all_pages_and_lines(fake, wire, salesforce, acme, clock):
    fake.rest.page_size = 3
    start = clock() + SECOND
    clock.at = start
    deals = []
    for n in range(8):
        deals.append(fake.insert("Opportunity", Name=f"D{n}", AccountId=acme, StageName="New", CloseDate="2026-12-01"))
        fake.add_fee(deals[-1], "Wire Fee", n + 1)
        clock.at += SECOND
    for n in range(7):
        fake.add_fee(deals[0], "Legal Fee", n + 1)

    found = {
        it.ref.id: it for it in salesforce.changed("Opportunity", start, clock() + SECOND, ("Name", "Lines.UnitPrice"))
    }

    assert set(found) == set(deals)
    assert len(found[deals[0]].fields["Lines"]) == 8
    assert len(wire.paths("/query/")) >= 3


def test_changed_keeps_one_page_in_memory(fake, wire, salesforce, clock):
    fake.rest.page_size = 10
    for n in range(40):
        fake.insert("Account", Name=f"A{n}")
        clock.at += SECOND

    found = salesforce.changed("Account", clock() - HOUR, clock(), ("Name",))
    for _ in range(10):
        next(found)

    assert len(wire.paths("/query/")) == 0


def test_deleted_tells_what_went_and_into_what_it_was_merged(fake, salesforce, acme, clock):
    loser = fake.insert("Account", Name="Loser")
    gone = fake.insert("Account", Name="Gone")
    clock.at += HOUR
    fake.merge(acme, loser)
    fake.delete(gone)

    found = {it.ref.id: it for it in salesforce.deleted("Account", clock(), clock() + SECOND)}

    assert found[loser].merged_into == acme
    assert found[gone].merged_into is None
    assert found[gone].deleted_at == clock()
    assert set(found) == {loser, gone}


def test_an_object_without_merges_can_be_asked_too(fake, salesforce, deal, clock):
    clock.at += HOUR
    fake.delete(deal)

    assert [it.ref.id for it in salesforce.deleted("Opportunity", clock(), clock() + SECOND)] == [deal]


# --- other reads ------------------------------------------------------------------------------------------------------


def test_now_is_the_servers_clock(salesforce, clock):
    clock.at = datetime(2031, 1, 2, 3, 4, 5, tzinfo=UTC)

    assert salesforce.now() == clock.at


def test_an_answer_without_a_readable_date_is_no_clock(script, scripted):
    script.headers = [("Date", "yesterday")]

    with pytest.raises(Deferred):
        scripted.now()


def test_totals_are_exact(fake, salesforce, deal):
    for n, amount in enumerate(("0.10", "0.20", "12345678901234.01")):
        mirror(fake, f"o-{n}", Total__c=amount, Application__c=deal, Record_Type__c="Sales Order")

    rows = list(
        salesforce.query(
            "SELECT Application__c, SUM(Total__c) total, COUNT(Id) n FROM NetSuite_Order__c GROUP BY Application__c"
        )
    )

    assert rows == [{"Application__c": deal, "total": Decimal("12345678901234.31"), "n": 3}]


def test_rows_of_a_free_query_are_flat(fake, salesforce, deal):
    rows = list(salesforce.query("SELECT Name, Account.Name, Owner.Name FROM Opportunity"))

    assert rows[0]["Name"] == "Deal"
    assert rows[0]["Account.Name"] == "Acme"


def test_rows_under_parents_are_listed(fake, salesforce, acme, deal):
    other = fake.insert("Opportunity", Name="Other", AccountId=acme, StageName="New", CloseDate="2026-12-01")
    mine = {mirror(fake, f"o-{n}", Total__c=n, Application__c=deal) for n in range(3)}
    mirror(fake, "o-9", Application__c=other)

    found = salesforce.rows_under("NetSuite_Order__c", "Application__c", [deal, deal[:15]], ("Total__c",))

    assert {it.ref.id for it in found} == mine
    assert {it.fields["Application__c"] for it in found} == {deal}
    assert isinstance(found[0], Record)


# --- answers that cannot be believed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [{"records": []}, {"done": False, "records": []}, {"done": "true", "records": []}, {"done": True}, [], "text", 7,
     {"done": False, "records": [], "nextRecordsUrl": "https://evil.com/services/data/v65.0/query/01g"},
     {"done": False, "records": [], "nextRecordsUrl": "/services/data/v65.0/query/../../../secret"}],
)  # fmt: skip
def test_a_list_whose_end_is_not_proven_is_not_believed(script, scripted, answer):
    script.on("/query", 200, answer)

    with pytest.raises(Deferred):
        list(scripted.query("SELECT Id FROM Account"))


@pytest.mark.parametrize("body", [b"", b"{", b"<html>down</html>", b"\xff\xfe", b"[" * 100_000])
def test_an_unreadable_answer_to_a_question_is_asked_again_later(script, scripted, body):
    script.on("/query", 200, body)

    with pytest.raises(Deferred):
        list(scripted.query("SELECT Id FROM Account"))


def test_a_forgotten_cursor_is_a_reason_to_start_again(fake, salesforce, clock):
    fake.rest.page_size = 2
    for n in range(6):
        fake.insert("Account", Name=f"A{n}")
    clock.at += SECOND
    found = salesforce.changed("Account", clock() - HOUR, clock(), ("Name",))
    next(found)
    fake.rest._cursors.clear()

    with pytest.raises(Deferred):
        list(found)
