"""What ``bridge doctor`` says about Salesforce."""

from __future__ import annotations


def said(system, **what):
    return {it.name: it for it in system.check(**what)}


def test_a_healthy_organisation_is_told_in_plain_words(fake, salesforce):
    found = said(
        salesforce,
        needed={
            "Opportunity": ("Name", "Lines.UnitPrice", "Lines", "CurrencyIsoCode"),
            "Account": ("Name", "ParentId"),
        },
        written={"Account": ("NetSuite_Status__c",), "NetSuite_Order_Line__c": ("Order__c",)},
    )

    assert {name: it.ok for name, it in found.items()} == {
        "Salesforce login": True,
        "Salesforce organisation": True,
        "Application": True,
        "Account": True,
        "NetSuite Order Line": True,
        "Salesforce daily calls": True,
    }
    assert found["Application"].sentence == "Application can be read."


def test_missing_fields_and_objects_are_named(fake, salesforce):
    found = said(
        salesforce, needed={"Account": ("Name", "Nope__c"), "Nothing__c": ("Name",)}, written={"Account": ("Never__c",)}
    )

    assert found["Account"].ok is False
    assert "Nope__c" in found["Account"].sentence
    assert "Never__c" in found["Account"].sentence
    assert found["Nothing"].ok is False


def test_a_field_that_cannot_be_written_is_named(fake, salesforce):
    found = said(salesforce, written={"Account": ("SystemModstamp",)})

    assert found["Account"].ok is False
    assert "SystemModstamp" in found["Account"].sentence


def test_after_a_failed_login_the_rest_was_not_tried(script, scripted):
    script.token_status, script.token = 400, {"error": "invalid_grant", "error_description": "no"}

    found = said(scripted, needed={"Account": ("Name",)})

    assert found["Salesforce login"].ok is False
    assert found["Account"].ok is None
