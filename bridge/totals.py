"""Running balances: after remittances were written, what an Application has paid back and what is left.

Added up from what stands in Salesforce, in one order, so that any number of runs gives the same figures.

Must not know: SOAP, HTTP, SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from bridge.errors import BridgeError, Rejected
from bridge.mapping import Pull, Totals
from bridge.ports import Fields, MirrorSystem, RateSource, Record, Ref

SYNC = "balance"
ZERO = Decimal(0)
CENT = Decimal("0.01")
ISO = "CurrencyIsoCode"  # of an organisation with several currencies


@dataclass(frozen=True, slots=True)
class Money:
    """How amounts of other currencies are converted: whose rates, the site's own currency, and the rate of which day.

    *rate_of* is ``posting`` (the day of the payment) or ``deal`` (the day of the funding).
    """

    rates: RateSource
    currency: str
    rate_of: str


def refreshed(
    salesforce: MirrorSystem, pull: Pull, totals: Totals, parents: Sequence[str], money: Money
) -> dict[str, list[Record] | BridgeError]:
    """Read the rows under *parents* and return, for each, what must be written so that its balance is right."""
    fields = (totals.parent, totals.amount, totals.running, totals.currency, *totals.converted, *totals.order)
    rows = [{**it.fields, "Id": it.ref.id} for it in salesforce.rows_under(pull.target, totals.parent, parents, fields)]
    asked = (totals.start, totals.total, totals.remaining, totals.agreed, ISO)
    owners = salesforce.get([Ref(totals.parent_kind, id=it) for it in parents], asked)
    there = {parent: owner.fields for parent, owner in zip(parents, owners, strict=True) if owner is not None}
    return balances(pull.target, totals, rows, there, money)


def balances(
    target: str, totals: Totals, rows: Iterable[Fields], parents: Mapping[str, Fields], money: Money
) -> dict[str, list[Record] | BridgeError]:
    """Return, for each parent, the write-backs that bring its balance up to date; what already says so is left out.

    *rows* hold ``Id``, the parent, the amount, the order fields and the running balance as it stands; *parents* the
    purchased amount (where it is empty there is no balance to run) and the totals as they stand. A parent whose
    amounts cannot be converted gets the error instead: amounts of two currencies are never added up as they are.
    """
    by_parent: dict[str, list[Fields]] = {parent: [] for parent in parents}
    for row in rows:
        if row[totals.parent] in by_parent:
            by_parent[str(row[totals.parent])].append(row)
    written: dict[str, list[Record] | BridgeError] = {}
    for parent, own in by_parent.items():
        try:
            written[parent] = _balance(target, totals, parent, own, parents[parent], money)
        except BridgeError as error:
            written[parent] = error
    return written


def _balance(
    target: str, totals: Totals, parent: str, rows: Sequence[Fields], owner: Fields, money: Money
) -> list[Record]:
    found: list[Record] = []
    start, paid = owner.get(totals.start), ZERO
    for row in sorted(rows, key=lambda it: tuple(str(it.get(name) or "") for name in totals.order)):
        amount, converted = _converted(totals, row, owner, money)
        paid += amount
        fields: dict[str, Any] = {totals.running: None if start is None else start - paid, **converted}
        if any(row.get(name) != value for name, value in fields.items()):
            found.append(Record(Ref(target, id=str(row["Id"])), fields))
    sums: dict[str, Any] = {totals.total: paid, totals.remaining: None if start is None else start - paid}
    if any(owner.get(name) != value for name, value in sums.items()):
        found.append(Record(Ref(totals.parent_kind, id=parent), sums))
    return found


def _converted(totals: Totals, row: Fields, owner: Fields, money: Money) -> tuple[Decimal, dict[str, Any]]:
    """Return the amount of *row* in its owner's currency; and amount, rate and day, to be shown where it was converted.

    Raises Rejected where NetSuite has no rate for that day.
    """
    amount: Decimal = row.get(totals.amount) or ZERO
    shown = totals.converted
    source, wanted = str(row.get(totals.currency) or ""), str(owner.get(ISO) or money.currency)
    if not source or source == wanted:
        return amount, {name: None for name in shown if row.get(name) is not None}
    day = row.get(totals.posted) if money.rate_of == "posting" else owner.get(totals.agreed) or row.get(totals.posted)
    rate = money.rates.rate(source, wanted, day) if isinstance(day, date) else None
    if rate is None:
        raise Rejected(
            f"NetSuite has no exchange rate from {source} to {wanted} for {day}.", code="RATE_UNKNOWN", who="accounting"
        )
    own = (amount * rate).quantize(CENT, ROUND_HALF_UP)
    return own, dict(zip(shown, (own, rate, day), strict=True))


def remitted(pull: object, payment_id: str, records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    """Yield what a payment's rows say that was remitted, for plots and for the page of an Application."""
    if not isinstance(pull, Pull) or pull.totals is None:
        return
    for one in records:
        fields = one.fields
        if one.ref.kind != pull.target or fields.get(pull.totals.amount) is None:
            continue
        parent, day = fields.get(pull.totals.parent), fields.get(pull.totals.order[0])
        yield {
            "row_key": str(one.ref.external_id),
            "application_id": str(parent.id) if isinstance(parent, Ref) and parent.id else None,
            "payment_id": payment_id,
            "number": fields.get("Payment_Number__c"),
            "day": day.isoformat() if isinstance(day, date) else None,
            "amount": fields[pull.totals.amount],
            "currency": fields.get("Currency__c"),
        }
