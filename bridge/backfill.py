"""Bring years of NetSuite's records over: with a watermark of its own, so that it goes on where it was stopped.

`backfill` reads and stores, `tally` compares what NetSuite counts, what the ledger holds and what Salesforce shows.

Must not know: SOAP, HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bridge import unfinished
from bridge.carrying import Stream
from bridge.delivery import Delivery
from bridge.ledger import links, marks, plain, pulled
from bridge.ledger.models import HELD, NEEDS_PERSON, OPEN
from bridge.mapping import Pull
from bridge.ports import Record, Ref
from bridge.pulling import SETTLE, Progress, Taken, last_moment, move, take

AMOUNTS = {"customerPayment": "payment"}  # the field of a record that its rows must add up to; others: total
SHOWN = ("Total__c", "Amount__c")
CHUNK = 200
SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class Tally:
    """What there is of a range on each side. *amounts* by currency: NetSuite's, Salesforce's.

    *read* are records in the ledger, *written* those with rows in Salesforce, *not_ours* belong to nobody there.
    """

    counted: int = 0
    read: int = 0
    written: int = 0
    not_ours: int = 0
    waiting: int = 0
    refused: int = 0
    amounts: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)

    @property
    def ties(self) -> bool:
        """Say whether nothing is missing. What changed since it was read has left the range NetSuite counts."""
        complete = self.counted <= self.read == self.written + self.not_ours
        return complete and all(there == here for there, here in self.amounts.values())

    def sentence(self) -> str:
        sums = ", ".join(f"{name} {there:,.2f} / {here:,.2f}" for name, (there, here) in sorted(self.amounts.items()))
        rest = f", {self.waiting} waiting, {self.refused} refused" if self.waiting or self.refused else ""
        counts = f"{self.counted} counted by NetSuite, {self.read} read, {self.written} in Salesforce"
        end = "everything ties" if self.ties else "this does not tie"
        return f"{counts}, {self.not_ours} belong to nobody there{rest}; NetSuite / Salesforce: {sums or 'none'}; {end}"


def backfill(
    engine: Delivery,
    name: str,
    since: datetime,
    until: datetime,
    *,
    settle: timedelta = SETTLE,
    progress: Progress = lambda read, total: None,
) -> Taken:
    """Read what changed in ``[since, until]`` and store it; called again after a stop, go on from the last window.

    The range is what names it: another range is another backfill. Raises Deferred or Misconfigured from NetSuite.
    """
    sync = engine.syncs.pulls[name]
    end = last_moment(engine, until, None, settle)
    job = f"backfill:{name}:{int(since.timestamp())}-{int(until.timestamp())}"
    with engine.ledger.read() as connection:
        mark = marks.read_watermark(connection, job)
    taken = Taken()
    if mark is not None and mark >= end:
        return taken
    start = since if mark is None else max(since, mark - SECOND)
    unfinished.wait(engine.ledger, engine.salesforce, name, engine.stopping)
    with Stream(engine, sync, taken.correlation) as stream:
        for reached_by in take(stream, start, end, taken, progress):
            if reached_by > start:
                move(engine, job, reached_by)
    return taken


def tally(engine: Delivery, name: str, since: datetime, until: datetime) -> Tally:
    """Compare both sides of a range, after it was delivered. Raises Deferred or Misconfigured."""
    sync = engine.syncs.pulls[name]
    found = Tally(counted=engine.netsuite.count(sync.source, since, until))
    after = ""
    while True:
        with engine.ledger.read() as connection:
            rows = pulled.between(connection, name, since, until, after, CHUNK)
            known = links.find(connection, [(name, row.source_id) for row in rows])
        if not rows:
            return found
        after = rows[-1].source_id
        there: dict[str, tuple[str, Decimal]] = {}
        for row in rows:
            found.read += 1
            link = known.get((name, row.source_id))
            if link is not None and link.parts.get("keys"):
                found.written += 1
                there.update(_expected(sync, link.parts["keys"], plain.loads(row.payload).get("source")))
            elif row.state == HELD:
                found.not_ours += 1
            found.waiting += row.state in OPEN
            found.refused += row.state in NEEDS_PERSON
        _add(found, there, _shown(engine, sync, there))


def _expected(sync: Pull, keys: Iterable[str], source: dict[str, Any] | None) -> dict[str, tuple[str, Decimal]]:
    """Return each row's currency, and the amount of the record with the first of its rows."""
    if source is None:
        return {}
    amount = source.get(AMOUNTS.get(sync.source, "total")) or Decimal(0)
    currency = source.get("currency")
    symbol = str((currency.name if isinstance(currency, Ref) else currency) or "")
    return {key: (symbol, amount if place == 0 else Decimal(0)) for place, key in enumerate(keys)}


def _shown(engine: Delivery, sync: Pull, keys: Iterable[str]) -> dict[str, Decimal]:
    name = next(it for it in SHOWN if it in sync.fields)
    asked = list(keys)
    rows: list[Record | None] = engine.salesforce.get([Ref(sync.target, external_id=it) for it in asked], (name,))
    return {key: row.fields.get(name) or Decimal(0) for key, row in zip(asked, rows, strict=True) if row is not None}


def _add(found: Tally, there: dict[str, tuple[str, Decimal]], here: dict[str, Decimal]) -> None:
    for key, (currency, amount) in there.items():
        netsuite, salesforce = found.amounts.get(currency, (Decimal(0), Decimal(0)))
        found.amounts[currency] = (netsuite + amount, salesforce + here.get(key, Decimal(0)))
