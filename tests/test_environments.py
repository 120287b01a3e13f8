"""Sandbox, test and production stay apart, and what was tried in one goes to the next with its difference shown."""

from __future__ import annotations

import pytest

from bridge import pinning
from bridge.cli_config import differences, sealed, unsealed
from bridge.ledger import Ledger
from bridge.settings import NotConfigured, Settings
from bridge.site import parse

ORG, OTHER = "00D5e0000000001EAA", "00D5e0000000002EAA"
BASE = {"environment": "test", "salesforce_org_id": ORG, "netsuite_account": "1234567_SB1"}


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(f"sqlite:///{tmp_path}/ledger")
    made.create()
    yield made
    made.close()


def test_a_database_is_pinned_to_what_it_was_first_used_with(ledger):
    pinning.hold(ledger, Settings(**BASE))

    pinning.hold(ledger, Settings(**BASE))
    pinning.hold(ledger, Settings(**BASE | {"environment": "sandbox", "netsuite_account": "1234567-sb1"}))
    with ledger.read() as connection:
        said = connection.exec_driver_sql("SELECT target FROM audit WHERE action = 'pinned'").scalars().all()
    assert said == [f"organisation {ORG}", "account 1234567_SB1", "environment sandbox or test"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"salesforce_org_id": OTHER},
            f"the Salesforce organisation {ORG}, but BRIDGE_SALESFORCE_ORG_ID is",
        ),
        ({"netsuite_account": "7654321_SB1"}, "belongs to the NetSuite account 1234567_SB1, but"),
        ({"environment": "production"}, "belongs to sandbox or test, but BRIDGE_ENVIRONMENT is production"),
    ],
)
def test_another_use_of_a_database_refuses_to_start(ledger, change, words):
    pinning.hold(ledger, Settings(**BASE))

    with pytest.raises(NotConfigured) as caught:
        pinning.hold(ledger, Settings(**BASE | change))

    (sentence,) = caught.value.problems
    assert words in sentence
    assert "Use the right setting, or another database." in sentence


def test_a_postgresql_database_is_pinned_too(postgres_url):
    ledger = Ledger(postgres_url)
    ledger.create()
    pinning.hold(ledger, Settings(**BASE))

    with pytest.raises(NotConfigured):
        pinning.hold(ledger, Settings(**BASE | {"salesforce_org_id": OTHER}))
    ledger.close()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"environment": "production", "netsuite_account": "1234567_SB1"}, "is production, but the NetSuite account"),
        ({"environment": "production", "salesforce_domain": "acme--uat.sandbox.my"}, "the Salesforce domain"),
        ({"environment": "sandbox", "netsuite_account": "1234567"}, "is a production account"),
        ({"environment": "test", "netsuite_account": "1234567"}, "is a production account"),
        ({"environment": "test", "netsuite_account": "1234567_SB1"}, None),
        ({"environment": "test", "netsuite_account": "TSTDRV123456"}, None),
        ({"environment": "sandbox", "netsuite_account": "1234567", "netsuite_url": "http://127.0.0.1:8083"}, None),
    ],
)
def test_environments_are_not_crossed(given, words):
    found = [it for it in Settings(**given).problems() if "account" in it or "domain" in it]
    told = [it for it in found if "missing" not in it]

    assert (len(told), words is None or words in told[0]) == (0 if words is None else 1, True)


def test_an_export_says_where_it_is_from_and_is_whole():
    text = '[site]\nsubsidiary = "Parent Company"\n'

    exported = sealed(text, "test", "configuration 7")

    source, back = unsealed(exported)
    assert back == text
    assert source.startswith("test, configuration 7, ")
    for spoilt in (exported.replace("Parent", "Other"), text, exported + "\n[fees]"):
        with pytest.raises(ValueError, match="export"):
            unsealed(spoilt)
    assert parse({})[1] == []


def test_every_setting_that_differs_is_shown():
    old, _ = parse({"site": {"currency": "USD"}, "fees": {"Wire Fee": {"sale_item": "Wire"}}})
    new, _ = parse({"site": {"currency": "EUR"}, "schedule": {"profile": "quarter-hourly"}})

    found = {name: (now, then) for name, now, then in differences(old.model_dump(), new.model_dump())}

    assert found["site.currency"] == ("USD", "EUR")
    assert found["schedule.profile"] == ("default", "quarter-hourly")
    assert found["fees.Wire Fee.sale_item"] == ("Wire", None)
