"""Account → customer. The customer exists from the first save; it is a prospect until an Application is accepted."""

from typing import Any

from bridge.mapping import (
    Push,
    choice,
    compute,
    const,
    currency,
    flag,
    is_not_blank,
    is_positive,
    link,
    site,
    text,
    when,
)
from bridge.ports import Fields, Ref

WEBSITE = text("Website", limit=999)
TERMS = {name: Ref("term", name=name) for name in ("Net 15", "Net 30", "Net 60", "Due on receipt")}


def web_address(source: Fields, site: Fields) -> Any:
    """Return the website with its scheme: NetSuite refuses a URL without one."""
    address = WEBSITE.value(source, None)  # type: ignore[arg-type]  # text looks at the field only
    if not isinstance(address, str):
        return address
    return address if "://" in address else f"https://{address}"


CUSTOMER = Push(
    name="customer",
    label="Customer",
    source="Account",
    target="customer",
    external_id="cus",
    when=[is_not_blank("Name")],
    retiring={"isInactive": True},
    fields={
        "companyName": text("Name", limit=83, required=True),
        "stage": when(is_positive("Approved_Applications__c"), const("_customer"), site("new_customer_stage")),
        "parent": link("ParentId", to="customer"),
        "subsidiary": site("subsidiary", ref="subsidiary"),
        "currency": currency(),
        "phone": text("Phone", limit=32, cut=True),
        "url": compute(web_address, ("Website",), "text Website, with https:// where no scheme is given"),
        "terms": choice("Payment_Terms__c", TERMS),
        "taxable": flag("Taxable__c"),
    },
)
