"""What messages are worth: the money that waits with each, and with many together, by currency.

Must not know: any system, HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Row

from bridge.ledger import plain
from bridge.mapping import Pull, Syncs
from bridge.ports import Ref


def worth(syncs: Syncs, row: Row[Any]) -> tuple[str, Decimal] | None:
    """Return the currency and the amount that wait with a message, None where it is about no money."""
    sync = syncs.pushes.get(row.sync) or syncs.pulls.get(row.sync)
    if sync is None or sync.worth is None:
        return None
    source: Any = plain.loads(row.payload)
    if isinstance(sync, Pull):
        source = source.get("source", {})
    amount = sync.worth(source, syncs.context.site)
    currency = (
        source.get("CurrencyIsoCode")
        or source.get("Currency__c")
        or source.get("currency")
        or syncs.context.site.get("currency")
    )
    named = currency.name if isinstance(currency, Ref) else currency
    return None if amount is None else (str(named or ""), amount)


def sums(syncs: Syncs, rows: Sequence[Row[Any]]) -> dict[str, Decimal]:
    """Return what messages are worth together, by currency."""
    found: dict[str, Decimal] = {}
    for row in rows:
        got = worth(syncs, row)
        if got is not None:
            found[got[0]] = found.get(got[0], Decimal(0)) + got[1]
    return found
