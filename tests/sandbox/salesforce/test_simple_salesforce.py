"""simple-salesforce, written by other people, against the fake: login, records, collections, paging, Bulk 2.0."""

from __future__ import annotations

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceMalformedRequest, SalesforceResourceNotFound

from bridge.sandbox.wsgi import WsgiAdapter


@pytest.fixture
def salesforce(fake, clock):
    """A client that logged in with a JWT; the fake runs on the real clock, which that client uses."""
    from datetime import UTC, datetime

    clock.at = datetime.now(UTC)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    fake.login.register(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", WsgiAdapter(fake))
    return Salesforce(
        username="integration@sandbox.example",
        consumer_key="sandbox-consumer-key",
        privatekey=private,
        version="65.0",
        session=session,
    )


def test_it_creates_reads_upserts_and_maps_errors(salesforce):
    made = salesforce.Account.create({"Name": "Harbor"})
    order = salesforce.NetSuite_Order__c.upsert("NetSuite_Key__c/salesOrder-1", {"Name": "SO1"})

    assert salesforce.Account.get(made["id"])["Name"] == "Harbor"
    assert order == 201
    assert salesforce.NetSuite_Order__c.get_by_custom_id("NetSuite_Key__c", "salesOrder-1")["Name"] == "SO1"
    with pytest.raises(SalesforceMalformedRequest):
        salesforce.Account.create({})
    with pytest.raises(SalesforceResourceNotFound):
        salesforce.Account.get("0015e0000099999")


def test_it_writes_collections_and_follows_pages(salesforce, fake):
    fake.rest.page_size = 200
    for start in range(0, 500, 100):
        records = [{"attributes": {"type": "Account"}, "Name": f"A{n:03d}"} for n in range(start, start + 100)]
        salesforce.restful("composite/sobjects", method="POST", json={"records": records})

    found = salesforce.query_all("SELECT Name FROM Account ORDER BY Name")

    assert [one["Name"] for one in found["records"]] == [f"A{n:03d}" for n in range(500)]
    assert salesforce.limits()["DailyApiRequests"]["Max"] == 100_000


def test_it_loads_in_bulk_and_queries_in_bulk(salesforce, fake):
    records = [{"NetSuite_Key__c": f"k{n}", "Name": f"SO{n}"} for n in range(250)]

    [job] = salesforce.bulk2.NetSuite_Order__c.upsert(records=records, external_id_field="NetSuite_Key__c", wait=0.05)
    pages = list(salesforce.bulk2.NetSuite_Order__c.query("SELECT Name FROM NetSuite_Order__c", wait=0.05))

    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (250, 0)
    assert pages[0].count("\n") == 251
