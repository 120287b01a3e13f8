"""Put the operators' console together: the engine, the schedule, the limits, and how people come in."""

from __future__ import annotations

from datetime import UTC, datetime
from wsgiref.types import WSGIApplication

from bridge.app import Bridge
from bridge.deployment import status
from bridge.ledger import accounts, desk
from bridge.mapping.catalogue import Gap, gaps
from bridge.timetable import Timetable
from bridge.web.console import create_console
from bridge.web.desk import Desk, Door, JobRow, Limit, SecondPerson
from bridge.web.provider import Provider


def catalogue(bridge: Bridge) -> list[Gap]:
    """Ask both systems what they sell, and return what is in one catalogue and not in the other."""
    known = bridge.salesforce.facts("Opportunity")
    fees = known["Lines.Fee_Type__c"].choices if "Lines.Fee_Type__c" in known else frozenset()
    there = {
        "sale_item": bridge.netsuite.selectable("salesOrder", "itemList", "item"),
        "purchase_item": bridge.netsuite.selectable("purchaseOrder", "itemList", "item"),
    }
    return list(gaps(bridge.engine.syncs.context.site, sorted(fees), there))


def console(bridge: Bridge, schedule: Timetable | None) -> WSGIApplication:
    """Return the operators' pages."""

    def jobs() -> list[JobRow]:
        if schedule is None:
            return []
        chosen = schedule.chosen()
        return [JobRow(it.name, it.cadence, it.next_run, it.is_running, it.name in chosen) for it in schedule.rows()]

    def limits() -> list[Limit]:
        with bridge.ledger.read() as connection:
            taken, slots = desk.slots(connection, bridge.ledger.now(connection))
        found = [Limit("NetSuite", "calls at once", taken, slots)]
        usage = bridge.salesforce.usage
        return [*found, Limit("Salesforce", "calls a day", *usage)] if usage else found

    def second_person() -> SecondPerson:
        chosen = bridge.site.console
        return SecondPerson(chosen.second_person_above_count, chosen.second_person_above_sum)

    return create_console(
        Desk(
            bridge.engine,
            bridge.settings.environment,
            jobs,
            schedule.run_now if schedule else None,
            schedule.choose if schedule else None,
            limits,
            second_person,
            _door(bridge),
            lambda: status(bridge.shelf, datetime.now(UTC).date()),
            lambda: catalogue(bridge),
        )
    )


def invitation(bridge: Bridge) -> str | None:
    """Return how the first account is made, with a word that makes it once; None where there is a way in already."""
    settings = bridge.settings
    with bridge.ledger.read() as connection:
        has_way_in = bool(settings.oidc_issuer) or accounts.any_account(connection)
    if has_way_in or settings.console_may_be_open:
        return None
    there = f"{settings.console_origin}/sign-in"
    said = f"Nobody can sign in to the console yet: within an hour, make the first account at {there} with"
    return f"{said} {accounts.first_word(bridge.ledger)}"


def _door(bridge: Bridge) -> Door:
    settings, chosen = bridge.settings, bridge.site.console
    # A second factor is kept under the audit key; a trial on one machine needs none.
    asks_code = settings.environment != "sandbox" and bool(settings.audit_key.get_secret_value())
    if not settings.oidc_issuer:
        return Door(settings.console_origin, None, settings.console_may_be_open, asks_code)
    from bridge.web.oidc import Oidc

    provider = Provider(
        settings.oidc_issuer,
        settings.oidc_client_id or "",
        settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else "",
        f"{settings.console_origin}/sign-in/back",
        chosen.people,
        chosen.claim,
        chosen.groups,
        chosen.provider_asks_again,
        allow_loopback=settings.environment != "production",
    )
    return Door(settings.console_origin, Oidc(provider), may_be_open=False, asks_code=asks_code)
