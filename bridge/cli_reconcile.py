"""What ``bridge reconcile`` does and shows: what differs between Salesforce, the ledger and NetSuite."""

from __future__ import annotations

from itertools import islice
from typing import Any

from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bridge import recovering
from bridge.app import Bridge
from bridge.ledger import differences
from bridge.mending import mend
from bridge.reconcile import Compared, compare
from bridge.sweep import sweep
from bridge.terminal import Table, out, person

SHOWN = 40


def reconcile(bridge: Bridge, *, apply: bool, amounts: bool, every: bool) -> int:
    """Compare, show, and with *apply* put right. Returns how many differences there were."""
    engine = bridge.engine
    waits = recovering.is_on(bridge.ledger)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed}"), TimeElapsedColumn())
    with Progress(*columns, console=out, disable=not out.is_terminal) as bar:
        tasks: dict[str, Any] = {}
        if apply or waits:
            # What was saved since the ledger's last look is received first: an older save must never be sent.
            bar.console.print(f"sweep: {sweep(engine).sentence()}")

        def step(what: str, read: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=None)
            bar.update(tasks[what], completed=read)

        found = compare(engine, progress=step)
    _show(bridge, found, every)
    if not apply:
        if found.differing():
            out.print("'bridge reconcile --apply' links again and sends what is missing or older; nothing was written.")
        if waits:
            out.print("Nothing is sent to NetSuite until 'bridge reconcile --apply' or \"bridge resume '*netsuite'\".")
        return found.differing()
    done = mend(engine, actor=person(), amounts=amounts)
    out.print(f"{done.linked} linked again, {done.received} on their way again, {done.left} left to a person.")
    if waits and found.left_out:
        # What was not compared may have been delivered, and forgotten.
        out.print("NetSuite stays paused, for not all was compared. Mend it, or \"bridge resume '*netsuite'\".")
        return found.differing()
    recovering.end(engine, actor=person(), is_whole=not found.left_out)
    while engine.deliver(most=50):
        pass
    return found.differing()


def _show(bridge: Bridge, found: Compared, every: bool) -> None:
    totals = Table("Sync", "Currency", "In scope", "In NetSuite", "Compared", "Salesforce", "NetSuite", "Differ")
    for name in bridge.engine.syncs.pushes:
        sums = [(currency, it) for (sync, currency), it in found.sums.items() if sync == name]
        differ = sum(count for (sync, _), count in found.counts.items() if sync == name)
        counts = (str(found.in_scope.get(name, 0)), str(found.there.get(name, 0)))
        for currency, it in sums:
            amounts = (str(it.count), f"{it.ours:,.2f}", f"{it.theirs:,.2f}")
            totals.add_row(name, currency, *counts, *amounts, str(differ))
        if not sums:
            totals.add_row(name, "", *counts, "", "", "", str(differ))
    out.print(totals)
    table = Table("Sync", "What", "Salesforce", "NetSuite", "Since (UTC)", "Who", "Why")
    with bridge.ledger.read() as connection:
        listed = list(islice(differences.every(connection), None if every else SHOWN))
    for one in listed:
        when = f"{one.since:%Y-%m-%d %H:%M}"
        ids = (one.source_id, one.target_id or "")
        table.add_row(one.sync, one.what, *ids, when, one.who, escape(one.sentence))
    if listed:
        out.print(table)
    if found.differing() > len(listed):
        out.print(f"… and {found.differing() - len(listed)} more; --all lists them.")
    out.print(f"{found.sentence()}; {found.waiting} on their way or on a desk.")
