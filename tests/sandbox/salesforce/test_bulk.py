"""Bulk API 2.0. Source: the Bulk API 2.0 Developer Guide."""

from __future__ import annotations

import csv
import io

import pytest


def ingest(client, fake, text, **options):
    """Run one ingest job to its end; its state and its results."""
    body = {"object": "NetSuite_Order__c", "operation": "upsert", "externalIdFieldName": "NetSuite_Key__c"} | options
    job = client.post("jobs/ingest", {key: value for key, value in body.items() if value is not None}).json()
    uploaded = client.session.put(
        f"https://sandbox-org.my.salesforce.com/{job['contentUrl']}",
        data=text.encode(),
        headers={"Content-Type": "text/csv"},
        timeout=5,
    )
    client.patch(f"jobs/ingest/{job['id']}", {"state": "UploadComplete"})
    fake.bulk.drain()
    assert uploaded.status_code == 201
    return client.get(f"jobs/ingest/{job['id']}").json()


def rows(response):
    return list(csv.DictReader(io.StringIO(response.text)))


def test_a_complete_job_may_hold_failed_rows(client, fake):
    text = "NetSuite_Key__c,Name,Total__c\nk1,SO1,10.50\nk2,SO2,banana\n,SO3,1\n"

    job = ingest(client, fake, text)

    good = rows(client.get(f"jobs/ingest/{job['id']}/successfulResults"))
    bad = rows(client.get(f"jobs/ingest/{job['id']}/failedResults"))
    left = client.get(f"jobs/ingest/{job['id']}/unprocessedrecords")
    assert (job["state"], job["numberRecordsProcessed"], job["numberRecordsFailed"]) == ("JobComplete", 3, 2)
    assert [(one["sf__Created"], one["Name"]) for one in good] == [("true", "SO1")]
    assert [one["sf__Error"].split(":")[0] for one in bad] == ["JSON_PARSER_ERROR", "MISSING_ARGUMENT"]
    assert rows(left) == []


def test_an_empty_cell_changes_nothing_and_na_clears(client, fake):
    ingest(client, fake, "NetSuite_Key__c,Name,Memo__c,Status__c\nk1,SO1,memo,open\n")
    ingest(client, fake, "NetSuite_Key__c,Name,Memo__c,Status__c\nk1,,#N/A,\n")

    [row] = fake.rows("NetSuite_Order__c")
    assert (row["Name"], row.get("Memo__c"), row["Status__c"]) == ("SO1", None, "open")


def test_a_parent_is_named_by_a_column_with_a_point(client, fake):
    ingest(client, fake, "NetSuite_Key__c,Name\nk1,SO1\n")
    text = "NetSuite_Key__c,Order__r.NetSuite_Key__c,Line__c\nk1-1,k1,1\n"

    job = ingest(client, fake, text, object="NetSuite_Order_Line__c")

    assert job["numberRecordsFailed"] == 0
    assert fake.rows("NetSuite_Order_Line__c")[0]["Order__c"] == fake.rows("NetSuite_Order__c")[0]["Id"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("NetSuite_Key__c,Nonsense__c\nk,1\n", "Field name not found : Nonsense__c"),
        ("NetSuite_Key__c,Name\r\nk,1\r\n", "LineEnding is invalid on user data"),
    ],
)
def test_a_csv_that_does_not_fit_fails_the_job(client, fake, text, words):
    job = ingest(client, fake, text)

    assert job["state"] == "Failed"
    assert words in job["errorMessage"]


def test_each_chunk_of_200_rows_is_a_transaction_with_its_own_callout(client, fake, listener, seller):
    lines = "".join(f"A{n}\n" for n in range(450))

    ingest(seller, fake, "Name\n" + lines, object="Account", operation="insert", externalIdFieldName=None)

    assert [len(body["records"]) for body in listener.bodies] == [200, 200, 50]


def test_results_are_not_there_before_the_end(client):
    job = client.post("jobs/ingest", {"object": "Account", "operation": "insert"}).json()

    early = client.get(f"jobs/ingest/{job['id']}/successfulResults")
    aborted = client.patch(f"jobs/ingest/{job['id']}", {"state": "Aborted"}).json()
    deleted = client.call("DELETE", f"jobs/ingest/{job['id']}")

    assert early.json()[0]["errorCode"] == "INVALIDJOBSTATE"
    assert aborted["state"] == "Aborted"
    assert (deleted.status_code, client.get(f"jobs/ingest/{job['id']}").status_code) == (204, 404)


def test_a_query_job_pages_with_its_locator_until_null(client, fake):
    for number in range(5):
        fake.insert("Account", user=fake.integration_user, Name=f"A{number}")
    body = {"operation": "query", "query": "SELECT Name, Owner.Username, Phone FROM Account ORDER BY Name"}
    job = client.post("jobs/query", body).json()
    fake.bulk.drain()

    first = client.get(f"jobs/query/{job['id']}/results", params={"maxRecords": 3})
    second = client.get(
        f"jobs/query/{job['id']}/results", params={"maxRecords": 3, "locator": first.headers["Sforce-Locator"]}
    )

    assert [one["Name"] for one in rows(first) + rows(second)] == ["A0", "A1", "A2", "A3", "A4"]
    assert rows(first)[0]["Owner.Username"] == "integration@sandbox.example"
    assert (second.headers["Sforce-Locator"], second.headers["Sforce-NumberOfRecords"]) == ("null", "2")


def test_a_query_job_refuses_aggregates(client):
    response = client.post("jobs/query", {"operation": "query", "query": "SELECT COUNT(Id) FROM Account"})

    assert response.json()[0]["errorCode"] == "API_ERROR"
