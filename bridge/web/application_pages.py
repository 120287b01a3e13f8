"""One funding unit: an Application with its orders, fees, commission, remittances, balance and timeline.

Must not know: SOAP, SQL beyond `bridge.ledger`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate
from typing import Any

from flask import Flask, abort, render_template, request
from sqlalchemy import Row
from werkzeug.wrappers import Response

from bridge.errors import Rejected
from bridge.ledger import counting, finding, links, plain, unit
from bridge.web.desk import Desk

Page = str | Response


def add(app: Flask, desk: Desk) -> None:
    """Add the routes to *app*."""
    engine = desk.engine

    @app.get("/applications")
    def applications() -> Page:
        search = request.args.get("search", "").strip()[:80]
        counting.fold_names(engine.ledger)
        with engine.ledger.read() as connection:
            rows = finding.applications(connection, search)
            if search and not rows:
                named = finding.names(connection, finding.records(connection, search), of_people=False)
                rows = [row for row in finding.by_sources(connection, list(named)) if row.kind == "Opportunity"]
        return render_template("applications.html", rows=rows, search=search)

    @app.get("/applications/<application_id>")
    def application(application_id: str) -> Page:
        with engine.ledger.read() as connection:
            rows = unit.newest(connection, application_id[:18])
            if not rows or rows[0].source_kind != "Opportunity":
                abort(404)
            made = links.of_source(connection, [rows[0].source_id])
            mirrors = unit.mirrors(connection, [it.target_id for it in made])
            remitted = counting.remitted_of(connection, rows[0].source_id)
            happened = unit.timeline(
                connection, [rows[0].source_id, *(it.target_id for it in made), *{it.payment_id for it in remitted}]
            )
        source: dict[str, Any] = plain.loads(rows[0].payload)
        purchased = source.get("Purchased_Amount__c")
        paid = sum((Decimal(it.amount) for it in remitted), Decimal(0))
        return render_template(
            "application.html",
            row=rows[0],
            source=source,
            currency=source.get("CurrencyIsoCode") or engine.syncs.context.site.get("currency") or "",
            parts=rows,
            made=[(it, desk.netsuite_page(it.target_kind, it.target_id)) for it in made],
            mirrors={it.source_id: _there(desk, it) for it in mirrors},
            remitted=[
                (it, Decimal(it.amount), desk.netsuite_page("customerPayment", it.payment_id)) for it in remitted
            ],
            left=_left(purchased, [Decimal(it.amount) for it in remitted]),
            paid=paid,
            balance=purchased - paid if isinstance(purchased, Decimal) else None,
            page=desk.salesforce_page("Opportunity", rows[0].source_id),
            account=desk.salesforce_page("Account", str(source.get("AccountId") or "")),
            happened=happened,
            labels={it.name: it.label or it.name for it in engine.syncs.every()},
        )


def _there(desk: Desk, reading: Row[Any]) -> dict[str, Any]:
    """Return status and total of a record as NetSuite has them, by the rules of its mirror: kinds name them unlike."""
    syncs, source = desk.engine.syncs, plain.loads(reading.payload).get("source", {})
    fields = syncs.pulls[reading.sync].fields if reading.sync in syncs.pulls else {}
    found = {}
    for word, names in {"status": ("Payable_State__c", "Status__c"), "total": ("Total__c",)}.items():
        rule = next((fields[it] for it in names if it in fields), None)
        try:
            found[word] = rule.value(source, syncs.context) if rule is not None else source.get(word)
        except Rejected:
            found[word] = None
    return found


def _left(purchased: object, amounts: Sequence[Decimal]) -> list[Decimal | None]:
    """Return what was still to come after each remittance."""
    if not isinstance(purchased, Decimal):
        return [None] * len(amounts)
    return [purchased - paid for paid in accumulate(amounts)]
