"""The main job: what is saved in Salesforce stands in NetSuite once, and what happens there comes back."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from bridge.ledger import finding
from bridge.ports import Ref

WRITE_BACK = ("NetSuite_Status__c", "NetSuite_Error__c", "NetSuite_Error_Code__c", "NetSuite_Error_Owner__c")


def shown(house, record_id):
    """What a person sees of the bridge on a Salesforce record."""
    row = house.sf.row(record_id)
    return [row.get(name) for name in WRITE_BACK]


# --- accounts and contacts


def test_a_saved_account_becomes_one_customer(house):
    """F-01: at once, and the caller gets its id."""
    acme = house.account("Acme", Phone="206 555 0100", Payment_Terms__c="Net 30")

    standing = house.push_one(acme)

    (customer,) = house.made("customer")
    assert standing.state == "delivered"
    assert [(it.record, it.id) for it in standing.made] == [("customer", customer.id)]
    assert customer.external_id == f"sf-cus-{acme}"
    assert customer.fields["companyName"] == "Acme"


def test_a_changed_account_is_updated_in_place(house):
    acme = house.account("Acme")
    house.push_one(acme)
    house.sf.update(acme, Phone="206 555 0199")

    house.push_one(acme)

    (customer,) = house.made("customer")
    assert customer.fields["phone"] == "206 555 0199"


def test_a_save_without_a_mapped_change_makes_no_call(house):
    """F-71."""
    acme = house.account("Acme")
    house.push_one(acme)
    before = len(house.ns.calls)
    house.sf.send_again(acme)

    standing = house.push_one(acme)

    assert standing.state == "unchanged"
    assert len(house.ns.calls) == before


def test_an_emptied_field_is_emptied_in_netsuite(house):
    acme = house.account("Acme", Phone="206 555 0100")
    house.push_one(acme)
    house.sf.update(acme, Phone=None)

    house.push_one(acme)

    assert "phone" not in house.made("customer")[0].fields


def test_a_contact_before_its_account_brings_the_account_first(house):
    """F-02: the parent is fetched from Salesforce, and pushed once."""
    acme = house.account("Acme")
    jo = house.sf.insert("Contact", FirstName="Jo", LastName="Doe", AccountId=acme)

    standing = house.push_one(jo)

    (customer,), (contact,) = house.made("customer"), house.made("contact")
    assert standing.state == "delivered"
    assert contact.fields["company"] == customer.link
    assert house.states("customer", acme) == ["delivered"]


def test_a_contact_saved_again_after_its_parent_came_in_the_same_call_is_unchanged(house):
    """What was referred to by our id then is referred to by NetSuite's now; that is no change."""
    acme = house.account("Acme")
    jo = house.sf.insert("Contact", FirstName="Jo", LastName="Doe", AccountId=acme)
    house.receive(acme, jo)
    house.drain()
    house.sf.send_again(jo)
    before = house.writes()

    standing = house.push_one(jo)

    assert standing.state == "unchanged"
    assert house.writes() == before


def test_a_subsidiary_of_an_account_is_a_customer_below_its_parent(house):
    """The parent lies in another lane: it is a wait, not a nested lease."""
    group = house.account("Acme Group")
    acme = house.account("Acme", ParentId=group)

    standing = house.push_one(acme)

    parent, child = house.made("customer")
    assert standing.state == "delivered"
    assert child.fields["parent"] == parent.link


def test_three_generations_are_delivered_while_the_caller_waits(house):
    """What a record waits for may itself wait in a third lane."""
    top = house.account("Acme World")
    group = house.account("Acme Group", ParentId=top)
    acme = house.account("Acme", ParentId=group)
    jo = house.sf.insert("Contact", FirstName="Jo", LastName="Doe", AccountId=acme)

    standing = house.push_one(jo)

    assert standing.state == "delivered"
    assert [it.fields["companyName"] for it in house.made("customer")] == ["Acme World", "Acme Group", "Acme"]


# --- applications


@pytest.mark.parametrize("stage", ["New", "Under Review", "Underwriting", "Declined"])
def test_an_application_that_is_not_approved_reaches_nothing(house, stage):
    """F-14, F-26."""
    acme = house.account("Acme")
    oven = house.application(acme, StageName=stage)

    standing = house.push_one(oven)

    assert standing.state == "held"
    assert standing.error.message.startswith(f"Not sent: Stage is {stage}, needs Approved or Funded")
    assert house.ns.calls == []
    assert {row.action for row in house.audit(source_id=oven)} == {"received", "held"}


def test_a_record_that_is_saved_again_while_it_is_held_counts_once(house):
    oven = house.application(house.account("Acme"), StageName="New")
    for name in ("Oven", "Big oven", "Bigger oven"):
        house.sf.update(oven, Name=name)
        house.push_one(oven)

    with house.ledger.read() as connection:
        counted = finding.counts(connection, ["held"])["held"]
        listed = finding.page(connection, finding.Wanted(states=("held",))).rows

    assert counted == len(listed) == len({it.sync for it in listed})
    assert {it.source_id for it in listed} == {oven}


def test_an_approved_application_without_accepted_funding_reaches_nothing(house):
    oven = house.application(house.account("Acme"), Funding_Accepted__c=False)

    standing = house.push_one(oven)

    assert standing.error.message == "Not sent: Funding Accepted is not ticked."
    assert house.writes() == 0


def test_an_approved_application_becomes_two_orders_and_a_commission(house):
    """F-03 to F-06, F-16, F-18: each with its own entity, lines and link."""
    acme, broker = house.account("Acme"), house.account("Wayfinder")
    oven = house.application(acme, ("Origination Fee", "1000.00"), ("Wire Fee", "25.50"), Broker__c=broker,
                             Commission_Percent__c="2.00", Commission_Due__c="2026-12-20")  # fmt: skip

    standing = house.push_one(oven)

    assert standing.state == "delivered", standing.error
    sale, purchase = house.there("salesOrder", f"sf-so-{oven}"), house.there("purchaseOrder", f"sf-po-{oven}")
    commission = house.there("customrecord_broker_commission", f"sf-bc-{oven}")
    customer = house.there("customer", f"sf-cus-{acme}")
    vendor, owed = house.there("vendor", f"sf-ven-{acme}"), house.there("vendor", f"sf-ven-{broker}")
    assert sale.fields["entity"].id == customer.ref.id
    assert [(it["item"].name, it["amount"]) for it in sale.fields["itemList"]] == [
        ("Origination Fee", Decimal("1000.00")),
        ("Wire Fee", Decimal("25.50")),
    ]
    assert purchase.fields["entity"].id == vendor.ref.id
    assert [(it["item"].name, it["amount"]) for it in purchase.fields["itemList"]] == [
        ("Purchase of Receivables", Decimal("50000.00")),
        ("Origination Fee Withheld", Decimal("-1000.00")),
        ("Wire Fee Withheld", Decimal("-25.50")),
    ]
    assert commission.fields["custrecord_bc_broker"].id == owed.ref.id
    assert commission.fields["custrecord_bc_amount"] == Decimal("1000.00")
    assert commission.fields["custrecord_bc_order"].id == sale.ref.id
    assert vendor.fields["companyName"] == "Acme (Vendor)"


def test_terms_of_the_funding_stand_on_both_orders(house):
    """F-138."""
    oven = house.application(house.account("Acme"), Receivables_Percent__c="10.00")

    house.push_one(oven)

    words = "Acme oven | funded 50000 | purchased 65000 | 10 % of receivables"
    assert house.there("salesOrder", f"sf-so-{oven}").fields["memo"] == words
    assert house.there("purchaseOrder", f"sf-po-{oven}").fields["memo"] == words


def test_an_application_without_a_broker_owes_no_commission(house):
    oven = house.application(house.account("Acme"))

    standing = house.push_one(oven)

    assert standing.state == "delivered"
    assert house.states("broker_commission", oven) == ["held"]
    assert house.made("customRecord") == []


def test_a_commission_may_be_a_vendor_bill(other_site):
    """F-16, the shipped alternative; its line keeps its key."""
    house = other_site(commission="vendor_bill")
    acme, broker = house.account("Acme"), house.account("Wayfinder")
    oven = house.application(acme, Broker__c=broker, Commission_Amount__c="750.25")
    house.push_one(oven)
    first = house.there("vendorBill", f"sf-bc-{oven}")
    house.sf.update(oven, Commission_Amount__c="800.00")

    house.push_one(oven)

    second = house.there("vendorBill", f"sf-bc-{oven}")
    assert first.fields["expenseList"][0]["amount"] == Decimal("750.25")
    assert second.fields["expenseList"][0]["amount"] == Decimal("800.00")
    assert [it["line"] for it in second.fields["expenseList"]] == [it["line"] for it in first.fields["expenseList"]]
    assert house.made("customRecord") == []


def test_a_commission_follows_its_rate_and_stays_one(house):
    """F-17."""
    acme, broker = house.account("Acme"), house.account("Wayfinder")
    oven = house.application(acme, Broker__c=broker, Commission_Percent__c="2.00")
    house.push_one(oven)
    for _ in range(3):
        house.sf.send_again(oven)
        house.push_one(oven)
    house.sf.update(oven, Commission_Percent__c="2.50")

    house.push_one(oven)

    assert len(house.made("customRecord")) == 1
    commission = house.there("customrecord_broker_commission", f"sf-bc-{oven}")
    assert commission.fields["custrecord_bc_amount"] == Decimal("1250.00")


def test_a_removed_broker_inactivates_the_commission_and_a_new_one_revives_it(house):
    """F-17: voided, not deleted."""
    acme, broker = house.account("Acme"), house.account("Wayfinder")
    oven = house.application(acme, Broker__c=broker, Commission_Percent__c="2.00")
    house.push_one(oven)
    house.sf.update(oven, Broker__c=None)

    house.push_one(oven)
    without = house.there("customrecord_broker_commission", f"sf-bc-{oven}")
    house.sf.update(oven, Broker__c=broker)
    house.push_one(oven)
    again = house.there("customrecord_broker_commission", f"sf-bc-{oven}")

    assert without.fields["isInactive"] is True
    assert again.fields["isInactive"] is False
    assert len(house.made("customRecord")) == 1


def test_an_application_that_leaves_the_gate_is_held_and_says_what_stays(house):
    """F-15: the orders are not silently orphaned, although the commission was inactivated."""
    acme, broker = house.account("Acme"), house.account("Wayfinder")
    oven = house.application(acme, Broker__c=broker, Commission_Percent__c="2.00")
    house.push_one(oven)
    number = house.there("salesOrder", f"sf-so-{oven}").fields["tranId"]
    house.sf.update(oven, StageName="Declined")

    standing = house.push_one(oven)

    assert standing.state == "held"
    assert standing.error.code == "GATE_CLOSED_AFTER"
    assert standing.error.who == "accounting"
    assert f"Sales order {number} stays in NetSuite." in standing.error.message
    assert house.there("customrecord_broker_commission", f"sf-bc-{oven}").fields["isInactive"] is True


def test_a_field_that_was_not_sent_closes_nothing(house):
    """An absent key is not an emptied one: a callout without the broker does not void a commission."""
    acme, broker = house.account("Acme"), house.account("Wayfinder")
    oven = house.application(acme, Broker__c=broker, Commission_Percent__c="2.00")
    house.push_one(oven)
    house.sf.send_again(oven)
    whole = house.read(oven)
    part = {name: value for name, value in whole.fields.items() if name != "Broker__c"}

    house.engine.receive([house.received(whole, part)], origin="callout", correlation="test")
    house.drain()

    assert house.there("customrecord_broker_commission", f"sf-bc-{oven}").fields["isInactive"] is False
    assert "Broker was not sent" in house.message("broker_commission", oven).reason


def test_a_fee_without_an_item_is_refused_by_name(other_site):
    """F-18: before anything is sent for that order."""
    house = other_site(fees={"Wire Fee": {"sale_item": "Wire Fee", "purchase_item": None}})
    oven = house.application(house.account("Acme"), ("Wire Fee", "25.00"), ("Legal Fee", "10.00"))

    standing = house.push_one(oven)

    assert standing.state == "rejected"
    assert (standing.error.code, standing.error.who) == ("ITEM_UNKNOWN", "accounting")
    assert standing.error.message == "Fee 'Legal Fee' has no NetSuite item."
    assert house.made("salesOrder") == []


# --- lines


def test_a_changed_fee_changes_exactly_that_line(house):
    """F-04: the others keep their keys, their amounts and their place."""
    oven = house.application(house.account("Acme"), ("Origination Fee", "1000.00"), ("Wire Fee", "25.00"),
                             ("Legal Fee", "300.00"))  # fmt: skip
    house.push_one(oven)
    before = house.there("salesOrder", f"sf-so-{oven}").fields["itemList"]
    fee = house.sf.query(f"SELECT Id FROM OpportunityLineItem WHERE OpportunityId = '{oven}' AND UnitPrice = 25")[0]
    house.sf.update(fee["Id"], UnitPrice="40.00")

    house.push_one(oven)

    after = house.there("salesOrder", f"sf-so-{oven}").fields["itemList"]
    assert [it["line"] for it in after] == [it["line"] for it in before]
    assert [it["lineUniqueKey"] for it in after] == [it["lineUniqueKey"] for it in before]
    assert [it["amount"] for it in after] == [Decimal(1000), Decimal(40), Decimal(300)]


def test_an_edited_a_removed_and_an_added_fee_end_as_they_stand_in_salesforce(house):
    """F-04: no duplicates, no orphans, and the line that stays is the same line; on both orders."""
    oven = house.application(house.account("Acme"), ("Origination Fee", "1000.00"), ("Wire Fee", "25.00"))
    house.push_one(oven)
    before = {it["item"].name: it["line"] for it in house.there("salesOrder", f"sf-so-{oven}").fields["itemList"]}
    rows = {it["Fee_Type__c"]: it["Id"] for it in house.sf.rows("OpportunityLineItem")}
    house.sf.update(rows["Origination Fee"], UnitPrice="900.00")
    house.sf.delete(rows["Wire Fee"])
    house.sf.add_fee(oven, "Legal Fee", "10.00")

    house.push_one(oven)

    sale = house.there("salesOrder", f"sf-so-{oven}").fields["itemList"]
    purchase = house.there("purchaseOrder", f"sf-po-{oven}").fields["itemList"]
    assert {it["item"].name: it["amount"] for it in sale} == {"Origination Fee": Decimal(900), "Legal Fee": Decimal(10)}
    assert [it["amount"] for it in purchase] == [Decimal(50000), Decimal(-900), Decimal(-10)]
    assert {it["item"].name: it["line"] for it in sale}["Origination Fee"] == before["Origination Fee"]


def test_a_fee_of_a_billed_order_is_refused_in_a_plain_sentence_and_the_order_stays(house):
    """F-34: nothing drifts unseen; accounting knows why, Salesforce shows it, and the old amounts stand."""
    acme = house.account()
    oven = house.application(acme, ("Origination Fee", "1000.00"))
    house.receive(acme, oven, write_back=True)
    house.drain()
    house.ns.admin.bill(kind="salesOrder", externalId=f"sf-so-{oven}")
    house.sf.update(house.sf.rows("OpportunityLineItem")[0]["Id"], UnitPrice="900.00")

    house.receive(oven, write_back=True)
    house.drain()

    refused = house.message("sales_order", oven)
    assert (refused.state, refused.code, refused.who) == ("rejected", "CANT_UPDATE_LINKED_TRANS_LINES", "accounting")
    assert refused.reason.startswith("Lines that are already billed or received cannot change.")
    assert shown(house, oven)[:2] == ["rejected", refused.reason]
    assert [it["amount"] for it in house.there("salesOrder", f"sf-so-{oven}").fields["itemList"]] == [1000]


def test_line_keys_that_were_never_read_are_read_before_the_next_change(house):
    """The order was made, but the look at it failed: its lines must still not be made anew."""
    oven = house.application(house.account("Acme"), ("Origination Fee", "1000.00"), ("Wire Fee", "25.00"))
    house.ns.faults.add("throttle", operation="getList", count=50)
    house.push_one(oven)
    house.ns.faults.clear()
    before = house.there("salesOrder", f"sf-so-{oven}").fields["itemList"]
    assert house.links()["sales_order", oven].number is None
    house.sf.update(oven, Name="Acme second oven")

    house.push_one(oven)

    after = house.there("salesOrder", f"sf-so-{oven}").fields["itemList"]
    assert [it["lineUniqueKey"] for it in after] == [it["lineUniqueKey"] for it in before]
    assert house.links()["sales_order", oven].number == house.there("salesOrder", f"sf-so-{oven}").fields["tranId"]


# --- back


def test_ids_numbers_and_state_stand_on_the_application_afterwards(house):
    oven = house.application(house.account("Acme"))
    house.receive(oven, write_back=True)

    house.drain()

    row = house.sf.row(oven)
    sale = house.there("salesOrder", f"sf-so-{oven}")
    assert shown(house, oven) == ["delivered", None, None, None]
    assert row["NetSuite_Sales_Order_Id__c"] == sale.ref.id
    assert row["NetSuite_Sales_Order_Number__c"] == sale.fields["tranId"]
    assert row["NetSuite_Url__c"] == house.netsuite.url(sale.ref)


def test_an_error_stands_on_the_record_and_goes_with_the_next_good_save(house):
    acme = house.account("Acme")
    house.ns.faults.add("reject", operation="upsert*", code="USER_ERROR", message="Please enter a value.")
    house.receive(acme, write_back=True)
    house.drain()
    before = shown(house, acme)
    house.sf.update(acme, Phone="206 555 0100")
    house.receive(acme, write_back=True)

    house.drain()

    assert before[0] == "rejected"
    assert before[2] == "USER_ERROR"
    assert shown(house, acme) == ["delivered", None, None, None]


def test_writing_back_causes_no_push(house):
    """F-83: the bridge's own user does not raise the version, and the sweep finds nothing new."""
    from bridge.sweep import sweep

    acme = house.account("Acme")
    house.receive(acme, write_back=True)
    house.drain()
    before = (len(house.messages()), len(house.ns.calls))

    house.clock.advance(minutes=1)
    report = sweep(house.engine)
    house.drain()

    assert report.late == 0
    assert (len(house.messages()), len(house.ns.calls)) == before


def test_a_record_is_written_back_once(house):
    acme = house.account("Acme")
    house.receive(acme, write_back=True)
    house.drain()

    assert house.states("status", acme) == ["delivered"]


# --- pulls


def paid(house, oven, amount, *, applied=None, billed=None):
    """Accounting bills the sales order and receives a payment on it."""
    invoice = house.ns.admin.bill(kind="salesOrder", externalId=f"sf-so-{oven}", amount=billed)
    customer = house.there("salesOrder", f"sf-so-{oven}").fields["entity"].id
    return invoice, house.ns.admin.pay(customer, amount, {invoice.id: applied or amount})


def test_an_order_comes_back_with_its_status_and_lines(house):
    """F-07, F-08."""
    oven = house.application(house.account("Acme"), ("Wire Fee", "25.00"))
    house.push_one(oven)
    sale = house.there("salesOrder", f"sf-so-{oven}")
    house.ns.admin.approve(kind="salesOrder", externalId=f"sf-so-{oven}")
    house.clock.advance(minutes=5)

    house.pull("sales_order_mirror")
    house.pull("purchase_order_mirror")

    (order,) = [it for it in house.sf.rows("NetSuite_Order__c") if it["Record_Type__c"] == "Sales Order"]
    assert order["NetSuite_Key__c"] == f"salesOrder-{sale.ref.id}"
    assert order["Application__c"] == oven
    assert order["Status__c"] == house.there("salesOrder", f"sf-so-{oven}").fields["status"]
    assert Decimal(str(order["Total__c"])) == Decimal("25.00")
    lines = [it for it in house.sf.rows("NetSuite_Order_Line__c") if it["Order__c"] == order["Id"]]
    assert [(it["Item__c"], Decimal(str(it["Amount__c"]))) for it in lines] == [("Wire Fee", Decimal("25.00"))]
    assert len(house.sf.rows("NetSuite_Order__c")) == 2


def test_a_line_that_left_the_order_is_zero_in_its_mirror(house):
    """Else the lines in Salesforce would add up to more than the order."""
    oven = house.application(house.account("Acme"), ("Wire Fee", "25.00"), ("Legal Fee", "10.00"))
    house.push_one(oven)
    house.clock.advance(minutes=5)
    house.pull("sales_order_mirror")
    rows = {it["Fee_Type__c"]: it["Id"] for it in house.sf.rows("OpportunityLineItem")}
    house.sf.delete(rows["Legal Fee"])
    house.push_one(oven)
    house.clock.advance(minutes=5)

    house.pull("sales_order_mirror")

    (order,) = house.sf.rows("NetSuite_Order__c")
    amounts = {it["Item__c"]: Decimal(str(it["Amount__c"])) for it in house.sf.rows("NetSuite_Order_Line__c")}
    assert amounts == {"Wire Fee": Decimal("25.00"), "Legal Fee": Decimal(0)}
    assert sum(amounts.values()) == Decimal(str(order["Total__c"]))


def test_a_second_pull_writes_nothing(house):
    """F-09: rows are messages with a version."""
    oven = house.application(house.account("Acme"))
    house.push_one(oven)
    paid(house, oven, "25.00")
    house.clock.advance(minutes=5)
    for name in house.syncs.pulls:
        house.pull(name)
    before, usage = len(house.messages()), house.sf.api_usage

    house.clock.advance(minutes=5)
    reports = [house.pull(name) for name in house.syncs.pulls]

    assert not any(it.stored for it in reports)
    assert len(house.messages()) == before
    assert house.sf.api_usage == usage


def test_a_payment_becomes_a_remittance_with_its_order_amount_and_balance(house):
    """F-09, F-138."""
    oven = house.application(house.account("Acme"), ("Origination Fee", "1000.00"))
    house.push_one(oven)
    invoice, payment = paid(house, oven, "400.25")
    house.clock.advance(minutes=5)
    house.pull("sales_order_mirror")

    house.pull("remittance")

    (row,) = house.sf.rows("Remittance__c")
    (order,) = house.sf.rows("NetSuite_Order__c")
    assert row["NetSuite_Key__c"] == f"customerPayment-{payment.id}-invoice-{invoice.id}"
    assert (row["Application__c"], row["Order__c"]) == (oven, order["Id"])
    assert Decimal(str(row["Amount__c"])) == Decimal("400.25")
    assert row["Currency__c"] in ("USD", "US Dollar")
    assert str(row["Payment_Date__c"]) == str(date(2026, 11, 20))
    assert Decimal(str(row["Running_Balance__c"])) == Decimal("64599.75")
    application = house.sf.row(oven)
    assert Decimal(str(application["Remitted_Amount__c"])) == Decimal("400.25")
    assert Decimal(str(application["Remaining_Balance__c"])) == Decimal("64599.75")


def test_a_remittance_read_before_its_order_is_linked_once_the_order_is_there(house):
    oven = house.application(house.account("Acme"), ("Origination Fee", "1000.00"))
    house.push_one(oven)
    paid(house, oven, "400.25")
    house.clock.advance(minutes=5)
    house.pull("remittance")
    before = house.sf.rows("Remittance__c")[0].get("Order__c")

    house.pull("sales_order_mirror")

    assert before is None
    assert house.sf.rows("Remittance__c")[0]["Order__c"] == house.sf.rows("NetSuite_Order__c")[0]["Id"]


def test_an_unapplied_remainder_is_a_row_of_its_own(house):
    oven = house.application(house.account("Acme"), ("Origination Fee", "1000.00"))
    house.push_one(oven)
    paid(house, oven, "1500.00", applied="1000.00")
    house.clock.advance(minutes=5)

    house.pull("remittance")

    rows = {it["NetSuite_Key__c"].rsplit("-", 1)[-1]: it for it in house.sf.rows("Remittance__c")}
    assert Decimal(str(rows["unapplied"]["Amount__c"])) == Decimal("500.00")
    assert rows["unapplied"]["Application__c"] == oven
    assert sum(Decimal(str(it["Amount__c"])) for it in rows.values()) == Decimal("1500.00")


def test_a_payment_applied_elsewhere_zeroes_its_old_row_and_mends_both_balances(house):
    acme = house.account("Acme")
    oven, truck = house.application(acme, ("Wire Fee", "500.00")), house.application(acme, ("Wire Fee", "500.00"))
    house.push(oven, truck)
    first, payment = paid(house, oven, "300.00")
    second = house.ns.admin.bill(kind="salesOrder", externalId=f"sf-so-{truck}")
    house.clock.advance(minutes=5)
    house.pull("remittance")
    house.clock.advance(minutes=5)
    house.ns.admin.edit_payment("300.00", {second.id: "300.00"}, id=payment.id)
    house.clock.advance(minutes=5)

    house.pull("remittance")

    rows = {it["NetSuite_Key__c"]: it for it in house.sf.rows("Remittance__c")}
    old = rows[f"customerPayment-{payment.id}-invoice-{first.id}"]
    new = rows[f"customerPayment-{payment.id}-invoice-{second.id}"]
    assert (Decimal(str(old["Amount__c"])), old["Reversed__c"]) == (Decimal(0), True)
    assert (Decimal(str(new["Amount__c"])), new["Application__c"]) == (Decimal("300.00"), truck)
    remaining = {it: Decimal(str(house.sf.row(it)["Remaining_Balance__c"])) for it in (oven, truck)}
    assert remaining == {oven: Decimal("65000.00"), truck: Decimal("64700.00")}


def test_running_balances_follow_the_payment_dates(house):
    """Not the order in which the payments were read."""
    oven = house.application(house.account("Acme"), ("Origination Fee", "1000.00"))
    house.push_one(oven)
    invoice = house.ns.admin.bill(kind="salesOrder", externalId=f"sf-so-{oven}")
    customer = house.there("salesOrder", f"sf-so-{oven}").fields["entity"].id
    house.ns.admin.pay(customer, "300.00", {invoice.id: "300.00"}, date="2026-11-19")
    house.clock.advance(minutes=5)
    house.pull("remittance")
    house.ns.admin.pay(customer, "100.00", {invoice.id: "100.00"}, date="2026-11-17")
    house.clock.advance(minutes=5)

    house.pull("remittance")

    rows = sorted(house.sf.rows("Remittance__c"), key=lambda it: str(it["Payment_Date__c"]))
    assert [Decimal(str(it["Running_Balance__c"])) for it in rows] == [Decimal("64900.00"), Decimal("64600.00")]


def test_what_belongs_to_nobody_in_salesforce_is_not_written(house):
    """An order and a payment of somebody else's business stay where they are."""
    from bridge.ports import Record

    stranger = Record(Ref("customer", external_id="other-1"), {"companyName": "Stranger", "subsidiary": Ref(
        "subsidiary", name="Parent Company")})  # fmt: skip
    (written,) = house.netsuite.upsert([stranger])
    house.ns.admin.pay(written.ref.id, "50.00")
    house.clock.advance(minutes=5)

    house.pull("remittance")

    assert house.states("remittance") == ["held"]
    assert house.sf.rows("Remittance__c") == []


def test_the_window_of_a_pull_ends_in_the_past_and_overlaps_the_last_one(house):
    first = house.pull("sales_order_mirror")
    house.clock.advance(hours=1)

    second = house.pull("sales_order_mirror")

    assert second.since == first.until - timedelta(minutes=15)
    assert second.until <= house.clock.at - timedelta(minutes=2)
