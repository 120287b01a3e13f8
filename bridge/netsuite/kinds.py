"""Which NetSuite record is which: a table of the kinds the bridge speaks of.

``Kind`` says under which namespace a record's type stands, how it is searched for, how heavy it is in a list call and
on which page a person sees it.

Must not know: any value of a record, HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass

CUSTOM = "customrecord"  # script ids of custom record types start with it
CURRENCY_FIELDS = ("currency", "custrecord_bc_currency")  # the second is that of the commission's record type

NAMED = ("customer", "vendor", "contact")  # whose names must be unique, and which a person may adopt

TRANSACTION_WEIGHT = 5
ENTITY_WEIGHT = 2
CUSTOM_WEIGHT = 1
CALL_WEIGHT = 100
# 100 / weight records fit one call: about 20 transactions, 50 entities or 100 custom records is Oracle's advice
# (NetSuite Help section_1537861842); 100 is also the hard limit of upsertList (section_N3418637).


@dataclass(frozen=True, slots=True)
class Kind:
    """One record type. *search* is the type of its basic search; *filter* its value there when it is a transaction."""

    name: str
    namespace: str
    type: str
    search: str | None
    weight: int
    page: str | None = None
    filter: str | None = None
    modified: str = "lastModifiedDate"


def _entity(name: str, page: str) -> Kind:
    word = name[0].upper() + name[1:]
    return Kind(name, "relationships", word, f"{word}SearchBasic", ENTITY_WEIGHT, f"/app/common/entity/{page}.nl")


def _transaction(name: str, namespace: str, page: str) -> Kind:
    return Kind(
        name,
        namespace,
        name[0].upper() + name[1:],
        "TransactionSearchBasic",
        TRANSACTION_WEIGHT,
        f"/app/accounting/transactions/{page}.nl",
        # Enumerations outside the platform schemas carry an underscore (NetSuite Help section_N3421860).
        filter=f"_{name}",
    )


KINDS = {
    kind.name: kind
    for kind in (
        _entity("customer", "custjob"),
        _entity("vendor", "vendor"),
        _entity("contact", "contact"),
        _transaction("estimate", "sales", "estimate"),
        _transaction("salesOrder", "sales", "salesord"),
        _transaction("invoice", "sales", "custinvc"),
        _transaction("purchaseOrder", "purchases", "purchord"),
        _transaction("vendorBill", "purchases", "vendbill"),
        _transaction("customerPayment", "customers", "custpymt"),
        _transaction("creditMemo", "customers", "custcred"),
        _transaction("customerRefund", "customers", "custrfnd"),
        _transaction("customerDeposit", "customers", "custdep"),
        Kind("accountingPeriod", "accounting", "AccountingPeriod", "AccountingPeriodSearchBasic", ENTITY_WEIGHT),
        Kind("currency", "accounting", "Currency", None, ENTITY_WEIGHT, "/app/common/multicurrency/currency.nl"),
    )
}

CUSTOM_RECORD = Kind(
    "customRecord",
    "customization",
    "CustomRecord",
    "CustomRecordSearchBasic",
    CUSTOM_WEIGHT,
    "/app/common/custom/custrecordentry.nl",
    modified="lastModified",  # custom records call it so, all others lastModifiedDate
)


def is_custom(name: str) -> bool:
    """Say whether *name* is the script id of a custom record type."""
    return name.lower().startswith(CUSTOM) and name != CUSTOM_RECORD.name


def kind_of(name: str) -> Kind | None:
    """Return the row of *name*, a record name or the script id of a custom record type; None when it is not held."""
    return CUSTOM_RECORD if is_custom(name) else KINDS.get(name)
