"""Gates of a site: each held record says which condition is not met, and what exists when one closes is no orphan."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge import configuring
from bridge.sandbox.salesforce_schema import Field
from bridge.settings import NotConfigured
from tests.engine.test_configuring import apply

BASE = (Path(__file__).parents[2] / "bridge" / "demo.toml").read_text(encoding="utf-8")
ORDERS = ("sales_order", "purchase_order", "broker_commission")


@pytest.fixture
def ledger_url(tmp_path, empty_sqlite) -> str:
    """What a gate says does not depend on the database."""
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(empty_sqlite)
    return f"sqlite:///{path}"


def gates(field: str, condition: str, *names: str) -> str:
    return "".join(f'[[sync.{name}.gates]]\nfield = "{field}"\n{condition}\n' for name in names or ORDERS)


SIGNED = gates("Legal_Signed_Off__c", 'operator = "is true"')
FRAMEWORK = gates("Type", 'operator = "is not in"\nvalues = ["Framework"]')
REGION = gates("Region__c", 'operator = "is in"\nvalues = ["West", "East"]')
CEILING = gates("Funded_Amount__c", 'operator = "is at most"\nlimit = 60000')


@pytest.fixture
def house(house):
    house.sf.schema.type("Opportunity").add(
        Field("Legal_Signed_Off__c", "Legal Signed Off", "boolean", custom=True, default=False),
        Field("Region__c", "Region", "string", length=40, custom=True),
    )
    house.sf.schema.type("Account").add(Field("Inactive__c", "Inactive", "boolean", custom=True, default=False))
    return house


@pytest.mark.parametrize(
    ("rules", "closed", "opened", "sentence"),
    [
        (SIGNED, {}, {"Legal_Signed_Off__c": True}, "Legal Signed Off is not ticked"),
        (FRAMEWORK, {"Type": "Framework"}, {"Type": "New Business"}, "Type is Framework, which is not sent"),
        (REGION, {"Region__c": "North"}, {"Region__c": "East"}, "Region is North, needs West or East"),
        (REGION, {}, {"Region__c": "West"}, "Region is empty, needs West or East"),
        (CEILING, {"Funded_Amount__c": "60000.01"}, {"Funded_Amount__c": "60000.00"},
         "Funded Amount is 60000.01, needs at most 60000"),
    ],
)  # fmt: skip
def test_a_held_record_says_which_condition_is_not_met_and_goes_once_it_is(house, rules, closed, opened, sentence):
    """F-65 to F-67, F-69: only the customer is there until then."""
    apply(house, BASE + rules)
    account, broker = house.account("Acme"), house.account("Wayfinder")
    oven = house.application(account, Broker__c=broker, Commission_Percent__c="2.00", **closed)

    told = house.push(account, oven)[oven]

    assert (told.state, told.error.code) == ("held", "GATE_CLOSED")
    assert {house.message(name, oven).reason for name in ORDERS} == {f"Not sent: {sentence}."}
    assert len([it for it in house.made("customer") if it.external_id]) == 1
    assert house.made("salesOrder") == house.made("purchaseOrder") == house.made("customRecord") == []
    house.sf.update(oven, Bridge_Version__c=100, **opened)  # as for a field that Salesforce watches
    assert house.push_one(oven).state == "delivered"
    assert len(house.made("salesOrder")) == len(house.made("purchaseOrder")) == len(house.made("customRecord")) == 1


def test_every_condition_that_is_not_met_is_named(house):
    apply(house, BASE + SIGNED + CEILING + REGION)
    oven = house.application(house.account(), Funded_Amount__c="90000.00", StageName="Underwriting", Region__c="West")

    told = house.push_one(oven)

    for words in ("Stage is Underwriting", "Legal Signed Off is not ticked", "Funded Amount is 90000"):
        assert words in told.error.message
    assert "Region" not in told.error.message


def test_an_inactive_account_is_not_sent(house):
    apply(house, BASE + gates("Inactive__c", 'operator = "is not true"', "customer"))
    account = house.account(Inactive__c=True)

    told = house.push_one(account)

    assert (told.state, told.error.message) == ("held", "Not sent: Inactive is ticked.")
    assert [it for it in house.made("customer") if it.external_id] == []
    assert house.audit(action="held", source_id=account)


# --- a gate that closes after the record exists


KINDS = {
    "sales_order": ("salesOrder", "so"),
    "purchase_order": ("purchaseOrder", "po"),
    "estimate": ("estimate", "est"),
}
COMMISSION = {"custom_record": "customrecord_broker_commission", "vendor_bill": "vendorBill"}


def is_closed(there) -> bool:
    lines = there.fields.get("itemList") or [{}]
    return there.fields.get("isInactive") is True or all(it.get("isClosed") for it in lines)


@pytest.mark.parametrize("commission", ["custom_record", "vendor_bill"])
@pytest.mark.parametrize("rule", ["flag", "block", "close"])
def test_what_exists_when_a_gate_closes_follows_the_rule_and_is_no_orphan(house, rule, commission):
    """F-15, for all that is made of an Application: it is closed in NetSuite, or accounting is told of it."""
    names = ["estimate", "sales_order", "purchase_order", "broker_commission"]
    is_bill = commission == "vendor_bill"
    closable = ("sales_order", "purchase_order", *(() if is_bill else ("broker_commission",)))
    able = closable if rule == "close" else names
    text = BASE + f'[netsuite]\ncommission = "{commission}"\n[quotes]\nstages = ["Approved"]\n'
    text += "".join(f'[sync.{name}]\nwithdrawn = "{rule}"\n' for name in able)
    apply(house, text)
    account, broker = house.account("Acme"), house.account("Wayfinder")
    oven = house.application(account, Broker__c=broker, Commission_Percent__c="2.00")
    assert house.push(account, oven)[oven].state == "delivered"

    house.sf.update(oven, StageName="Declined")
    house.push_one(oven)

    kinds = KINDS | {"broker_commission": (COMMISSION[commission], "bc")}
    for name in names:
        kind, short = kinds[name]
        row, closed = house.message(name, oven), is_closed(house.there(kind, f"sf-{short}-{oven}"))
        if name in able and rule == "close":
            assert (row.state, closed) == ("delivered", True), name
        elif name == "estimate" and name not in able:
            assert (row.state, row.code, closed) == ("held", "GATE_CLOSED", False)  # a quote stays, by design
        else:
            state = "rejected" if rule == "block" and name in able else "held"
            assert (row.state, row.code, row.who, closed) == (state, "GATE_CLOSED_AFTER", "accounting", False), name
            assert "stays in NetSuite" in row.reason


@pytest.mark.parametrize("name", ["customer", "contact", "estimate", "credit_memo"])
def test_what_cannot_be_closed_in_netsuite_is_not_promised_to_be(name):
    with pytest.raises(NotConfigured) as caught:
        configuring.read(BASE + f'[quotes]\nstages = ["Underwriting"]\n[sync.{name}]\nwithdrawn = "close"\n')

    (sentence,) = caught.value.problems
    assert sentence.startswith(f"bridge.toml: sync.{name}.withdrawn cannot be 'close'")
