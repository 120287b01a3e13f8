"""Credits and refunds in the fake NetSuite: what is applied counts, and never more than is open is taken."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from bridge.sandbox.netsuite_rules import Refusal
from tests.sandbox.netsuite.suitetalk_client import Soap, customer, sale_line, sales_order

if TYPE_CHECKING:
    from bridge.sandbox.netsuite import FakeNetSuite
    from bridge.sandbox.netsuite_store import Stored


def apply_list(*parts: tuple[str, str]) -> str:
    rows = "".join(
        f"<cust:apply><cust:apply>true</cust:apply><cust:doc>{doc}</cust:doc><cust:amount>{amount}</cust:amount>"
        "</cust:apply>"
        for doc, amount in parts
    )
    return f"<cust:applyList>{rows}</cust:applyList>" if parts else ""


def credit_memo(key: str, amount: str, *parts: tuple[str, str], entity: str = "c-1", day: str = "") -> str:
    date = f"<cust:tranDate>{day}T08:00:00Z</cust:tranDate>" if day else ""
    return (
        f'<msg:record xsi:type="cust:CreditMemo" externalId="{key}"><cust:entity externalId="{entity}"/>{date}'
        '<cust:itemList><cust:item><cust:item internalId="101"/><cust:price internalId="-1"/>'
        f"<cust:rate>{amount}</cust:rate><cust:amount>{amount}</cust:amount></cust:item></cust:itemList>"
        f"{apply_list(*parts)}</msg:record>"
    )


def refund(key: str, *parts: tuple[str, str], account: str = '<cust:account internalId="16"/>') -> str:
    return (
        f'<msg:record xsi:type="cust:CustomerRefund" externalId="{key}"><cust:customer externalId="c-1"/>{account}'
        f"{apply_list(*parts)}</msg:record>"
    )


@pytest.fixture
def invoice(soap: Soap, fake: FakeNetSuite) -> Stored:
    """An invoice of 500.00."""
    assert soap.upsert(customer("c-1", "Acme")).ok
    assert soap.upsert(sales_order("so-1", "c-1", sale_line("101", "500.00"))).ok
    return fake.admin.bill(kind="salesOrder", externalId="so-1")


def left(record: Stored) -> Decimal:
    return Decimal(record.fields["amountRemaining"])


def test_a_credit_memo_reduces_what_is_open_once_however_often_it_is_sent(
    soap: Soap, fake: FakeNetSuite, invoice: Stored
) -> None:
    for _ in range(3):
        assert soap.upsert(credit_memo("cm-1", "100.00", (invoice.id, "100.00"))).ok

    (memo,) = fake.store.records["creditMemo"].values()
    assert left(invoice) == Decimal("400.0")
    assert (memo.fields["status"], memo.fields["unapplied"]) == ("Fully Applied", "0.0")
    assert len(memo.lists["itemList"]) == 1


def test_more_than_is_open_cannot_be_applied_and_nothing_is_left_behind(
    soap: Soap, fake: FakeNetSuite, invoice: Stored
) -> None:
    fake.admin.pay("c-1", "450.00", {invoice.id: "450.00"})

    refused = soap.upsert(credit_memo("cm-1", "100.00", (invoice.id, "50.01")))

    assert not refused.ok
    assert refused.code == "CANT_APPLY_PMT"
    assert fake.store.records["creditMemo"] == {}
    assert left(invoice) == Decimal("50.0")


def test_more_than_the_credit_is_worth_cannot_be_applied(soap: Soap, invoice: Stored) -> None:
    refused = soap.upsert(credit_memo("cm-1", "100.00", (invoice.id, "100.01")))

    assert refused.code == "USER_ERROR"
    assert left(invoice) == Decimal("500.0")


def test_a_credit_of_another_customer_cannot_be_applied(soap: Soap, invoice: Stored) -> None:
    assert soap.upsert(customer("c-2", "Other")).ok

    refused = soap.upsert(credit_memo("cm-1", "10.00", (invoice.id, "10.00"), entity="c-2"))

    assert refused.code == "INVALID_KEY_OR_REF"


def test_a_refund_pays_a_credit_back_and_never_more(soap: Soap, fake: FakeNetSuite, invoice: Stored) -> None:
    assert soap.upsert(credit_memo("cm-1", "100.00", (invoice.id, "40.00"))).ok
    (memo,) = fake.store.records["creditMemo"].values()

    too_much = soap.upsert(refund("rf-1", (memo.id, "60.01")))
    for _ in range(2):
        assert soap.upsert(refund("rf-1", (memo.id, "60.00"))).ok

    assert too_much.code == "INVALID_REFUND_AMT"
    assert (memo.fields["status"], memo.fields["amountRemaining"]) == ("Fully Applied", "0.0")
    assert soap.upsert(credit_memo("cm-1", "100.00", (invoice.id, "40.01"))).code == "USER_ERROR"


@pytest.mark.parametrize(("amount", "part"), [("0.00", "0.00"), ("250.00", "99.99"), ("800.00", "600.00")])
def test_what_is_refused_of_a_payment_leaves_it_applied_as_it_was(
    fake: FakeNetSuite, invoice: Stored, amount: str, part: str
) -> None:
    """A pull sees what changed by its time: a refusal that changed something would never be seen."""
    payer = next(iter(fake.store.records["customer"].values())).id
    payment = fake.admin.pay(payer, "300.00", {invoice.id: "40.00"})
    fake.admin.refund(payer, {payment.id: "200.00"})

    def shown() -> list[object]:
        names = ("total", "applied", "unapplied", "status", "amountRemaining", "amountPaid")
        lines = [(it["doc"], it["amount"]) for it in payment.lists["applyList"]]
        return [[it.fields.get(name) for name in names] for it in (payment, invoice)] + [lines]

    before = shown()

    with pytest.raises(Refusal):
        fake.admin.edit_payment(amount, {invoice.id: part}, id=payment.id)
    with pytest.raises(Refusal):
        fake.admin.void(id=payment.id)

    assert shown() == before


@pytest.mark.parametrize(
    ("record", "code"),
    [(refund("rf-1"), "USER_ERROR"), (refund("rf-1", ("999999", "1.00")), "INVALID_KEY_OR_REF"),
     (refund("rf-1", account=""), "USER_ERROR")],
)  # fmt: skip
def test_a_refund_of_nothing_from_nowhere_is_refused(soap: Soap, invoice: Stored, record: str, code: str) -> None:
    assert soap.upsert(record).code == code


def test_nothing_is_posted_into_a_closed_period(soap: Soap, fake: FakeNetSuite, invoice: Stored) -> None:
    fake.admin.close_periods("2026-10-31")

    refused = soap.upsert(credit_memo("cm-1", "10.00", day="2026-10-15"))
    later = soap.upsert(credit_memo("cm-2", "10.00", day="2026-11-01"))

    assert refused.code == "CLOSED_TRAN_PRD"
    assert later.ok


def test_what_something_is_applied_to_cannot_be_deleted(soap: Soap, fake: FakeNetSuite, invoice: Stored) -> None:
    assert soap.upsert(credit_memo("cm-1", "100.00", (invoice.id, "100.00"))).ok

    for kind, key in (("invoice", invoice.id), ("creditMemo", next(iter(fake.store.records["creditMemo"])))):
        with pytest.raises(Refusal, match="applied to it"):
            fake.admin.delete(kind=kind, id=key)

    fake.admin.apply({}, kind="creditMemo", externalId="cm-1")
    fake.admin.delete(kind="creditMemo", externalId="cm-1")
    assert left(invoice) == Decimal("500.0")
