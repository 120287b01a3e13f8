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


def refreshed(salesforce: MirrorSystem, pull: Pull, totals: Totals, parents: Sequence[str]) -> list[Record]:
    """Read the rows under *parents* and return what must be written so that every balance is right."""
    fields = (totals.parent, totals.amount, totals.running, *totals.order)
    rows = [{**it.fields, "Id": it.ref.id} for it in salesforce.rows_under(pull.target, totals.parent, parents, fields)]
    owners = salesforce.get([Ref(totals.parent_kind, id=it) for it in parents], (totals.start,))
    starts = {
        parent: owner.fields.get(totals.start)
        for parent, owner in zip(parents, owners, strict=True)
        if owner is not None
    }
    return balances(pull.target, totals, rows, starts)


def balances(target: str, totals: Totals, rows: Iterable[Fields], starts: Mapping[str, Decimal | None]) -> list[Record]:
    """Return the write-backs that bring balances up to date; rows that already say so are left out.

    *rows* hold ``Id``, the parent, the amount, the order fields and the running balance as it stands; *starts* gives
    each parent's purchased amount, None where it is empty: then there is no balance to run.
    """
    by_parent: dict[str, list[Fields]] = {parent: [] for parent in starts}
    for row in rows:
        if row[totals.parent] in by_parent:
            by_parent[str(row[totals.parent])].append(row)
    found: list[Record] = []
    for parent, own in by_parent.items():
        start, paid = starts[parent], ZERO
        for row in sorted(own, key=lambda it: tuple(str(it.get(name) or "") for name in totals.order)):
            paid += row.get(totals.amount) or ZERO
            running = None if start is None else start - paid
            if row.get(totals.running) != running:
                found.append(Record(Ref(target, id=str(row["Id"])), {totals.running: running}))
        fields: dict[str, Any] = {totals.total: paid, totals.remaining: None if start is None else start - paid}
        found.append(Record(Ref(totals.parent_kind, id=parent), fields))
    return found
