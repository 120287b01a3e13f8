"""Application → sales order with its fee lines, when it is approved and the funding is accepted."""

from collections.abc import Iterable
from decimal import Decimal

from bridge.mapping import (
    ROW,
    Push,
    const,
    crosswalk,
    currency,
    date,
    is_in,
    is_true,
    lines,
    link,
    money,
    number,
    of_lines,
    site,
    text,
)
from bridge.ports import Fields, Ref

APPROVED = (is_in("StageName", "site:approval_stages"), is_true("Funding_Accepted__c"))

TERMS_IN_WORDS = text(
    "{Name} | funded {Funded_Amount__c} | purchased {Purchased_Amount__c} | {Receivables_Percent__c} % of receivables",
    limit=999,
    cut=True,
)


# Of a fee by its type; of another line by its product's code, on a site that has a table of products.
SALE_ITEM = crosswalk((("Fee_Type__c", "fees"),), column="sale_item")
PRODUCTS = crosswalk((("Fee_Type__c", "fees"), ("ProductCode", "products")), column="sale_item")


def parts(line: Fields, site: Fields) -> Iterable[Fields]:
    """Return the lines that *line* becomes: itself, or the parts of the bundle that it is.

    The parts' amounts add up to the bundle's price: each gets its share down to the cent, and the cents that are left
    go to the parts that lost most. A part counts once, whatever the bundle's quantity; its amount is what matters.
    """
    bundle = site.get("bundles", {}).get(line.get("Fee_Type__c") or line.get("ProductCode"))
    if bundle is None:
        return (line,)
    price: Decimal | None = money("TotalPrice", required=True).value(line, None)  # type: ignore[arg-type]  # see above
    cents = int((price or Decimal(0)) * 100)
    shares = [Decimal(it["share"]) for it in bundle["parts"]]
    whole = [cents * it / sum(shares) for it in shares]
    given = [int(it) for it in whole]  # towards nought, for a discount too
    left = cents - sum(given)
    most = sorted(range(len(whole)), key=lambda n: abs(whole[n] - given[n]), reverse=True)
    for n in most[: abs(left)]:
        given[n] += 1 if left > 0 else -1
    return [
        {
            **line,
            # The first keeps the line's own id, so that a change of the line still finds its order.
            "Id": line["Id"] if n == 0 else f"{line['Id']}#{n + 1}",
            ROW: part,
            "Quantity": Decimal(1),
            "UnitPrice": Decimal(given[n]) / 100,
            "TotalPrice": Decimal(given[n]) / 100,
            "Description": part.get("description") or line.get("Description"),
        }
        for n, part in enumerate(bundle["parts"])
    ]


def sold(line: Fields, site: Fields) -> bool:
    """Say whether a fee stands on the sales order; an unknown fee does, so that it is refused by name."""
    row = PRODUCTS.row(line, site)
    return row is None or bool(row.get("sale_item")) or not row.get("purchase_item")


def of_fee(column: str, ref: str | None = None, otherwise: str | None = None) -> crosswalk:
    """Return a rule for what the site says of a fee besides its item; not sent where it says nothing."""
    return crosswalk((("Fee_Type__c", "fees"),), column, ref, optional=True, otherwise=otherwise)


# Whether the customer is taxable is the customer's own; NetSuite takes the order's header from there.
SALE_TAX = {"isTaxable": of_fee("taxable"), "taxCode": of_fee("sale_tax_code", "taxCode", "sale_tax_code")}

FEE_LINES = lines(
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
)

SALES_ORDER = Push(
    name="sales_order",
    label="Sales order",
    source="Opportunity",
    target="salesOrder",
    external_id="so",
    when=APPROVED,
    numbered=True,
    closes_lines=True,
    withdrawn="flag",
    made_from="estimate",
    worth=of_lines("Lines", "TotalPrice"),
    fields={
        "entity": link("AccountId", to="customer", required=True),
        "tranDate": date("Funding_Date__c"),
        "currency": currency(),
        "memo": TERMS_IN_WORDS,
        "itemList": FEE_LINES,
        "subsidiary": site("subsidiary", ref="subsidiary"),
    },
)

ONE = const(Decimal(1))
