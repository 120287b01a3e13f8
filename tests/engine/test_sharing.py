"""Fields that Salesforce and NetSuite both may change: no edit is lost, and what both changed a person decides (39)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge import handling, operating, sharing
from bridge.errors import Rejected
from bridge.ledger import triage
from bridge.mapping import Syncs
from bridge.preview import preview


def shared(house, *names, sync="customer"):
    """Share fields of a sync, as ``owner = "shared"`` in ``bridge.toml`` does."""
    pushes = dict(house.syncs.pushes)
    pushes[sync] = replace(pushes[sync], shared=names)
    house.syncs = house.engine.syncs = Syncs(pushes, house.syncs.pulls, house.syncs.context)
    return house


@pytest.fixture
def acme(house):
    shared(house, "phone")
    account = house.account(Phone="1")
    house.push_one(account)
    return account


def customer(house):
    (made,) = house.made("customer")
    return made


def edit(house, **fields):
    """Accounting edits the customer on NetSuite's page."""
    with house.ns.lock:
        made = customer(house)
        made.fields |= fields
        house.ns.store.changed(made)


def choose(house, account, side):
    number = house.message("customer", account).id
    said = handling.at_once(house.engine, "choose", [number], value=side, reason="", actor="accountant")
    house.drain()
    return said


def test_what_nobody_changed_in_netsuite_is_written(house, acme):
    house.sf.update(acme, Phone="2")

    assert house.push_one(acme).state == "delivered"
    assert customer(house).fields["phone"] == "2"


def test_what_accounting_changed_is_left_alone_and_the_rest_is_written(house, acme):
    edit(house, phone="9")
    house.sf.update(acme, Website="acme.example")

    assert house.push_one(acme).state == "delivered"
    assert (customer(house).fields["phone"], customer(house).fields["url"]) == ("9", "https://acme.example")


def test_what_both_changed_waits_for_a_person_with_both_values(house, acme):
    edit(house, phone="9")
    house.sf.update(acme, Phone="2", Website="acme.example")
    writes = house.writes()

    standing = house.push_one(acme)

    assert (standing.state, standing.error.code, standing.error.who) == (
        "rejected", "CHANGED_ON_BOTH_SIDES", "accounting",
    )  # fmt: skip
    assert "'2' in Salesforce, '9' in NetSuite" in standing.error.message
    assert house.writes() == writes
    assert not [row for row in house.audit() if row.detail and "'9'" in row.detail], "the audit holds no values"


@pytest.mark.parametrize(("side", "phone"), [("salesforce", "2"), ("netsuite", "9")])
def test_a_person_chooses_one_and_the_next_saves_keep_to_it(house, acme, side, phone):
    edit(house, phone="9")
    house.sf.update(acme, Phone="2", Website="acme.example")
    house.push_one(acme)

    said = choose(house, acme, side)
    chosen = (customer(house).fields["phone"], customer(house).fields["url"])
    house.sf.update(acme, Website="other.example")
    house.push_one(acme)

    assert said == "1 of 1 decided and on their way."
    assert chosen == (phone, "https://acme.example")
    assert (customer(house).fields["phone"], customer(house).fields["url"]) == (phone, "https://other.example")
    assert [row.actor for row in house.audit(action="chosen")] == ["accountant"]


def test_a_choice_holds_only_for_what_the_person_saw(house, acme):
    edit(house, phone="9")
    house.sf.update(acme, Phone="2")
    house.push_one(acme)
    edit(house, phone="10")

    choose(house, acme, "salesforce")

    assert customer(house).fields["phone"] == "10"
    assert "'10' in NetSuite" in house.message("customer", acme).reason


def test_the_same_change_on_both_sides_is_no_conflict(house, acme):
    edit(house, phone="2")
    house.sf.update(acme, Phone="2")

    assert house.push_one(acme).state == "delivered"


def test_a_field_that_is_shared_from_now_on_is_not_written_over_unseen(house):
    account = house.account(Phone="1")
    house.push_one(account)
    edit(house, phone="9")
    shared(house, "phone")
    house.sf.update(account, Phone="2")

    assert house.push_one(account).error.code == "CHANGED_ON_BOTH_SIDES"


def test_what_netsuite_writes_its_own_way_is_no_change_by_accounting(house, monkeypatch):
    """Fault 38: a script there may rewrite what was sent."""
    shared(house, "phone")
    rewrite = house.ns.store.changed

    def scripted(record):
        if record.fields.get("phone", "").isdigit():
            record.fields["phone"] = f"({record.fields['phone']})"
        rewrite(record)

    account = house.account(Phone="1")
    house.push_one(account)
    monkeypatch.setattr(house.ns.store, "changed", scripted)
    for phone in ("2", "3", "4"):
        house.sf.update(account, Phone=phone)
        assert house.push_one(account).state == "delivered"


def test_a_lost_answer_does_not_look_like_accountings_change(house, acme):
    house.ns.faults.add("drop", operation="upsert*", record="customer")
    house.sf.update(acme, Phone="2")
    house.push_one(acme, budget_s=1)
    house.clock.advance(minutes=3)
    house.drain()
    house.sf.update(acme, Phone="3")

    assert house.push_one(acme).state == "delivered"
    assert customer(house).fields["phone"] == "3"


def test_replaying_a_conflict_without_a_choice_changes_nothing(house, acme):
    edit(house, phone="9")
    house.sf.update(acme, Phone="2")
    house.push_one(acme)

    operating.replay(house.engine, [house.message("customer", acme).id], actor="operator")
    house.drain()

    assert customer(house).fields["phone"] == "9"
    assert house.message("customer", acme).code == "CHANGED_ON_BOTH_SIDES"


def test_only_a_side_can_be_chosen(house, acme):
    with pytest.raises(Rejected, match="salesforce or netsuite"):
        choose(house, acme, "both")


def test_a_preview_tells_a_conflict_and_what_is_left_alone(house, acme):
    edit(house, phone="9")
    house.sf.update(acme, Website="acme.example")
    left = preview(house.ledger, house.netsuite, house.salesforce, house.syncs, last=5, sync="customer")
    house.sf.update(acme, Phone="2")
    conflict = preview(house.ledger, house.netsuite, house.salesforce, house.syncs, last=5, sync="customer")

    assert [it.field for it in left.records[0].changes] == ["url"]
    assert (conflict.records[0].what, "CHANGED_ON_BOTH_SIDES" in conflict.records[0].reason) == ("reject", True)


def test_a_mapping_that_shares_nothing_costs_no_call_more(house):
    account = house.account(Phone="1")
    house.push_one(account)
    before = house.calls().copy()
    house.sf.update(account, Phone="2")

    house.push_one(account)

    assert (house.calls() - before) == {"upsert": 1}


class Model:
    """One shared field and another one, as two people and the bridge see them."""

    def __init__(self) -> None:
        self.ours = self.theirs = "1"
        self.pair = ("1", "1")  # what each said when both last agreed
        self.other: str | None = None
        self.sent: tuple[str, str | None] = ("1", None)
        self.waits: tuple[str, str | None] | None = None  # the save that is on the desk
        self.seen = ""  # what NetSuite held when the desk was told

    @property
    def is_news(self) -> bool:
        return (self.ours, self.other) != (self.waits or self.sent)

    def save(self, ours: str, other: str | None, side: str | None = None) -> None:
        """The bridge takes a save, or one again with the side that a person has chosen."""
        is_chosen = side is not None and self.theirs == self.seen
        if ours != self.theirs and ours != self.pair[0]:
            if self.theirs != self.pair[1] and not is_chosen:
                self.waits, self.seen = (ours, other), self.theirs
                return
            if self.theirs == self.pair[1] or side == "salesforce":
                self.theirs = ours
            self.pair = (ours, self.theirs)
        elif ours == self.theirs:
            self.pair = (ours, ours)
        self.sent, self.waits = (ours, other), None


STEPS = st.one_of(
    st.tuples(st.just("salesforce"), st.sampled_from("123")),
    st.tuples(st.just("netsuite"), st.sampled_from("123")),
    st.tuples(st.just("other"), st.sampled_from("ab")),
    st.tuples(st.just("choose"), st.sampled_from(sharing.SIDES)),
)


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(STEPS, st.booleans()), max_size=9))
def test_two_writers_never_lose_an_edit(house, steps):
    """NetSuite's value changes only by accounting, by a save that knew what was there, or by a person's choice."""
    shared(house, "phone")
    for earlier in house.made("customer"):
        house.ns.store.remove(earlier)
    account, model = house.account(f"Acme {house.clock.at:%H%M%S%f}", Phone="1"), Model()
    house.push_one(account)

    for (who, value), is_pushed in steps:
        house.clock.advance(minutes=3)  # as people do, not as a circle of automations
        if who == "salesforce":
            model.ours = value
            house.sf.update(account, Phone=value)
        elif who == "other":
            model.other = value
            house.sf.update(account, Website=f"{value}.example")
        elif who == "netsuite":
            model.theirs = value
            edit(house, phone=value)
        elif model.waits is not None:
            choose(house, account, value)
            model.save(*model.waits, value)
        if is_pushed and model.is_news:
            house.push_one(account)
            model.save(model.ours, model.other)

        assert customer(house).fields["phone"] == model.theirs
        assert (house.message("customer", account).state == "rejected") == (model.waits is not None)


def test_what_a_pull_has_shown_in_salesforce_may_be_changed_there(house):
    """Whoever changes it then has seen what accounting made of it."""
    shared(house, "memo", sync="sales_order")
    account = house.account()
    oven = house.application(account)
    house.push(account, oven)
    (order,) = house.made("salesOrder")
    house.clock.advance(minutes=10)
    with house.ns.lock:
        order.fields["memo"] = "as accounting says"
        house.ns.store.changed(order)
    house.clock.advance(minutes=10)
    before = house.links()["sales_order", oven]

    house.pull("sales_order_mirror")
    after = house.links()["sales_order", oven]

    assert "as accounting says" not in before.parts
    assert "as accounting says" in after.parts
    assert (after.version, after.fingerprint, after.updated_at) == (
        before.version, before.fingerprint, before.updated_at,
    )  # fmt: skip


def test_a_plan_counts_only_for_the_values_it_was_made_for(house, acme):
    """Between asking and approving somebody sends it again, and NetSuite holds something else by then."""
    edit(house, phone="9")
    house.sf.update(acme, Phone="2")
    house.push_one(acme)
    number = house.message("customer", acme).id
    asked = handling.draft(
        house.engine, "choose", [number], value="salesforce", reason="", actor="ann", guard=lambda *_: False
    )
    edit(house, phone="10")
    operating.replay(house.engine, [number], actor="bob")
    house.drain()

    with house.ledger.read() as connection:
        plan = triage.find(connection, asked)
    said = handling.confirm(house.engine, plan, actor="ann")
    house.drain()

    assert said.startswith("0 of 1 decided")
    assert customer(house).fields["phone"] == "10"
    assert house.message("customer", acme).code == "CHANGED_ON_BOTH_SIDES"
