"""In shadow mode everything happens but writing, and what would have been written is said; then nothing is lost."""

from __future__ import annotations

from bridge import operating, shadow


def salesforce(house) -> list[dict[str, object]]:
    """Everything in Salesforce that the bridge could have written."""
    kinds = ("Account", "Opportunity", "NetSuite_Order__c", "Remittance__c")
    return [{k: v for k, v in row.items() if "NetSuite" in k or kind.endswith("__c")}
            for kind in kinds for row in house.sf.rows(kind)]  # fmt: skip


def test_nothing_is_written_and_what_would_be_is_said(house):
    known = house.account("Known already", Phone="1")
    house.push(known)
    shadow.start(house.engine, actor="ann", reason="a week beside the old way")
    house.sf.update(known, Phone="2")
    account = house.account("New here")
    application = house.application(account)
    written, held = house.writes(), salesforce(house)

    states = house.push(known, account, application, budget_s=1)
    house.drain()
    seen = shadow.foresee(house.engine, last=50)

    assert shadow.is_on(house.engine)
    assert {it.state for it in states.values()} == {"pending"}
    assert (house.writes(), salesforce(house), seen.wrote) == (written, held, 0)
    said = {(it.sync, it.salesforce_id): it for it in seen.records}
    assert said["customer", account].what == "create"
    order = said["sales_order", application]
    assert (order.what, order.reason) == ("create", f"after customer {account}")
    update = said["customer", known]
    assert (update.what, [(it.field, it.now, it.then) for it in update.changes]) == ("update", [("phone", "1", "2")])

    assert shadow.end(house.engine, actor="ann")
    house.drain()
    there = house.engine.standing([known, account, application])
    assert {it.state for it in there.values()} == {"delivered"}
    assert house.there("customer", f"sf-cus-{known}").fields["phone"] == "2"
    assert house.there("salesOrder", f"sf-so-{application}")
    assert {it.actor for it in house.audit(action="paused")} == {"ann"}


def test_what_a_pull_would_write_is_said_too(house):
    application = house.application(house.account())
    house.push(application)
    shadow.start(house.engine, actor="ann", reason="first look")
    house.clock.advance(minutes=10)

    house.pull("sales_order_mirror")

    mirrored = [it for it in shadow.foresee(house.engine, last=50).records if it.sync == "sales_order_mirror"]
    assert {it.what for it in mirrored} == {"create"}
    assert any("NetSuite_Order__c salesOrder-" in str(it.reason) for it in mirrored)
    assert house.sf.rows("NetSuite_Order__c") == []
    shadow.end(house.engine, actor="ann")
    house.drain()
    assert house.sf.rows("NetSuite_Order__c")


def test_the_shadow_ends_no_pause_of_another_reason(house):
    operating.pause(house.engine, "*netsuite", actor="bob", reason="month end")
    shadow.start(house.engine, actor="ann", reason="a look")

    shadow.end(house.engine, actor="ann")

    with house.ledger.read() as connection:
        left = connection.exec_driver_sql("SELECT scope, code FROM pause").all()
    assert [tuple(it) for it in left] == [("*netsuite", "PAUSED_BY_PERSON")]
