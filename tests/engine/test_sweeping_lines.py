"""The sweep finds fee lines that were changed or deleted, although the Application's own stamp has not moved."""

from __future__ import annotations

from decimal import Decimal

from bridge.sweep import sweep


def silently(house, change):
    """Make a change that no trigger tells of, as a bulk load with triggers switched off does."""
    triggers, house.sf.org.triggers = house.sf.org.triggers, Silent()
    try:
        change()
    finally:
        house.sf.org.triggers = triggers
    house.clock.advance(seconds=5)


class Silent:
    def before(self, transaction, kind, old, new, *, again=False):
        return False

    def deleted(self, transaction, kind, row):
        pass

    def committed(self, transaction):
        pass


def funded(house):
    account = house.account()
    application = house.application(account, ("Wire Fee", "25.00"), ("Origination Fee", "500.00"))
    house.push(account, application)
    house.push(application)
    house.clock.advance(seconds=5)
    sweep(house.engine)
    house.drain()
    house.clock.advance(minutes=20)
    lines = {row["Fee_Type__c"]: row["Id"] for row in house.sf.rows("OpportunityLineItem")}
    return application, lines


def amounts(house, application):
    lines = house.there("salesOrder", f"sf-so-{application}").fields["itemList"]
    return sorted(Decimal(line["amount"]) for line in lines)


def test_a_changed_line_is_found_although_its_application_was_not_touched(house):
    application, lines = funded(house)
    silently(house, lambda: house.sf.update(lines["Wire Fee"], UnitPrice="30.00"))

    report = sweep(house.engine)
    house.drain()

    assert report.late == 1
    assert amounts(house, application) == [Decimal("30.00"), Decimal("500.00")]


def test_a_deleted_line_is_found_although_its_application_was_not_touched(house):
    application, lines = funded(house)
    silently(house, lambda: house.sf.delete(lines["Wire Fee"]))

    report = sweep(house.engine)
    house.drain()

    assert report.late == 1
    assert amounts(house, application) == [Decimal("500.00")]


def test_a_second_sweep_over_the_same_lines_finds_nothing_new(house):
    _, lines = funded(house)
    silently(house, lambda: house.sf.update(lines["Wire Fee"], UnitPrice="30.00"))
    sweep(house.engine)
    house.drain()
    before = house.writes()

    report = sweep(house.engine)
    house.drain()

    assert report.late == 0
    assert house.writes() == before
