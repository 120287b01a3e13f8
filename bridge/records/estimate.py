"""Application → estimate (a quote), in the stages that a site chooses; the sales order is made from it later.

A site without such stages has no quotes. What becomes of the quote when the order is made is NetSuite's own business.
"""

from bridge.mapping import Push, currency, date, is_in, link, of_lines, site, text
from bridge.records.sales_order import FEE_LINES, TERMS_IN_WORDS

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
        "itemList": FEE_LINES,
        "subsidiary": site("subsidiary", ref="subsidiary"),
    },
)
