"""The overview, which a person reads in five seconds, and the figures over time.

Must not know: SOAP, SQL beyond `bridge.ledger`.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from flask import Flask, render_template
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from bridge import weighing
from bridge.ledger import backlog, counting, finding, incidents, marks, plain, triage
from bridge.ledger import desk as looking
from bridge.ledger.models import NEEDS_PERSON, OPEN
from bridge.ports import Ref
from bridge.web.desk import Desk
from bridge.web.plots import Plot, Series
from bridge.web.words import obj, span

Page = str | Response

ORDERS = ("salesOrder", "purchaseOrder")
LOOKED_AT = 400  # orders that wait, and invoices, that one page adds up
LATE = timedelta(minutes=30)  # what waits longer is worth a look


def add(app: Flask, desk: Desk) -> None:
    """Add the routes to *app*."""
    engine = desk.engine
    money = [it.name for it in engine.syncs.every() if it.worth is not None]

    @app.get("/")
    def overview() -> Page:
        with engine.ledger.read() as connection:
            now = engine.ledger.now(connection)
            counts = finding.counts(connection, [*OPEN, *NEEDS_PERSON])
            held, are_more_held = finding.held(connection)
            oldest = finding.oldest_waiting(connection, money)
            waits_since = looking.waiting_since(connection, now) if any(counts.get(it) for it in OPEN) else None
            hours = counting.hours(connection, now)
            waits = counting.waits(connection, now)
            pauses, runs = marks.pauses(connection), marks.last_runs(connection)
            worries = incidents.open_ones(connection)
            late = looking.came_late(connection, now - timedelta(days=1))
            plans = triage.count_waiting(connection)
            bulk = [it for it in backlog.read(connection, now) if it.waiting >= backlog.FEWEST]
            causes = finding.causes(connection)[:5]
        # Pauses and failures are told on this page in another way.
        others = [it for it in worries if it.key.split(":", 1)[0] not in ("paused", "failed", "local")]
        local = [it.key.removeprefix("local:") for it in worries if it.key.startswith("local:")]
        waiting = sum(counts.get(it, 0) for it in OPEN)
        person = sum(counts.get(it, 0) for it in NEEDS_PERSON)
        lag = now - waits_since if waits_since else timedelta(0)
        mood = "bad" if pauses else "warn" if lag > LATE or person or others else "good"
        return render_template(
            "overview.html",
            now=now,
            mood=mood,
            waiting=waiting,
            person=person,
            held=held,
            are_more_held=are_more_held,
            most=finding.COUNTED,
            lag=lag,
            bulk=[(it, _label(desk, it.sync)) for it in bulk],
            most_bulk=backlog.COUNTED,
            oldest=oldest,
            oldest_worth=weighing.worth(engine.syncs, oldest) if oldest is not None else None,
            delivered=sum(it.outcomes.get("delivered", 0) for it in hours),
            last_hours=sum(it.outcomes.get("delivered", 0) for it in hours[-2:]),
            waits=[(obj(_source(desk, sync)), _label(desk, sync), *times) for sync, times in waits.items()],
            pauses=pauses,
            worries=others,
            local=local,
            late=late,
            plans=plans,
            causes=causes,
            limits=desk.limits(),
            jobs=desk.jobs(),
            runs=runs,
        )

    @app.get("/figures")
    def figures() -> Page:
        with engine.ledger.read() as connection:
            now = engine.ledger.now(connection)
            hours = counting.hours(connection, now)
            samples = counting.samples(connection, now - timedelta(days=1))
            month = f"{now - timedelta(days=30):%Y-%m-%d}"
            days = counting.remitted_by_day(connection, month)
            waiting, billed = _waiting(desk, connection), _billed(desk, connection, month)
        labels = [it.at[-2:] + ":00" for it in hours]
        plots = [
            Plot(
                "Delivered, by hour", labels, [Series("delivered", [it.outcomes.get("delivered", 0) for it in hours])],
                _whole, "bars",
            ),
            Plot(
                "From save to NetSuite, by hour", labels,
                [Series("half within", [it.half_s for it in hours]),
                 Series("95 % within", [it.most_s for it in hours])],
                span,
            ),
            Plot(
                "Waiting, every five minutes", [at[-5:] for at, _, _ in samples],
                [Series("on the way", [it for _, it, _ in samples]),
                 Series("needs a person", [it for *_, it in samples])],
                _whole,
            ),
        ]  # fmt: skip
        wanted = [f"{now - timedelta(days=ago):%Y-%m-%d}" for ago in reversed(range(31))]
        for currency, sums in sorted(days.items()):
            known: dict[str, Decimal] = dict(sums)
            values = [float(known.get(day, 0)) for day in wanted]  # of a picture; no amount is computed from it
            title = f"Remitted by day{f', {currency}' if currency else ''}"
            plots.append(Plot(title, [it[5:] for it in wanted], [Series("remitted", values)], _whole, "bars"))
        steps = [*waiting, "billed", "remitted"]
        for currency in sorted({*billed, *days, *(it for sums in waiting.values() for it in sums)}):
            total = {**{name: sums.get(currency, Decimal(0)) for name, sums in waiting.items()},
                     "billed": billed.get(currency, Decimal(0)),
                     "remitted": sum((amount for _, amount in days.get(currency, ())), Decimal(0))}  # fmt: skip
            title = f"From approved to remitted{f', {currency}' if currency else ''}"
            together = Series("together", [float(total[it]) for it in steps])  # of a picture, as below
            plots.insert(0, Plot(title, steps, [together], _cents, "bars"))
        return render_template("figures.html", plots=plots, most=LOOKED_AT)


def _waiting(desk: Desk, connection: Connection) -> dict[str, dict[str, Decimal]]:
    """Return what is approved and not in NetSuite yet: for each kind of order, sums by currency."""
    syncs = desk.engine.syncs
    return {
        f"{it.label or it.name} waiting": weighing.sums(syncs, finding.waiting_of(connection, it.name, LOOKED_AT))
        for it in syncs.pushes.values()
        if it.target in ORDERS and it.worth is not None
    }


def _billed(desk: Desk, connection: Connection, since: str) -> dict[str, Decimal]:
    """Return the invoices that are dated since then, as they were last read, summed by currency."""
    found: dict[str, Decimal] = {}
    for pull in (it for it in desk.engine.syncs.pulls.values() if it.source == "invoice"):
        for stored in finding.read_lately(connection, pull.name, LOOKED_AT):
            invoice = plain.loads(stored).get("source", {})
            total, day, currency = invoice.get("total"), str(invoice.get("tranDate") or ""), invoice.get("currency")
            if isinstance(total, Decimal) and day[:10] >= since:
                name = (currency.name if isinstance(currency, Ref) else currency) or ""
                name = str(name or desk.engine.syncs.context.site.get("currency") or "")
                found[name] = found.get(name, Decimal(0)) + total
    return found


def _cents(value: float) -> str:
    return f"{value:,.2f}"


def _whole(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 or value == int(value) else f"{value:,.1f}"


def _source(desk: Desk, sync: str) -> str:
    push = desk.engine.syncs.pushes.get(sync)
    return push.source if push else ""


def _label(desk: Desk, sync: str) -> str:
    push = desk.engine.syncs.pushes.get(sync)
    return push.label if push else sync
