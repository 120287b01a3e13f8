"""The save procedure: relations, roll-ups, fee lines, threads."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest

from bridge.sandbox.salesforce import Refused


@pytest.fixture
def deal(fake):
    """An Account and its Application."""
    account = fake.insert("Account", Name="Harbor")
    values = {"Name": "H", "StageName": "New", "CloseDate": "2026-12-01", "AccountId": account}
    return account, fake.insert("Opportunity", **values)


def test_upserts_of_one_key_at_once_make_one_record(fake, client):
    """The unique external id is what makes a repeated write safe."""
    path = "sobjects/NetSuite_Order__c/NetSuite_Key__c/salesOrder-1"
    threads = [threading.Thread(target=client.patch, args=(path, {"Name": "SO1"})) for _ in range(20)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert len(fake.rows("NetSuite_Order__c")) == 1


def test_callouts_in_the_background_are_awaited_by_drain(fake, listener):
    """Asynchronous Apex runs after the save has answered."""
    fake.callouts.inline = False

    ids = [fake.insert("Account", Name=f"A{n}") for n in range(20)]
    fake.drain()

    assert len(listener.calls) == 20
    assert {fake.row(one)["NetSuite_Status__c"] for one in ids} == {"delivered"}


def test_amount_is_the_sum_of_the_lines_and_cannot_be_set_beside_them(fake, deal):
    """Object Reference, "Opportunity.Amount": with products an update is ignored, not refused."""
    _, application = deal
    fake.update(application, Amount=5)
    alone = fake.row(application)["Amount"]
    first = fake.add_fee(application, "Wire Fee", "25.00")
    fake.add_fee(application, "Legal Fee", "100.10", quantity=2)
    fake.update(application, Amount=5)
    summed = fake.row(application)["Amount"]
    fake.delete(first)

    assert (alone, summed) == (Decimal("5.00"), Decimal("225.20"))
    assert fake.row(application)["Amount"] == Decimal("200.20")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"PricebookEntryId": None}, "REQUIRED_FIELD_MISSING"),
        ({"PricebookEntryId": "01u5e0000099999"}, "INVALID_CROSS_REFERENCE_KEY"),
        ({"UnitPrice": None}, "REQUIRED_FIELD_MISSING"),
        ({"TotalPrice": 5}, "FIELD_INTEGRITY_EXCEPTION"),
        ({"Quantity": 0}, "FIELD_INTEGRITY_EXCEPTION"),
        ({"Fee_Type__c": "Nonsense Fee"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
    ],
)
def test_a_line_needs_a_price_book_entry_and_one_price(fake, deal, change, code):
    """Object Reference, "OpportunityLineItem"."""
    values = {"OpportunityId": deal[1], "PricebookEntryId": fake.people.entries["Wire Fee"], "Quantity": 1}
    values |= {"UnitPrice": 25, "Fee_Type__c": "Wire Fee"} | change

    with pytest.raises(Refused) as caught:
        fake.insert("OpportunityLineItem", **values)

    assert caught.value.code == code


def test_a_count_follows_its_children_and_its_filter(fake, deal):
    """Roll-up summary fields; a lost child counts no more."""
    account, application = deal
    counts = []
    for change in ({"Funding_Accepted__c": True}, {"StageName": "Approved"}, {"StageName": "Funded"}):
        fake.update(application, **change)
        counts.append(int(fake.row(account)["Approved_Applications__c"]))
    fake.delete(application)

    assert counts == [0, 1, 1]
    assert fake.row(account)["Approved_Applications__c"] == 0


def test_a_roll_up_by_the_integration_user_does_not_move_the_stamp(fake, deal, clock):
    """Display changes of a roll-up do not bump SystemModstamp; only a trigger's own write does."""
    account, application = deal
    fake.update(application, Funding_Accepted__c=True)
    before = fake.row(account)
    clock.move(minutes=1)

    fake.update(application, user=fake.integration_user, StageName="Approved")

    after = fake.row(account)
    assert after["Approved_Applications__c"] == 1
    assert after["SystemModstamp"] == before["SystemModstamp"]
    assert after["Bridge_Version__c"] == before["Bridge_Version__c"]


def test_deleting_an_account_takes_its_children_without_triggers(fake, deal, listener):
    """Apex Developer Guide, "Triggers": cascading deletes fire nothing."""
    account, application = deal
    listener.calls.clear()

    fake.delete(account)

    assert fake.row(application) is None
    assert listener.paths == ["/v1/push/Account"]


def test_a_detail_goes_with_its_master_and_a_lookup_is_cleared(fake, deal, client):
    """Object Relationships: master-detail cascades, an optional lookup is set to null."""
    _, application = deal
    order = client.post("sobjects/NetSuite_Order__c", {"Name": "SO1", "Application__c": application}).json()["id"]
    line = client.post("sobjects/NetSuite_Order_Line__c", {"Order__c": order}).json()["id"]

    fake.delete(application)
    cleared = fake.row(order).get("Application__c")
    fake.delete(order, user=fake.integration_user)

    assert cleared is None
    assert fake.row(line) is None


def test_a_remittance_numbers_itself(client, fake):
    """Auto-number fields count up and cannot be written."""
    for key in ("a", "b"):
        client.patch(f"sobjects/Remittance__c/NetSuite_Key__c/{key}", {"Amount__c": 1})

    assert [row["Name"] for row in fake.rows("Remittance__c")] == ["REM-000001", "REM-000002"]


def test_an_undo_leaves_no_trace_in_the_indexes(fake, seller):
    """A refused record must not keep its key or its parent."""
    records = [{"attributes": {"type": "Account"}, "Name": "a"}, {"attributes": {"type": "Account"}}]
    seller.post("composite/sobjects", {"allOrNone": True, "records": records})

    assert fake.query("SELECT Id FROM Account WHERE SystemModstamp >= 2026-01-01T00:00:00Z") == []
