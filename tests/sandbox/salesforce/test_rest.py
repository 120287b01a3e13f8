"""Single records over REST. Each test names where the behaviour is known from."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from bridge.sandbox.salesforce import FakeSalesforce
from bridge.sandbox.salesforce_schema import Schema
from bridge.sandbox.salesforce_values import as_id, id18, number_text


def error(response):
    """Status, code and fields of a single call's error array."""
    [one] = response.json()
    return response.status_code, one["errorCode"], one.get("fields", [])


def test_a_record_is_created_read_changed_and_deleted(client):
    """REST API Developer Guide, "sObject Rows"."""
    created = client.post("sobjects/Account", {"Name": "Harbor Lane Bakery", "Phone": " 555-0100 "})
    record_id = created.json()["id"]
    changed = client.patch(f"sobjects/account/{record_id[:15]}", {"website": "https://harbor.example"})
    read = client.get(f"sobjects/Account/{record_id}").json()
    deleted = client.call("DELETE", f"sobjects/Account/{record_id}")

    assert created.status_code == 201
    assert created.json() == {"id": record_id, "success": True, "errors": []}
    assert (changed.status_code, changed.content) == (204, b"")
    assert (read["Phone"], read["Website"], read["Industry"]) == ("555-0100", "https://harbor.example", None)
    assert deleted.status_code == 204
    assert error(client.get(f"sobjects/Account/{record_id}"))[:2] == (404, "ENTITY_IS_DELETED")


@pytest.mark.parametrize(
    ("values", "code", "fields"),
    [
        ({}, "REQUIRED_FIELD_MISSING", ["Name"]),
        ({"Name": "x", "Nonsense__c": 1}, "INVALID_FIELD", []),
        ({"Name": "x" * 260}, "STRING_TOO_LONG", ["Name"]),
        ({"Name": "x", "AnnualRevenue": "banana"}, "JSON_PARSER_ERROR", []),
        ({"Name": "x", "AnnualRevenue": 10**19}, "NUMBER_OUTSIDE_VALID_RANGE", ["AnnualRevenue"]),
        ({"Name": 5}, "JSON_PARSER_ERROR", []),
        ({"Name": "x", "Taxable__c": None}, "JSON_PARSER_ERROR", []),
        ({"Name": "x", "CreatedDate": "2026-01-01T00:00:00Z"}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["CreatedDate"]),
        ({"Name": "x", "ParentId": "nonsense"}, "MALFORMED_ID", ["ParentId"]),
        ({"Name": "x", "ParentId": "0015e0000099999"}, "INVALID_CROSS_REFERENCE_KEY", ["ParentId"]),
        ({"Name": "x", "ParentId": "0035e0000000001"}, "MALFORMED_ID", ["ParentId"]),
        ({"Name": "x", "Approved_Applications__c": 3}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["Approved_Applications__c"]),
    ],
)
def test_a_bad_value_is_refused_with_salesforces_code(client, values, code, fields):
    """The first four were seen on real orgs (2026-07); the others are in "Status Codes and Error Responses"."""
    assert error(client.post("sobjects/Account", values)) == (400, code, fields)


def test_the_words_for_text_in_a_currency_are_those_of_a_real_org(client):
    """Seen 2026-07."""
    response = client.post("sobjects/Account", {"Name": "x", "AnnualRevenue": "banana"})

    assert response.json()[0]["message"].startswith(
        "Cannot deserialize instance of currency from VALUE_STRING value banana or request may be missing"
    )


def test_a_missing_record_has_another_code_for_reading_than_for_writing(client):
    """Seen on real orgs (2026-07)."""
    assert error(client.get("sobjects/Account/0015e0000099999"))[:2] == (404, "NOT_FOUND")
    assert error(client.patch("sobjects/Account/0015e0000099999", {"Name": "x"}))[:2] == (
        404,
        "INVALID_CROSS_REFERENCE_KEY",
    )
    assert error(client.call("DELETE", "sobjects/Account/0015e0000099999"))[:2] == (404, "INVALID_CROSS_REFERENCE_KEY")


def test_an_unknown_object_is_not_found(client):
    """Seen on real orgs (2026-07)."""
    assert error(client.post("sobjects/Nonsense__c", {}))[:2] == (404, "NOT_FOUND")
    assert error(client.get("sobjects/Nonsense__c/describe"))[:2] == (404, "NOT_FOUND")


def test_an_upsert_by_external_id_creates_then_changes(client):
    """REST API Developer Guide, "sObject Rows by External ID": 201 then 200; ids compare without case."""
    path = "sobjects/NetSuite_Order__c/NetSuite_Key__c/"
    first = client.patch(path + "salesOrder-4711", {"Name": "SO1", "Total__c": "10.005"})
    second = client.patch(path + "SALESORDER-4711", {"Status__c": "Billed"})

    assert (first.status_code, first.json()["created"]) == (201, True)
    assert (second.status_code, second.json()["created"]) == (200, False)
    assert first.json()["id"] == second.json()["id"]
    assert client.get(path + "salesOrder-4711").json()["Total__c"] == 10.01


def test_an_external_id_with_a_slash_and_a_space_is_one_value(client):
    """REST API Developer Guide: the value is percent-encoded."""
    client.patch("sobjects/NetSuite_Order__c/NetSuite_Key__c/a%2Fb%20c", {"Name": "SO1"})

    [record] = client.query("SELECT NetSuite_Key__c FROM NetSuite_Order__c").json()["records"]
    assert record["NetSuite_Key__c"] == "a/b c"


def test_the_key_of_an_upsert_may_not_be_in_its_body_too(client):
    """Known message of real orgs."""
    response = client.patch("sobjects/NetSuite_Order__c/NetSuite_Key__c/a", {"NetSuite_Key__c": "a"})

    assert error(response)[:2] == (400, "INVALID_FIELD")


def test_a_field_that_is_no_external_id_cannot_name_a_record(client):
    """REST API Developer Guide, "sObject Rows by External ID"."""
    assert error(client.patch("sobjects/Account/Phone/555", {"Name": "x"}))[:2] == (404, "NOT_FOUND")


def test_a_second_record_with_a_unique_value_is_refused_and_names_the_first(client):
    """DUPLICATE_VALUE, "Status Codes and Error Responses"."""
    first = client.post("sobjects/NetSuite_Order__c", {"Name": "SO1", "NetSuite_Key__c": "salesOrder-1"}).json()["id"]
    second = client.post("sobjects/NetSuite_Order__c", {"Name": "SO2", "NetSuite_Key__c": "SalesOrder-1"})

    assert error(second)[:2] == (400, "DUPLICATE_VALUE")
    assert first[:15] in second.json()[0]["message"]


def test_a_parent_can_be_named_by_its_external_id(client):
    """REST API Developer Guide, "Upsert": relating records by external id."""
    client.post("sobjects/NetSuite_Order__c", {"Name": "SO1", "NetSuite_Key__c": "salesOrder-1"})
    line = "sobjects/NetSuite_Order_Line__c/NetSuite_Key__c/salesOrder-1-1"
    good = client.patch(line, {"Order__r": {"NetSuite_Key__c": "salesOrder-1"}, "Line__c": 1})
    bad = client.patch(line + "x", {"Order__r": {"NetSuite_Key__c": "nowhere"}})

    assert good.status_code == 201
    assert error(bad)[:2] == (400, "INVALID_FIELD")
    assert bad.json()[0]["message"].startswith("Foreign key external ID: nowhere not found for field NetSuite_Key__c")


def test_only_the_integration_user_writes_the_mirrors(seller, client):
    """Our permission sets (F-19, F-20)."""
    values = {"Name": "SO1", "NetSuite_Key__c": "salesOrder-1"}

    assert error(seller.post("sobjects/NetSuite_Order__c", values))[:2] == (400, "INSUFFICIENT_ACCESS_OR_READONLY")
    assert client.post("sobjects/NetSuite_Order__c", values).status_code == 201


def test_versions_come_and_go(client, fake: FakeSalesforce):
    """Metadata API Guide, "API End-of-Life": 410 for retired ones; v1.0 answered 404 on a real org."""
    expected = {"v65.0": 200, "v60.0": 200, "v68.0": 200, "v69.0": 404, "v30.0": 410, "v1.0": 404, "v59.0": 501}

    found = {version: client.get(f"/services/data/{version}/limits").status_code for version in expected}

    assert found == expected


def test_what_the_sandbox_does_not_imitate_is_refused_loudly(client):
    """A friendly default would hide a bug until production."""
    assert client.get("tooling/query?q=x").status_code == 501
    assert client.get("sobjects/Account/describe?other=1").status_code == 501
    assert client.get("limits", headers={"Sforce-Mru": "updateMru=true"}).status_code == 501
    assert client.get("/services/async/65.0/job").status_code == 501


def test_usage_is_counted_until_the_limit_is_reached(client, fake):
    """REST API Developer Guide, "Limit Info Header"."""
    before = client.get("limits")
    fake.api_limit = fake.api_usage
    after = client.get("limits")

    assert before.headers["Sforce-Limit-Info"] == "api-usage=1/100000"
    assert error(after)[:2] == (403, "REQUEST_LIMIT_EXCEEDED")


def test_updated_and_deleted_tell_ids_within_their_windows(client, fake, clock):
    """REST API Developer Guide, "Get Updated" (30 days) and "Get Deleted" (15 days)."""
    kept = fake.insert("Account", Name="kept")
    gone = fake.insert("Account", Name="gone")
    clock.move(minutes=5)
    fake.delete(gone)
    clock.move(minutes=5)
    window = {"start": "2026-11-20T09:00:00Z", "end": "2026-11-20T12:00:00Z"}

    updated = client.get("sobjects/Account/updated", params=window).json()
    deleted = client.get("sobjects/Account/deleted", params=window).json()
    too_old = client.get("sobjects/Account/deleted", params=window | {"start": "2026-11-01T09:00:00Z"})

    assert updated == {"ids": [kept], "latestDateCovered": "2026-11-20T10:10:00.000+0000"}
    assert [one["id"] for one in deleted["deletedRecords"]] == [gone]
    assert error(too_old)[:2] == (400, "INVALID_REPLICATION_DATE")


def test_describe_tells_what_the_package_declares(client):
    """The custom schema is read from the package's own metadata."""
    fields = {one["name"]: one for one in client.get("sobjects/Opportunity/describe").json()["fields"]}

    assert fields["Broker__c"]["referenceTo"] == ["Account"]
    assert fields["Funding_Accepted__c"]["type"] == "boolean"
    assert "CurrencyIsoCode" not in fields


def test_ids_of_15_and_18_characters_name_the_same_record():
    """Object Reference, "ID Field Type": the checksum repairs lost case."""
    assert id18("001R00000064wdt") == "001R00000064wdtIAA"  # the guide's own example
    assert as_id("001r00000064WDTiaa") == "001R00000064wdtIAA"
    assert as_id("0015E00000ABCDEAAU") == "0015e00000abCdEAAU"
    assert as_id("0015e00000abCdEZZZ") is None
    assert as_id("0015e00000abcde") != as_id("0015e00000abCdE")


@pytest.mark.parametrize(
    ("number", "text"),
    [("1500", "1500.0"), ("12.50", "12.5"), ("0.00", "0.0"), ("10000000", "1.0E7"), ("-12345678.12", "-1.234567812E7")],
)
def test_numbers_are_printed_like_a_java_double(number, text):
    """Public answers show "3.5E8"; a reader must not expect plain digits."""
    assert number_text(Decimal(number)) == text


def test_currency_fields_exist_only_in_a_multi_currency_org(fake):
    """Object Reference: CurrencyIsoCode exists when several currencies are enabled."""
    package = Path(__file__).parents[3] / "salesforce_metadata"

    assert "currencyisocode" not in fake.schema.type("Opportunity").fields
    assert "currencyisocode" in Schema.load(package, multi_currency=True).type("Opportunity").fields


def test_the_date_of_an_answer_is_the_orgs_clock(client, clock):
    """Every HTTP answer has one (RFC 9110); windows of the bridge end by it."""
    clock.move(days=400)

    assert client.get("/services/data").headers["Date"] == "Sat, 25 Dec 2027 10:00:00 GMT"
