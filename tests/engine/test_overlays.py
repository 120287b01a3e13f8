"""Whatever a site writes into its overlay, no request leaves that NetSuite's full schemas refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from bridge import configuring
from bridge.errors import Misconfigured
from bridge.settings import NotConfigured
from tests.engine.conftest import build
from tests.engine.test_what_is_sent import schema

BASE = (Path(__file__).parents[2] / "bridge" / "demo.toml").read_text(encoding="utf-8")
SOURCES = {
    "customer": ("Name", "Phone", "Website", "Description", "NumberOfEmployees", "Taxable__c",
                 "CreatedDate", "ParentId"),
    "contact": ("FirstName", "LastName", "Email", "Title", "Phone", "AccountId", "Birthdate"),
    "sales_order": ("Name", "StageName", "CloseDate", "Funded_Amount__c", "Funding_Accepted__c",
                    "Receivables_Percent__c"),
}  # fmt: skip
TARGETS = {
    "customer": ("comments", "phone", "fax", "email", "taxable", "terms", "stage", "creditLimit", "isInactive",
                 "endDate",
                 "custentity_word", "nonsense", "externalId", "accountNumber", "altPhone", "defaultAddress"),
    "contact": ("title", "phone", "comments", "email", "isInactive", "isPrivate", "custentity_word", "salutation"),
    "sales_order": ("memo", "otherRefNum", "email", "shipDate", "tranDate", "custbody_word", "isTaxable",
                    "discountRate",
                    "orderStatus", "message"),
}  # fmt: skip
RULES = ("text", "money", "number", "flag", "date", "instant")


@st.composite
def overlays(draw) -> str:
    parts = []
    for name in draw(st.lists(st.sampled_from(sorted(SOURCES)), min_size=1, max_size=3, unique=True)):
        for target in draw(st.lists(st.sampled_from(TARGETS[name]), min_size=1, max_size=4, unique=True)):
            head = f"[sync.{name}.fields.{target}]\n"
            what = draw(st.sampled_from((*RULES, "const", "choice", "remove")))
            if what == "remove":
                body = "remove = true\n"
            elif what == "const":
                body = "const = " + draw(st.sampled_from(('"word"', "true", "12.5", '"_prospect"', '"a & <b>"'))) + "\n"
            elif what == "choice":
                source = draw(st.sampled_from(SOURCES[name]))
                body = f'choice = "{source}"\ntable = {{ "Acme" = "x", "Approved" = "y" }}\n'
            else:
                body = f'{what} = "{draw(st.sampled_from(SOURCES[name]))}"\n'
                if what == "text" and draw(st.booleans()):
                    body += "limit = 5\ncut = true\n"
            parts.append(head + body)
    return "".join(parts)


@pytest.fixture
def ledger_url(tmp_path, empty_sqlite) -> str:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(empty_sqlite)
    return f"sqlite:///{path}"


@pytest.mark.full_schemas
@pytest.mark.slow
def test_no_overlay_makes_the_bridge_send_what_the_schemas_refuse(ledger, clock):
    house = build(clock, ledger)
    house.alerts.clear()
    declared, sent = schema("2025_2"), 0

    @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(overlay=overlays(), name=st.sampled_from(("Acme", "Zoë & <Søn>", "x" * 80)))
    def check(overlay: str, name: str) -> None:
        nonlocal sent
        try:
            _, syncs = configuring.read(BASE + overlay)
        except NotConfigured:
            return  # refused before anything is sent
        configuring.use(house.engine, syncs)
        house.syncs = syncs
        house.ns.requests.clear()
        account = house.account(name, Description="Words\nand more", Phone="555-0100", NumberOfEmployees=12)
        contact = house.sf.insert("Contact", LastName="Doe", FirstName="Jo", AccountId=account, Email="jo@acme.example")
        try:
            # What waits for others may wait.
            house.push(account, contact, house.application(account), budget_s=0.2)
        except Misconfigured:
            return  # a field that Salesforce does not have is not read
        for raw in house.ns.requests:
            declared.assertValid(etree.fromstring(raw))
        sent += len(house.ns.requests)

    check()
    house.salesforce.close()
    house.sf.close()
    assert sent > 40
