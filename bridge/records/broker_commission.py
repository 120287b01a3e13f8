"""Application with a broker → a commission that accounting pays: a custom record, or a vendor bill if a site prefers.

Native commissions cannot be written through SOAP (no such type in RecordType of the 2025_2 schema). The custom record
type is the one thing that an administrator creates in NetSuite; the vendor bill needs nothing.
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from bridge.errors import Rejected
from bridge.mapping import (
    Push,
    compute,
    const,
    currency,
    date,
    decimal,
    is_not_blank,
    lines,
    link,
    money,
    number,
    safely,
    site,
    text,
)
from bridge.ports import Fields
from bridge.records.sales_order import APPROVED

CENT = Decimal("0.01")


def commission(source: Fields, site: Fields) -> Decimal:
    """Return the amount owed: as agreed, else the percentage of the funded amount, rounded half up to the cent."""
    agreed = source.get("Commission_Amount__c")
    if agreed not in (None, ""):
        got: Any = money("Commission_Amount__c").value(source, None)  # type: ignore[arg-type]  # looks at the field only
        return Decimal(got)
    funded, percent = source.get("Funded_Amount__c"), source.get("Commission_Percent__c")
    if funded in (None, "") or percent in (None, ""):
        raise Rejected(
            "The commission has neither an amount nor a percentage.",
            code="COMMISSION_MISSING",
            who="sales",
            field="Commission_Amount__c",
        )
    share = decimal(funded, "Funded_Amount__c") * decimal(percent, "Commission_Percent__c") / 100
    return share.quantize(CENT, ROUND_HALF_UP)


AMOUNT = compute(
    commission,
    ("Commission_Amount__c", "Funded_Amount__c", "Commission_Percent__c"),
    "money Commission Amount, else Commission Percent of Funded Amount",
)

BROKER_COMMISSION = Push(
    name="broker_commission",
    label="Broker commission",
    source="Opportunity",
    target="customrecord_broker_commission",
    external_id="bc",
    when=(*APPROVED, is_not_blank("Broker__c")),
    worth=safely(commission),
    closing={"isInactive": True},
    fields={
        "name": text("{Name} commission", limit=99, cut=True),
        "isInactive": const(False),
        "custrecord_bc_broker": link("Broker__c", to="vendor", required=True),
        "custrecord_bc_amount": AMOUNT,
        "custrecord_bc_rate": number("Commission_Percent__c"),
        "custrecord_bc_basis": money("Funded_Amount__c"),
        "custrecord_bc_due": date("Commission_Due__c"),
        "custrecord_bc_application": text("Id", required=True),
        "custrecord_bc_order": link("Id", to="sales_order"),
        "custrecord_bc_currency": currency(),
    },
)

BROKER_COMMISSION_BILL = Push(
    name="broker_commission",
    label="Broker commission",
    source="Opportunity",
    target="vendorBill",
    external_id="bc",
    when=(*APPROVED, is_not_blank("Broker__c")),
    worth=safely(commission),
    numbered=True,
    fields={
        "entity": link("Broker__c", to="vendor", required=True),
        "subsidiary": site("subsidiary", ref="subsidiary"),
        "tranDate": date("Funding_Date__c"),
        "dueDate": date("Commission_Due__c"),
        "tranId": text("SF-{Id}", limit=45),
        "memo": text("Commission: {Name}", limit=999, cut=True),
        "currency": currency(),
        "expenseList": lines(
            "",
            fields={},
            first=[
                {
                    "account": site("commission_account", ref="account"),
                    "amount": AMOUNT,
                    "memo": text("Name", limit=999, cut=True),
                    "taxCode": site("commission_tax_code", ref="taxCode"),
                }
            ],
        ),
    },
)
