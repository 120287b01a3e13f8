"""Credit request → credit memo, once it is approved: of the whole amount, applied to the invoice that it reduces.

A refund is a credit memo too: it says what the customer is given back; the money leaves with a customer refund that is
applied to it. Who asked and who approved stand in the memo.
"""

from decimal import Decimal

from bridge.mapping import (
    Push,
    applied,
    compute,
    const,
    currency,
    date,
    is_true,
    lines,
    link,
    money,
    of_field,
    site,
    text,
)
from bridge.ports import Fields, Ref

ITEM = site("credit_item", ref="item", needed="item under [credits]")
WORDS = text("{Name}: {Reason__c} | asked for by {Requested_By__c}, approved by {Approved_By__c}", limit=999, cut=True)
# The Application is not written: its mirror is found by it when the credit comes back, where no invoice leads there.
USES = (*WORDS.reads(), "Application__c")


def told(source: Fields, site: Fields) -> object:
    """Return the credit's trail in words."""
    return WORDS.value(source, None)  # type: ignore[arg-type]  # text looks at the fields only


MEMO = compute(told, USES, WORDS.describe())
APPROVED = is_true("Approved__c")

CREDIT_MEMO = Push(
    name="credit_memo",
    label="Credit memo",
    source="Credit_Request__c",
    target="creditMemo",
    external_id="cm",
    when=(APPROVED,),
    numbered=True,
    withdrawn="flag",
    approved=True,
    worth=of_field("Amount__c"),
    fields={
        "entity": link("Account__c", to="customer", required=True),
        "tranDate": date("Credit_Date__c"),
        "currency": currency("Currency__c"),
        "memo": MEMO,
        "itemList": lines(
            "",
            fields={},
            first=[
                {
                    "item": ITEM,
                    "quantity": const(Decimal(1)),
                    "price": const(Ref("priceLevel", id="-1")),
                    "rate": money("Amount__c", required=True),
                    "amount": money("Amount__c", required=True),
                    "description": text("Reason__c", limit=999, cut=True),
                    "taxCode": site("sale_tax_code", ref="taxCode"),
                }
            ],
        ),
        "applyList": applied("Invoice_NetSuite_Id__c", "Reduces_Invoice__c", kind="invoice"),
        "subsidiary": site("subsidiary", ref="subsidiary"),
    },
)
