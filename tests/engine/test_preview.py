"""A preview foretells what the next save of each record does, field by field, and writes nothing."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from bridge import configuring
from bridge.preview import preview
from tests.engine.test_configuring import apply

BASE = (Path(__file__).parents[2] / "bridge" / "demo.toml").read_text(encoding="utf-8")
CHANGED = BASE + (
    '[sync.customer.fields.comments]\ntext = "Description"\nlimit = 20\n'
    "[sync.customer.fields.phone]\nremove = true\n"
    '[[sync.sales_order.gates]]\nfield = "Funded_Amount__c"\noperator = "is at most"\nlimit = 60000\n'
    '[sync.sales_order.fields.memo]\ntext = "{Name}, as agreed"\n'
)
STATES = {"create": "delivered", "update": "delivered", "unchanged": "unchanged", "reject": "rejected", "held": "held"}


@pytest.fixture
def ledger_url(tmp_path, empty_sqlite) -> str:
    """What is foreseen does not depend on the database."""
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(empty_sqlite)
    return f"sqlite:///{path}"


def company(house, count: int, seed: int) -> list[str]:
    """Save varied records: long and short texts, fees, stages, amounts, and some that are only received."""
    dice, made = random.Random(seed), []
    for n in range(count // 2):
        words = dice.choice([None, "short", "words of more than twenty characters"])
        account = house.account(f"Merchant {n}", Description=words, Phone=dice.choice([None, "555-0100"]))
        amount = dice.choice(["20000.00", "50000.00", "90000.00"])
        stage = dice.choice(["Approved", "Approved", "New"])
        fees = [
            (fee, f"{dice.randint(1, 90_000) / 100:.2f}")
            for fee in ("Wire Fee", "Origination Fee")[: dice.randint(1, 2)]
        ]
        made += [account, house.application(account, *fees, Name=f"Oven {n}", StageName=stage, Funded_Amount__c=amount)]
    for start in range(0, len(made), 50):
        house.push(*made[start : start + 50])
    return made


def foreseen(house, text: str, **given):
    syncs = configuring.read(text)[1]
    before = (house.writes(), [tuple(it) for it in house.messages()], house.links().keys())
    seen = preview(house.ledger, house.netsuite, house.salesforce, syncs, last=10_000, **given)
    assert seen.wrote == 0
    assert (house.writes(), [tuple(it) for it in house.messages()], house.links().keys()) == before
    return seen


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_what_was_foreseen_of_500_records_is_what_happens(house):
    apply(house, BASE)
    made = company(house, 500, seed=20261120)
    calls = house.calls().copy()

    seen = foreseen(house, CHANGED)

    reads = house.calls() - calls
    assert sum(reads.values()) < 20, "read in lists"
    told = {(it.sync, it.salesforce_id): it for it in seen.records}
    kinds = Counter(it.what for it in seen.records)
    assert all(kinds[word] > 10 for word in ("update", "unchanged", "reject", "held")), kinds
    apply(house, CHANGED)
    held = {pair: house.there(it.target_kind, it.external_id).fields for pair, it in house.links().items()
            if it.target_kind in ("customer", "salesOrder")}  # fmt: skip
    for record_id in made:
        house.sf.update(record_id, Bridge_Version__c=100)
    for start in range(0, len(made), 50):
        house.push(*made[start : start + 50])
    wrong = {}
    for (sync, record_id), it in told.items():
        state = house.message(sync, record_id).state
        if STATES[it.what] != state:
            wrong[(sync, record_id)] = (it.what, state)
        elif it.what == "update" and (sync, record_id) in held:
            link = house.links()[(sync, record_id)]
            after = house.there(link.target_kind, link.external_id).fields
            for change in it.changes:
                if change.field in ("comments", "phone", "memo"):
                    assert held[(sync, record_id)].get(change.field) == change.now
                    assert after.get(change.field) == change.then
    assert wrong == {}


def test_lines_are_compared_one_by_one(house):
    apply(house, BASE)
    account = house.account()
    application = house.application(account, ("Wire Fee", "25.00"), ("Origination Fee", "800.00"))
    house.push(account, application)
    other = '[fees."Wire Fee"]\nsale_item = "Legal Fee"\n'
    text = BASE.replace('[fees."Wire Fee"]\nsale_item = "Wire Fee"\n', other)
    assert text != BASE

    seen = foreseen(house, text, sync="sales_order")

    (record,) = seen.records
    assert record.what == "update"
    assert [it.field for it in record.changes] == ["itemList[1].item"]
    assert (record.changes[0].now.name, record.changes[0].then.name) == ("Wire Fee", "Legal Fee")


def test_a_new_record_is_foreseen_whole(house):
    apply(house, BASE)
    house.receive(house.account("Not sent yet", Phone="555-0100"))

    seen = foreseen(house, BASE, sync="customer")

    (record,) = seen.records
    assert record.what == "create"
    fields = {it.field: (it.now, it.then) for it in record.changes}
    assert fields["companyName"] == (None, "Not sent yet")


@pytest.mark.parametrize(
    ("rule", "what", "state", "fields"),
    [
        ("flag", "held", "held", []),
        ("block", "reject", "rejected", []),
        ("close", "update", "delivered", ["itemList[1].isClosed"]),
    ],
)
def test_what_a_closing_gate_does_to_an_order_is_foreseen(house, rule, what, state, fields):
    apply(house, BASE)
    application = house.application(house.account(), ("Wire Fee", "25.00"))
    house.push(application)
    text = BASE + (
        f'[sync.sales_order]\nwithdrawn = "{rule}"\n[[sync.sales_order.gates]]\n'
        'field = "Funded_Amount__c"\noperator = "is at most"\nlimit = 100\n'
    )

    seen = foreseen(house, text, sync="sales_order")

    (record,) = seen.records
    assert (record.what, [it.field for it in record.changes]) == (what, fields)
    assert "Funded Amount" in record.reason
    apply(house, text)
    house.sf.update(application, Bridge_Version__c=100)
    house.push(application)
    assert house.message("sales_order", application).state == state


def test_a_sync_that_is_not_live_yet_is_foreseen_on_the_records_of_its_source(house):
    apply(house, BASE)
    account = house.account()
    application = house.application(account, ("Wire Fee", "25.00"), StageName="Underwriting")
    house.push(account, application)

    seen = foreseen(house, BASE + '[quotes]\nstages = ["Underwriting"]\n', sync="estimate")

    assert [(it.salesforce_id, it.what) for it in seen.records] == [(application, "create")]


def test_the_newest_records_are_taken_and_rare_ones_are_found_by_what_they_became(house, monkeypatch):
    apply(house, BASE)
    accounts = [house.account(f"Merchant {n}") for n in range(4)]
    house.push(*accounts)
    for account in accounts:
        house.sf.update(account, Phone="555-0199")
        house.push(account)
    monkeypatch.setattr("bridge.preview.LOOKED_AT", 2)
    syncs = configuring.read(BASE)[1]

    seen = preview(house.ledger, house.netsuite, house.salesforce, syncs, last=3, sync="customer")

    found = [it.salesforce_id for it in seen.records]
    assert (found[0], len(found)) == (accounts[3], 3)
