"""A mapping that does not fit either system's fields is found before anything is sent."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

import salesforce_metadata
from bridge import salesforce_package
from bridge.configuring import read
from bridge.mapping import Syncs, tables
from bridge.mapping.checking import findings
from bridge.netsuite.facts import facts
from bridge.netsuite.wsdl import Bindings
from bridge.ports import Fact

ROOT = Path(__file__).parents[2]
BASE = (ROOT / "bridge" / "demo.toml").read_text(encoding="utf-8")
FULL = Path(os.environ.get("BRIDGE_SHARED") or ROOT.parent / "shared") / "suitetalk" / "2025_2"
PACKAGE = Path(salesforce_metadata.__file__).parent
ACCOUNT = {
    **{name: Fact(name, "text", length=255) for name in ("Name", "Phone", "Website", "Description")},
    "ParentId": Fact("ParentId", "reference"),
    "CurrencyIsoCode": Fact("CurrencyIsoCode", "choice"),
    "Employees": Fact("Employees", "number"),
    "Industry": Fact("Industry", "choice", frozenset({"Food", "Retail"})),
}


@pytest.fixture(scope="module")
def targets():
    bindings = Bindings.load(ROOT / "suitetalk_wsdl" / "2025_2", "2025_2")
    _, syncs = read(BASE)
    return {it.target: found for it in syncs.pushes.values() if (found := facts(bindings, it.target))}


@pytest.fixture
def check(targets):
    def run(extra: str) -> list[tuple[str, str, bool]]:
        _, syncs = read(BASE + extra)
        known = {**ACCOUNT, **salesforce_package.facts(PACKAGE, "Account")}
        return [(it.field, it.sentence, it.breaks) for it in findings(syncs, {"Account": known}, targets)
                if it.sync == "customer" and it.breaks]  # fmt: skip

    return run


def field(name: str, body: str) -> str:
    return f"[sync.customer.fields.{name}]\n{body}\n"


def test_the_shipped_mapping_fits(check, targets):
    assert check("") == []
    _, syncs = read(BASE)
    sources = {it.source: salesforce_package.facts(PACKAGE, it.source) for it in syncs.pushes.values()}

    found = list(findings(syncs, sources, targets, custom_only=True))

    assert [it for it in found if it.breaks] == []


@pytest.mark.parametrize(
    ("overlay", "sentence"),
    [
        (field("comments", 'text = "Descripton"'), "Descripton is read, and Account has no such field in Salesforce"),
        (field("commment", 'text = "Description"'), "NetSuite's customer has no field commment."),
        (field("comments", 'money = "Description"'), "holds a text in Salesforce, which a rule for money cannot read"),
        (field("taxable", 'text = "Description"'), "taxable holds a flag in NetSuite, and the rule gives a text."),
        (field("terms", 'text = "Description"'), "terms holds a reference in NetSuite, and the rule gives a text."),
        (field("stage", 'const = "_client"'), "NetSuite's stage knows no choice '_client'."),
        (field("phone", 'flag = "Taxable__c"'), "phone holds a text in NetSuite, and the rule gives a flag."),
        ('[[sync.customer.gates]]\nfield = "Inactive__c"\noperator = "is not true"\n', "is asked for by a gate"),
    ],
)
def test_what_does_not_fit_is_named(check, overlay, sentence):
    (found,) = check(overlay)

    assert sentence in found[1]


def test_picklists_and_lengths_are_compared(targets):
    overlay = field("comments", 'choice = "Industry"\ntable = { "Food" = "F", "Farming" = "A" }')
    _, syncs = read(BASE + overlay)

    known = {"Account": {**ACCOUNT, **salesforce_package.facts(PACKAGE, "Account")}}
    found = [it for it in findings(syncs, known, targets) if it.sync == "customer"]

    said = [it.sentence for it in found if not it.breaks]
    assert "Industry may be 'Retail', which is not in the table: such records are refused." in said
    assert "'Farming' is in the table, and Industry has no such value." in said
    assert "Name may have 255 characters; more than 83 are refused." in said


def test_a_custom_field_of_netsuite_is_the_accounts_own(check):
    assert check(field("custentity_industry", 'text = "Description"')) == []


@pytest.mark.full_schemas
def test_the_full_set_says_the_same_of_what_we_use(targets):
    if not FULL.is_dir():
        pytest.skip("the full SuiteTalk schemas are not next to the checkout")
    bindings = Bindings.load(FULL, "2025_2")

    for target, ours in targets.items():
        theirs = facts(bindings, target)
        assert {name: theirs[name].holds for name in ours} == {name: it.holds for name, it in ours.items()}


def test_a_list_of_lines_cannot_be_shared_and_a_field_has_one_owner(targets):
    _, syncs = read(BASE)
    orders = replace(syncs.pushes["sales_order"], shared=("itemList", "nonsense"))
    customers = replace(syncs.pushes["customer"], shared=("phone",), at_first=("phone",))
    changed = Syncs({"sales_order": orders, "customer": customers}, {}, syncs.context)

    assert [it.sentence for it in findings(changed, {}, targets)] == [
        "itemList is a list, which cannot be shared.",
        "nonsense has an owner, and no rule.",
        "phone is shared with NetSuite, or NetSuite's; it cannot be both.",
    ]


def test_whose_a_field_is_stands_in_the_table_of_the_mapping():
    mine = field("phone", 'text = "Phone"\nowner = "shared"') + field("fax", 'text = "Fax"\nowner = "netsuite"')
    _, syncs = read(BASE + mine)

    told = dict(tables.rows(syncs.pushes["customer"]))

    assert told["phone"] == "text Phone; shared: written only while NetSuite has not changed it"
    assert told["fax"] == "text Fax; NetSuite's once the record exists"
    assert told["companyName"] == "text Name, at most 83, required"


def test_a_scope_is_read_shown_and_checked_like_a_gate(check):
    scope = '[[sync.customer.scope]]\nfield = "{}"\noperator = "is in"\nvalues = ["Food"]\n'
    _, syncs = read(BASE + scope.format("Industry"))
    push = syncs.pushes["customer"]

    assert "Industry" in push.reads()
    assert tables.gates(push)[0] == "Industry is in Food (its scope)"
    assert push.outside({"Industry": "Retail"}, syncs.context) == "Industry is Retail, needs Food"
    assert push.outside({"Industry": "Food"}, syncs.context) is None
    assert check(scope.format("Industry")) == []
    ((name, sentence, breaks),) = check(scope.format("Nonsense__c"))
    assert (name, breaks) == ("Nonsense__c", True)
    assert "asked for by a gate" in sentence
