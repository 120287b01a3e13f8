"""Application → estimate (a quote), in the stages that a site chooses; the sales order is made from it later.

A site without such stages has no quotes. What becomes of the quote when the order is made is NetSuite's own business.
"""

from bridge.mapping import Push, const, currency, date, is_in, lines, link, money, number, of_lines, site, text
from bridge.ports import Ref
from bridge.records.sales_order import SALE_ITEM, SALE_TAX, TERMS_IN_WORDS, parts, sold

ESTIMATE = Push(
    name="estimate",
    label="Estimate",
    source="Opportunity",
    target="estimate",
    external_id="est",
    when=(is_in("StageName", "site:quote_stages"),),
    numbered=True,
    withdrawn="leave",
    worth=of_lines("Lines", "TotalPrice"),
    fields={
        "entity": link("AccountId", to="customer", required=True),
        "title": text("Name", limit=99, cut=True),
        "expectedCloseDate": date("CloseDate"),
        "currency": currency(),
        "memo": TERMS_IN_WORDS,
        "itemList": lines(
            "Lines",
            where=sold,
            expand=parts,
            uses=("Fee_Type__c",),
            fields={
                "item": SALE_ITEM,
                "quantity": number("Quantity"),
                "price": const(Ref("priceLevel", id="-1")),
                "rate": money("UnitPrice", required=True),
                "amount": money("TotalPrice", required=True),
                "description": text("Description", limit=999, cut=True),
                **SALE_TAX,
            },
        ),
        "subsidiary": site("subsidiary", ref="subsidiary"),
    },
)
