"""Running balances: after remittances were written, what an Application has paid back and what is left.

Added up from what stands in Salesforce, in one order, so that any number of runs gives the same figures.

Must not know: SOAP, HTTP, SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from bridge.mapping import Pull, Totals
from bridge.ports import Fields, MirrorSystem, Record, Ref

SYNC = "balance"
ZERO = Decimal(0)


def refreshed(salesforce: MirrorSystem, pull: Pull, totals: Totals, parents: Sequence[str]) -> dict[str, list[Record]]:
    """Read the rows under *parents* and return, for each, what must be written so that its balance is right."""
    fields = (totals.parent, totals.amount, totals.running, *totals.order)
    rows = [{**it.fields, "Id": it.ref.id} for it in salesforce.rows_under(pull.target, totals.parent, parents, fields)]
    asked = (totals.start, totals.total, totals.remaining)
    owners = salesforce.get([Ref(totals.parent_kind, id=it) for it in parents], asked)
    there = {parent: owner.fields for parent, owner in zip(parents, owners, strict=True) if owner is not None}
    return balances(pull.target, totals, rows, there)


def balances(
    target: str, totals: Totals, rows: Iterable[Fields], parents: Mapping[str, Fields]
) -> dict[str, list[Record]]:
    """Return, for each parent, the write-backs that bring its balance up to date; what already says so is left out.

    *rows* hold ``Id``, the parent, the amount, the order fields and the running balance as it stands; *parents* the
    purchased amount (where it is empty there is no balance to run) and the totals as they stand.
    """
    by_parent: dict[str, list[Fields]] = {parent: [] for parent in parents}
    for row in rows:
        if row[totals.parent] in by_parent:
            by_parent[str(row[totals.parent])].append(row)
    written: dict[str, list[Record]] = {}
    for parent, own in by_parent.items():
        found = written[parent] = []
        start, paid = parents[parent].get(totals.start), ZERO
        for row in sorted(own, key=lambda it: tuple(str(it.get(name) or "") for name in totals.order)):
            paid += row.get(totals.amount) or ZERO
            running = None if start is None else start - paid
            if row.get(totals.running) != running:
                found.append(Record(Ref(target, id=str(row["Id"])), {totals.running: running}))
        fields: dict[str, Any] = {totals.total: paid, totals.remaining: None if start is None else start - paid}
        if any(parents[parent].get(name) != value for name, value in fields.items()):
            found.append(Record(Ref(totals.parent_kind, id=parent), fields))
    return written
