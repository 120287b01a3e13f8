"""A credit or refund asked for in Salesforce reaches NetSuite once, reduces the right invoice, comes back as one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bridge import editing
from bridge.errors import Rejected
from bridge.ledger import plain
from bridge.operating import replay
from bridge.sandbox.salesforce import Refused

MIRRORS = ("invoice_mirror", "credit_memo_mirror", "customer_refund_mirror")
SITE = {"credit_item": "Origination Fee", "refund_account": "Checking"}


@pytest.fixture
def house(other_site):
    return other_site(**SITE)


@pytest.fixture
def billed(house):
    """A house with an Application whose order is billed: house, Account, Application, invoice of 500.00."""
    return (house, *bill(house))


def bill(house, name="Acme", fee="500.00", currency="USD"):
    acme = house.account(name)
    oven = house.application(acme, ("Origination Fee", fee))
    house.push_one(oven)
    invoice = house.ns.admin.bill(kind="salesOrder", externalId=f"sf-so-{oven}")
    pulled(house)
    return acme, oven, invoice


def pulled(house, *names):
    house.clock.advance(minutes=5)
    return [house.pull(name) for name in names or MIRRORS]


def document(house, netsuite_id):
    (row,) = [it for it in house.sf.rows("NetSuite_Document__c") if it["NetSuite_Id__c"] == netsuite_id]
    return row


def request(house, invoice, amount="100.00", kind="Credit", **values):
    fixed = {"Invoice__c": document(house, invoice.id)["Id"], "Kind__c": kind, "Amount__c": Decimal(amount)}
    return house.sf.insert("Credit_Request__c", Reason__c="Agreed with the merchant", **(fixed | values))


def approved(house, invoice, amount="100.00", kind="Credit", **values):
    made = request(house, invoice, amount, kind, **values)
    house.sf.approve_credit(made)
    return made


def pay(house, account, invoice, amount, currency=None):
    customer = house.there("customer", f"sf-cus-{account}").ref.id
    return house.ns.admin.pay(customer, amount, {invoice.id: amount}, currency=currency)


def open_of(invoice):
    return Decimal(invoice.fields["amountRemaining"])


# --- to NetSuite, and back


@pytest.mark.parametrize("currency", ["USD", "EUR"])
@pytest.mark.parametrize("kind", ["Credit", "Refund"])
def test_a_hundred_off_an_invoice_of_five_hundred_leaves_four_hundred(other_site, currency, kind):
    """F-58, F-59: what is logged in Salesforce reduces the right invoice, in both systems, to the cent."""
    house = other_site(currency=currency, **SITE)
    acme, oven, invoice = bill(house, fee="600.01")
    pay(house, acme, invoice, "100.01", currency)
    pulled(house)

    made = approved(house, invoice, kind=kind)
    told = house.push_one(made)
    house.drain()
    pulled(house)

    assert told.state == "delivered"
    (memo,) = house.made("creditMemo")
    assert memo.external_id == f"sf-cm-{made}"
    assert house.made("customerRefund") == []
    assert open_of(invoice) == Decimal("400.00")
    row, credit = document(house, invoice.id), document(house, memo.id)
    assert (row["Open_Amount__c"], row["Currency__c"]) == (Decimal("400.00"), currency)
    assert (credit["Total__c"], credit["Open_Amount__c"]) == (Decimal("100.00"), Decimal("0.00"))
    assert (credit["Credit_Request__c"], credit["Application__c"], credit["Account__c"]) == (made, oven, acme)


def test_a_refund_of_a_paid_invoice_is_a_credit_memo_that_is_paid_back(billed):
    house, acme, oven, invoice = billed
    pay(house, acme, invoice, "450.00")
    pulled(house)

    made = approved(house, invoice, "120.25", "Refund")
    told = house.push_one(made)
    pulled(house)

    row = house.sf.row(made)
    assert (row["Reduces_Invoice__c"], row["Paid_Back__c"]) == (Decimal("50.00"), Decimal("70.25"))
    assert told.state == "delivered"
    (memo,), (back,) = house.made("creditMemo"), house.made("customerRefund")
    assert (memo.fields["status"], back.fields["total"]) == ("Fully Applied", "70.25")
    assert [(line["doc"], line["amount"]) for line in back.lists["applyList"]] == [(memo.id, "70.25")]
    assert open_of(invoice) == 0
    assert {it.record for it in told.made} == {"creditMemo", "customerRefund"}
    assert document(house, back.id)["Credit_Request__c"] == made
    assert document(house, back.id)["Application__c"] == oven


def test_a_refund_that_touches_no_invoice_belongs_to_the_application_of_its_request(billed):
    house, acme, oven, invoice = billed
    other = house.application(acme, ("Origination Fee", "10.00"))
    house.push_one(other)
    pay(house, acme, invoice, "500.00")
    pulled(house)

    made = approved(house, invoice, "33.33", "Refund")
    house.push_one(made)
    pulled(house)

    (memo,), (back,) = house.made("creditMemo"), house.made("customerRefund")
    assert [document(house, it.id)["Application__c"] for it in (memo, back)] == [oven, oven]


def test_the_trail_of_a_credit_says_who_asked_and_who_approved(billed):
    """F-113: on the request, in NetSuite's memo, and in the audit."""
    house, _, _, invoice = billed

    made = approved(house, invoice)
    house.push_one(made)

    row = house.sf.row(made)
    assert (row["Requested_By__c"], row["Approved_By__c"]) == ("Sam Seller", "Cora Controller")
    assert row["Approved_At__c"] is not None
    (memo,) = house.made("creditMemo")
    asked = "asked for by Sam Seller, approved by Cora Controller"
    assert memo.fields["memo"] == f"{row['Name']}: Agreed with the merchant | {asked}"
    actions = [it.action for it in house.audit(sync="credit_memo", source_id=made)]
    assert actions[0] in ("accepted", "received")
    assert "delivered" in actions


# --- who may, and how much


def test_what_nobody_has_approved_is_held(billed):
    house, _, _, invoice = billed
    made = request(house, invoice)

    told = house.push_one(made)

    assert (told.state, told.error.message) == ("held", "Not sent: Approved is not ticked.")
    assert house.made("creditMemo") == []


@pytest.mark.parametrize(
    ("user", "says"),
    [("sales_user", "by somebody else"), ("controller", "")],
)
def test_only_somebody_else_who_may_approves(billed, user, says):
    house, _, _, invoice = billed
    made = request(house, invoice)
    own = house.sf.insert(
        "Credit_Request__c", user=house.sf.controller, Reason__c="Mine", Kind__c="Credit", Amount__c=Decimal(1),
        Invoice__c=document(house, invoice.id)["Id"],
    )  # fmt: skip

    with pytest.raises(Refused, match="somebody else"):
        house.sf.update(own, user=house.sf.controller, Approved__c=True)
    if says:
        with pytest.raises(Refused, match=says):
            house.sf.update(made, user=getattr(house.sf, user), Approved__c=True)
    else:
        house.sf.update(made, user=getattr(house.sf, user), Approved__c=True)

    assert bool(house.sf.row(made)["Approved__c"]) is not bool(says)


@pytest.mark.parametrize(("kind", "amount"), [("Credit", "400.01"), ("Refund", "500.01"), ("Credit", "0")])
def test_salesforce_refuses_more_than_the_invoice_allows(billed, kind, amount):
    house, acme, _, invoice = billed
    pay(house, acme, invoice, "100.00")
    pulled(house)

    with pytest.raises(Refused, match=r"more than the invoice allows|above zero"):
        request(house, invoice, amount, kind)


def test_nobody_corrects_on_its_way_what_was_approved(billed):
    """The console lets people correct values of waiting messages; a credit is approved in Salesforce alone."""
    house, _, _, invoice = billed
    made = request(house, invoice)
    house.push_one(made)
    payload = plain.loads(house.message("credit_memo", made).payload)

    with pytest.raises(Rejected, match="approved there"):
        editing.change(house.syncs, "credit_memo", payload, "Approved__c", "true")


def test_what_was_approved_cannot_be_changed(billed):
    house, _, _, invoice = billed
    made = approved(house, invoice)

    with pytest.raises(Refused, match="cannot be changed"):
        house.sf.update(made, Amount__c=Decimal("1.00"))


def test_what_was_paid_meanwhile_is_not_credited(billed):
    """Salesforce still shows 500.00 open when it is approved; NetSuite knows better when it is sent."""
    house, acme, _, invoice = billed
    made = approved(house, invoice, "300.00")
    pay(house, acme, invoice, "200.01")

    told = house.push_one(made)

    number = invoice.fields["tranId"]
    assert (told.state, told.error.code, told.error.who) == ("rejected", "MORE_THAN_OPEN", "sales")
    assert told.error.message == f"{number} has only 299.99 left, and 300.00 were to be applied to it."
    assert house.made("creditMemo") == []
    assert open_of(invoice) == Decimal("299.99")


def test_two_requests_of_one_moment_do_not_credit_more_than_is_open(billed):
    house, _, _, invoice = billed
    both = [approved(house, invoice, "300.00") for _ in range(2)]

    told = house.push(*both)

    assert sorted(it.state for it in told.values()) == ["delivered", "rejected"]
    assert len(house.made("creditMemo")) == 1
    assert open_of(invoice) == Decimal("200.00")


def test_an_invoice_that_is_gone_is_told(billed):
    house, _, _, invoice = billed
    made = approved(house, invoice)
    house.ns.admin.delete(kind="invoice", id=invoice.id)

    told = house.push_one(made)

    assert (told.state, told.error.code) == ("rejected", "DOCUMENT_GONE")


def test_a_closed_period_refuses_a_credit_in_a_sentence(billed):
    house, _, _, invoice = billed
    house.ns.admin.close_periods(f"{house.clock():%Y-%m-%d}")
    made = approved(house, invoice)

    told = house.push_one(made)

    assert (told.state, told.error.message) == (
        "rejected",
        "The accounting period Nov 2026 is closed; it is sent when accounting reopens it.",
    )
    assert open_of(invoice) == Decimal("500.00")


def test_a_site_without_an_item_for_credits_says_what_is_missing(other_site):
    house = other_site()
    _, _, invoice = bill(house)

    told = house.push_one(approved(house, invoice))

    assert (told.error.code, told.error.who) == ("SITE_CHOICE_MISSING", "administrator")
    assert "item under [credits] in bridge.toml" in told.error.message


# --- once


def test_a_credit_whose_answer_is_lost_is_found_and_not_made_twice(billed):
    house, _, _, invoice = billed
    made = approved(house, invoice)
    house.ns.faults.add("drop", operation="upsert*")

    house.push_one(made, budget_s=2.0)
    house.clock.advance(minutes=10)
    house.drain()

    assert house.message("credit_memo", made).state == "delivered"
    assert "adopted" in [it.action for it in house.audit(sync="credit_memo", source_id=made)]
    assert len(house.made("creditMemo")) == 1
    assert open_of(invoice) == Decimal("400.00")


def test_a_refund_whose_answer_is_lost_is_paid_back_once(billed):
    house, acme, _, invoice = billed
    pay(house, acme, invoice, "500.00")
    pulled(house)
    made = approved(house, invoice, "100.00", "Refund")
    house.ns.faults.add("drop", operation="upsert*", count=2)

    house.push_one(made, budget_s=2.0)
    for _ in range(4):
        house.clock.advance(minutes=10)
        house.drain()

    assert house.message("customer_refund", made).state == "delivered"
    assert len(house.made("creditMemo")) == len(house.made("customerRefund")) == 1
    assert house.made("creditMemo")[0].fields["status"] == "Fully Applied"


def test_sending_a_credit_again_changes_nothing(billed):
    house, _, _, invoice = billed
    made = approved(house, invoice, "500.00")
    house.push_one(made)

    house.sf.send_again(made)
    told = house.push_one(made)
    replay(house.engine, [house.message("credit_memo", made).id], actor="test")
    house.drain()

    assert told.state in ("unchanged", "delivered")
    assert house.message("credit_memo", made).state in ("unchanged", "delivered")
    assert len(house.made("creditMemo")) == 1
    assert open_of(invoice) == 0


def test_what_the_sweep_brings_is_the_same_credit(billed):
    from bridge.sweep import sweep

    house, _, _, invoice = billed
    made = approved(house, invoice)
    house.clock.advance(minutes=1)

    report = sweep(house.engine)
    house.drain()
    house.push_one(made)

    assert report.late >= 1
    assert len(house.made("creditMemo")) == 1
    assert house.sf.row(made)["NetSuite_Credit_Memo_Id__c"] == house.made("creditMemo")[0].id
