"""What ``bridge pull`` does and shows: one pull, or a backfill with progress, rate and time left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from bridge import matching, operating
from bridge.app import PULLED, Bridge, pulled_by
from bridge.backfill import backfill, tally
from bridge.drift import drifts
from bridge.ledger import backlog, marks
from bridge.pulling import pull
from bridge.surviving import follow
from bridge.terminal import Table, fail, out


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


def moment(given: datetime | None) -> datetime | None:
    """Return a moment of the command line as aware: without a zone it is UTC."""
    return given.replace(tzinfo=UTC) if given is not None and given.tzinfo is None else given


def show_waiting(bridge: Bridge) -> None:
    """Print what waits, reckoned anew; no time is told where the pace is not known."""
    with bridge.ledger.read() as connection:
        now = bridge.ledger.now(connection)
        shut = operating.shut(bridge.engine, connection)
        found = backlog.reckon(connection, now, shut)
        pauses = marks.pauses(connection)
    for pause in pauses:
        since = f"{pause.since:%Y-%m-%d %H:%M:%S} UTC"
        out.print(f"{pause.scope} is paused since {since}: {pause.reason} ({pause.code})", soft_wrap=True, markup=False)
    if not any(it.waiting for it in found):
        out.print("Nothing waits.")
        return
    table = Table("Sync", "Waits", "Done in a minute", "Ready in about")
    for it in found:
        if it.waiting:
            number = f"{'more than ' if it.waiting >= backlog.COUNTED else ''}{it.waiting:,}"
            pace = f"{it.pace_s * 60:,.0f}" if it.pace_s else "not known"
            left = "not known" if it.left is None else str(timedelta(seconds=round(it.left.total_seconds())))
            left = "paused" if it.sync in shut else left
            table.add_row(it.sync, number, pace, left)
    out.print(table)
    minutes = int(backlog.WINDOW.total_seconds() // 60)
    out.print(f"By what was done in the last {minutes} minutes; not known below {backlog.FEWEST} or while it stands.")


def show_suspense(bridge: Bridge) -> None:
    """Print what no Application is known for, with its age; it is matched by itself when one appears."""
    with bridge.ledger.read() as connection:
        now = bridge.ledger.now(connection)
        pulls = bridge.engine.syncs.pulls.values()
        found = [(pull.label, it) for pull in pulls for it in matching.suspense(connection, pull)]
    if not found:
        out.print("Nothing is in suspense.")
        return
    table = Table("Kind", "Number", "Row", "Amount", "Currency", "Days")
    sums: dict[tuple[str, str], Decimal] = {}
    for label, it in found:
        days = str((now - it.since).days)
        table.add_row(label, it.number or it.payment, it.key, f"{it.amount:,.2f}", it.currency, days)
        sums[label, it.currency] = sums.get((label, it.currency), Decimal(0)) + it.amount
    out.print(table)
    for (label, name), amount in sorted(sums.items()):
        out.print(f"In suspense: {label} {name} {amount:,.2f}")


def show_drift(bridge: Bridge) -> None:
    """Print every field of an order that is not as it was sent. As of the last pull."""
    with bridge.ledger.read() as connection:
        found = list(drifts(connection, bridge.engine.syncs))
    if not found:
        out.print("Every order is as it was sent.")
        return
    table = Table("Sync", "Order", "Application", "Field", "Sent", "In NetSuite", "Changed (UTC)")
    for it in found:
        when = f"{it.changed_at:%Y-%m-%d %H:%M}"
        table.add_row(it.sync, it.order, it.source_id, it.field, it.sent, it.found, when)
    out.print(table)


def pull_now(bridge: Bridge, what: str, since: datetime | None, until: datetime | None) -> None:
    """Bring *what* over and write it to Salesforce; with *until*, as a backfill that can be stopped at any time."""
    if what not in PULLED:
        fail(f"There is nothing called '{what}' to pull; there are {', '.join(PULLED)}.")
    if until is not None and (since is None or since >= until):
        fail("A backfill needs --since before --until.")
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    follow(bridge.engine, bridge.netsuite.now(), bridge.settle)  # first: rows must lead to the right Account
    with Progress(*columns, console=out, disable=not out.is_terminal) as bar:
        for name in pulled_by(bridge, what):
            task = bar.add_task(bridge.engine.syncs.pulls[name].label, total=None)

            def step(read: int, total: int, task: Any = task) -> None:
                bar.update(task, completed=read, total=max(total, read))

            if since is not None and until is not None:
                taken = backfill(bridge.engine, name, since, until, settle=bridge.settle, progress=step)
                told = f"{taken.read} read, {taken.stored} new or changed"
                bar.update(task, completed=taken.read, total=taken.read or 1)
            else:
                report = pull(bridge.engine, name, since=since, settle=bridge.settle, progress=step)
                told = report.sentence()
                bar.update(task, completed=report.read, total=report.read or 1)
            bar.console.print(f"{name}: {told}")
        task = bar.add_task("writing to Salesforce", total=None)
        written = 0
        while (count := bridge.engine.deliver([*pulled_by(bridge, what), "balance", "status"])) > 0:
            written += count
            bar.update(task, completed=written)
    if since is not None and until is not None:
        tallies = {name: tally(bridge.engine, name, since, until) for name in pulled_by(bridge, what)}
        for name, found in tallies.items():
            out.print(f"{name}: {found.sentence()}.")
        if not all(it.ties for it in tallies.values()):
            fail("The backfill is not complete; run it again, and look at 'bridge errors'.")
