"""Credit request → customer refund, as far as money is paid back: applied to the credit memo of the same request."""

from bridge.mapping import Push, applied, currency, date, is_positive, link, of_field, site
from bridge.records.credit_memo import APPROVED, MEMO

CUSTOMER_REFUND = Push(
    name="customer_refund",
    label="Customer refund",
    source="Credit_Request__c",
    target="customerRefund",
    external_id="rf",
    when=(APPROVED, is_positive("Paid_Back__c")),
    numbered=True,
    withdrawn="flag",
    approved=True,
    worth=of_field("Paid_Back__c"),
    fields={
        "customer": link("Account__c", to="customer", required=True),
        "account": site("refund_account", ref="account", needed="refund_account under [credits]"),
        "tranDate": date("Credit_Date__c"),
        "currency": currency("Currency__c"),
        "memo": MEMO,
        "applyList": applied("Id", "Paid_Back__c", kind="creditMemo", to="credit_memo"),
        "subsidiary": site("subsidiary", ref="subsidiary"),
    },
)
