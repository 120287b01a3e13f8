"""What waits for approval in NetSuite is a status that people see in Salesforce, until accounting has approved it."""

from __future__ import annotations

import pytest

from tests.salesforce_metadata.dx_package import Package
from tests.salesforce_metadata.test_cross_references import ROOT


@pytest.fixture
def house(other_site):
    return other_site(commission="vendor_bill")


def shown(house, kind):
    """What stands in Salesforce after the next pull of everything."""
    house.clock.advance(minutes=5)
    for name in ("sales_order_mirror", "purchase_order_mirror", "commission_mirror"):
        house.pull(name)
    (row,) = [it for it in house.sf.rows("NetSuite_Order__c") if it["Record_Type__c"] == kind]
    return row["Status__c"]


@pytest.mark.parametrize(
    ("kind", "words", "waiting", "approved"),
    [
        ("salesOrder", "Sales Order", "Pending Approval", "Pending Fulfillment"),
        ("purchaseOrder", "Purchase Order", "Pending Supervisor Approval", "Pending Receipt"),
        ("vendorBill", "Broker Commission", "Pending Approval", "Open"),
    ],
)
def test_pending_approval_is_shown_until_it_is_approved(house, kind, words, waiting, approved):
    """F-91: the order is created as NetSuite's own workflow will have it; the bridge approves nothing."""
    broker = house.account("Bridge Brokers")
    house.push_one(house.application(house.account(), Broker__c=broker, Commission_Percent__c="2.5"))
    (made,) = house.made(kind)
    if kind == "vendorBill":
        house.ns.admin.payable("Open", kind=kind, id=made.id)

    before = shown(house, words)
    if kind == "vendorBill":
        house.ns.admin.payable("Approved", kind=kind, id=made.id)
    else:
        house.ns.admin.approve(kind=kind, id=made.id)

    assert (before, shown(house, words)) == (waiting, approved)


def test_the_status_has_a_label_and_stands_in_list_and_history():
    """In the words of accounting, as a field that is tracked."""
    package = Package(ROOT)
    (field,) = [
        it for it in package.of("fields") if it.path.endswith("NetSuite_Order__c/fields/Status__c.field-meta.xml")
    ]
    (view,) = [
        it for it in package.of("listViews") if it.path.endswith("NetSuite_Order__c/listViews/All.listView-meta.xml")
    ]

    assert (field.text("label"), field.text("trackHistory")) == ("Status", "true")
    assert "Status__c" in view.texts("columns")


def test_no_report_adds_amounts_of_two_currencies():
    """Sums stand under their currency, and none above it."""
    wrong = []
    for one in Package(ROOT).of("reports"):
        has_sums = "Sum" in one.texts("columns/aggregateTypes")
        named = [it for it in (*one.texts("columns/field"), *one.texts("groupingsDown/field")) if "Currency__c" in it]
        if (
            has_sums
            and named
            and not ("Currency__c" in one.texts("groupingsDown/field")[0] and one.text("showGrandTotal") == "false")
        ):
            wrong.append(one.name)
    assert wrong == []
