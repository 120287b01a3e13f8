"""Reference data of a small funding company in NetSuite: subsidiaries, currencies, terms, items, accounts, types.

Internal ids are fixed, so that tests and people find them again.

Must not know: SOAP, HTTP.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from bridge.sandbox.netsuite_store import Link, Store, midnight

FEES = ("Origination Fee", "Underwriting Fee", "Wire Fee", "Legal Fee", "UCC Filing Fee")
PURCHASE = "Purchase of Receivables"
COMMISSION_TYPE = "customrecord_broker_commission"
PAYABLE_STATES = ("Open", "Approved", "Paid")


def seed(store: Store) -> None:
    """Put the reference data into an empty *store*."""
    usd = Link("currency", "1")
    for key, (name, symbol, rate) in enumerate((("US Dollar", "USD", "1.0"), ("Euro", "EUR", "1.1"),
                                                ("Canadian Dollar", "CAD", "0.73")), 1):  # fmt: skip
        base = "true" if key == 1 else "false"
        _add(store, "currency", key, name=name, symbol=symbol, isBaseCurrency=base, isInactive="false",
             exchangeRate=rate)  # fmt: skip
        if base == "false":
            store.rates[str(key), usd.id] = [(date(1970, 1, 1), rate)]
    for key, name in enumerate(("Parent Company", "Funding East"), 1):
        _add(store, "subsidiary", key, name=name, isInactive="false", currency=usd, country="_unitedStates")
    for key, (name, days) in enumerate((("Net 15", 15), ("Net 30", 30), ("Net 60", 60), ("Due on receipt", 0)), 1):
        _add(store, "term", key, name=name, daysUntilNetDue=str(days), isInactive="false")
    for key, name in ((51, "Exempt"), (52, "Standard Rate")):
        _add(store, "salesTaxItem", key, itemId=name, isInactive="false")
    for key, name in ((-1, "Custom"), (1, "Base Price")):
        _add(store, "priceLevel", key, name=name, isInactive="false")
    # Standard statuses have fixed ids in every account (assumption): 13 is a closed-won customer.
    for key, name, stage in ((8, "Prospect", "_prospect"), (13, "Customer-Closed Won", "_customer")):
        _add(store, "customerStatus", key, name=name, stage=stage, isInactive="false")
    accounts = (
        (11, "4000", "Fee Income", "_income"),
        (12, "5000", "Receivables Purchased", "_otherCurrentAsset"),
        (13, "6100", "Commission Expense", "_expense"),
        (14, "1100", "Accounts Receivable", "_accountsReceivable"),
        (15, "2000", "Accounts Payable", "_accountsPayable"),
        (16, "1000", "Checking", "_bank"),
    )
    for key, number, name, type_ in accounts:
        _add(store, "account", key, acctType=type_, acctNumber=number, acctName=name, isInactive="false")
    for key, fee in enumerate(FEES):
        _add(store, "serviceSaleItem", 101 + key, itemId=fee, displayName=fee, salesDescription=fee,
             isInactive="false", incomeAccount=Link("account", "11"))  # fmt: skip
        name = f"{fee} Withheld"
        _add(store, "servicePurchaseItem", 121 + key, itemId=name, displayName=name, isInactive="false",
             expenseAccount=Link("account", "11"))  # fmt: skip
    _add(store, "servicePurchaseItem", 141, itemId=PURCHASE, displayName=PURCHASE, isInactive="false",
         expenseAccount=Link("account", "12"))  # fmt: skip
    for key, name in enumerate(PAYABLE_STATES, 1):
        _add(store, "customListValue", key, name=name, isInactive="false")
    _add(store, "employee", 31, entityId="Dana Approver", isInactive="false")
    _seed_periods(store)
    _add(store, "customRecordType", 139, recordName="Broker Commission", scriptId=COMMISSION_TYPE)


def _seed_periods(store: Store) -> None:
    """Accounting periods: months, within quarters, within years (section_N1448106; ids: assumption)."""
    key = 200
    for year in range(2015, 2036):
        months = [date(year, month, 1) for month in range(1, 13)] + [date(year + 1, 1, 1)]
        for first, last, name, sort in (
            (0, 12, f"FY {year}", "isYear"),
            *((3 * n, 3 * n + 3, f"Q{n + 1} {year}", "isQuarter") for n in range(4)),
            *((n, n + 1, f"{months[n]:%b %Y}", "") for n in range(12)),
        ):
            key += 1
            ends = midnight((months[last] - timedelta(days=1)).isoformat())
            flags = dict.fromkeys(("isYear", "isQuarter", "isAdjust", "closed", "apLocked", "arLocked", "allLocked"),
                                  "false")  # fmt: skip
            flags |= {sort: "true"} if sort else {}
            _add(store, "accountingPeriod", key, periodName=name, startDate=midnight(months[first].isoformat()),
                 endDate=ends, **flags)  # fmt: skip
            if not sort:
                store.periods[f"{months[first]:%Y-%m}"] = store.records["accountingPeriod"][str(key)]


def _add(store: Store, kind: str, key: int, **fields: Any) -> None:
    record = store.new(kind, fixed_id=str(key))
    record.fields = fields
    store.add(record)
