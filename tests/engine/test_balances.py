"""Balances are what the rows add up to; one state and one error stand for all that a record became."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.records.remittance import REMITTANCE
from bridge.records.status import Made, Shown, overall, stamp
from bridge.totals import Money, balances

TOTALS = REMITTANCE.totals


class NoRates:
    def rate(self, source, target, on):
        raise AssertionError("nothing is to be converted here")


HOME = Money(NoRates(), "USD", "posting")
amounts = st.decimals(min_value=-(10**6), max_value=10**6, places=2)
payments = st.lists(st.tuples(st.sampled_from(["A", "B"]), amounts, st.dates()), max_size=12)


def rows_of(made):
    return [
        {"Id": str(n), "Application__c": parent, "Amount__c": amount, "Payment_Date__c": day,
         "NetSuite_Key__c": f"customerPayment-{n:03}", "Running_Balance__c": None}
        for n, (parent, amount, day) in enumerate(made)
    ]  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(payments, st.randoms())
def test_balances_add_up_to_the_cent_in_any_order_of_reading(made, random):
    """The remaining balance is the purchased amount less all of it, and the last running balance says the same."""
    rows = rows_of(made)
    parents = {"A": {"Purchased_Amount__c": Decimal(65000)}, "B": {"Purchased_Amount__c": None}}
    shuffled = list(rows)
    random.shuffle(shuffled)

    found = balances("Remittance__c", TOTALS, rows, parents, HOME)

    assert balances("Remittance__c", TOTALS, shuffled, parents, HOME) == found
    paid = sum((row["Amount__c"] for row in rows if row["Application__c"] == "A"), Decimal(0))
    assert found["A"][-1].fields == {"Remitted_Amount__c": paid, "Remaining_Balance__c": Decimal(65000) - paid}
    running = [it.fields["Running_Balance__c"] for it in found["A"][:-1]]
    assert not running or running[-1] == Decimal(65000) - paid
    assert [it.ref.kind for it in found["B"]] == ["Opportunity"]
    assert found["B"][0].fields["Remaining_Balance__c"] is None


@settings(deadline=None, max_examples=30)
@given(payments)
def test_what_already_says_so_is_not_written_again(made):
    rows = rows_of(made)
    parents = {"A": {"Purchased_Amount__c": Decimal(65000)}, "B": {"Purchased_Amount__c": Decimal(5)}}
    for records in balances("Remittance__c", TOTALS, rows, parents, HOME).values():
        for it in records:
            if it.ref.kind == "Remittance__c":
                rows[int(it.ref.id)] |= it.fields
            else:
                parents[it.ref.id] |= it.fields

    again = balances("Remittance__c", TOTALS, rows, parents, HOME)

    assert again == {"A": [], "B": []}


@pytest.mark.parametrize(
    ("states", "one"),
    [
        (["delivered", "held"], "delivered"),
        (["held", "held"], "held"),
        (["delivered", "rejected", "held"], "rejected"),
        (["rejected", "dead"], "dead"),
        (["unchanged", "pending"], "pending"),
        (["delivered", "orphaned"], "held"),
        (["rejected", "orphaned"], "rejected"),
        ([], "held"),
    ],
)
def test_one_state_stands_for_all(states, one):
    assert overall(states) == one


def test_a_stamp_fits_its_fields_and_shows_the_same_page_always():
    made = [Made("purchaseOrder", "2", "PO1", "https://x/po"), Made("salesOrder", "1", "SO1", "https://x/so")]
    error = Shown("C" * 99, "m" * 300, "sales")

    record = stamp("Opportunity", "006", "deferred", made, error, datetime(2026, 11, 20, tzinfo=UTC))

    assert record.fields["NetSuite_Status__c"] == "queued"
    assert (len(record.fields["NetSuite_Error__c"]), len(record.fields["NetSuite_Error_Code__c"])) == (255, 80)
    assert record.fields["NetSuite_Sales_Order_Number__c"] == "SO1"
    assert record.fields["NetSuite_Purchase_Order_Id__c"] == "2"
    assert record.fields["NetSuite_Url__c"] == "https://x/so"
