"""One file per synced record. A record's module-level `Push` or `Pull` is all there is to know about it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bridge.mapping import Context, Pull, Push, Rule, Syncs, crosswalk, lines
from bridge.records.broker_commission import BROKER_COMMISSION, BROKER_COMMISSION_BILL
from bridge.records.commission_mirror import COMMISSION_BILL_MIRROR, COMMISSION_MIRROR
from bridge.records.contact import CONTACT
from bridge.records.credit_memo import CREDIT_MEMO
from bridge.records.credit_memo_mirror import CREDIT_MEMO_MIRROR
from bridge.records.customer import CUSTOMER
from bridge.records.customer_deposit_mirror import CUSTOMER_DEPOSIT_MIRROR
from bridge.records.customer_refund import CUSTOMER_REFUND
from bridge.records.customer_refund_mirror import CUSTOMER_REFUND_MIRROR
from bridge.records.estimate import ESTIMATE
from bridge.records.invoice_mirror import INVOICE_MIRROR
from bridge.records.order_mirror import PURCHASE_ORDER_MIRROR, SALES_ORDER_MIRROR
from bridge.records.purchase_order import PURCHASE_ORDER
from bridge.records.remittance import REMITTANCE
from bridge.records.sales_order import SALES_ORDER
from bridge.records.vendor import VENDOR

PUSHES: tuple[Push, ...] = (
    CUSTOMER,
    VENDOR,
    CONTACT,
    ESTIMATE,
    SALES_ORDER,
    PURCHASE_ORDER,
    BROKER_COMMISSION,
    CREDIT_MEMO,
    CUSTOMER_REFUND,
)
PULLS: tuple[Pull, ...] = (
    SALES_ORDER_MIRROR,
    PURCHASE_ORDER_MIRROR,
    COMMISSION_MIRROR,
    REMITTANCE,
    INVOICE_MIRROR,
    CREDIT_MEMO_MIRROR,
    CUSTOMER_REFUND_MIRROR,
    CUSTOMER_DEPOSIT_MIRROR,
)

# Of all syncs that this version knows, switched on or not.
NAMES = frozenset([*(push.name for push in PUSHES), *(pull.name for pull in PULLS)])

DEFAULT_SITE: Mapping[str, Any] = {
    "subsidiary": None,
    "currency": "USD",
    "rate_of": "posting",
    "new_customer_stage": "_prospect",
    "approval_stages": ("Approved", "Funded"),
    "quote_stages": (),
    "purchase_item": "Purchase of Receivables",
    "commission": "custom_record",
    "commission_account": "Commission Expense",
    "deleted_account": "inactivate",
    "closed_period": "hold",
    "remittance_field": None,
    "sale_tax_code": None,
    "purchase_tax_code": None,
    "commission_tax_code": None,
    "vendor_tax_code": None,
    "credit_item": None,
    "refund_account": None,
    "fees": {},
    "products": {},
    "bundles": {},
}


def syncs(site: Mapping[str, Any], overlay: Callable[[Push], Push | None] = lambda push: push) -> Syncs:
    """Return this site's syncs. *overlay* returns a push changed, or None where the site switched it off."""
    chosen = {**DEFAULT_SITE, **site}
    is_billed = chosen["commission"] == "vendor_bill"
    commission = BROKER_COMMISSION_BILL if is_billed else BROKER_COMMISSION
    mirror = COMMISSION_BILL_MIRROR if is_billed else COMMISSION_MIRROR
    declared = [commission if push.name == commission.name else push for push in PUSHES]
    if not chosen["quote_stages"]:
        declared.remove(ESTIMATE)
    if chosen["products"]:
        declared = [_by_product(push) for push in declared]
    declared = [replace(push, closed_period=chosen["closed_period"]) for push in declared]
    pushes = {push.name: push for push in map(overlay, declared) if push is not None}
    targets = {push.name: (push.target, push.external_id) for push in pushes.values()}
    pulls = {pull.name: mirror if pull.name == mirror.name else pull for pull in PULLS}
    if commission.name not in pushes:
        # A site without commissions need not have their record type, and reads no bill for nothing.
        del pulls[mirror.name]
    return Syncs(pushes, pulls, Context(chosen, targets))


def _by_product(push: Push) -> Push:
    """Return *push* with items found by the product's code too, for lines that are no fees."""

    def wider(rule: Rule) -> Rule:
        if not isinstance(rule, lines):
            return rule
        items = {
            name: replace(it, tables=(*it.tables, ("ProductCode", "products"))) if isinstance(it, crosswalk) else it
            for name, it in rule.fields.items()
        }
        return replace(rule, fields=items)

    return replace(push, fields={name: wider(rule) for name, rule in push.fields.items()})
