"""SOQL: a small strict grammar. Source: SOQL and SOSL Reference, unless a test says otherwise."""

from __future__ import annotations

import threading

import pytest

from bridge.sandbox.salesforce_values import Refused
from bridge.sandbox.soql import parse


@pytest.fixture
def funded(fake):
    """Two Accounts with Contacts and Applications; the second has no phone."""
    harbor = fake.insert("Account", Name="Harbor Lane Bakery", Phone="555-0100", AnnualRevenue="1200000")
    quarry = fake.insert("Account", Name="quarry Road Tyres")
    fake.insert("Contact", LastName="Baker", AccountId=harbor)
    fake.insert("Contact", LastName="Miller", AccountId=harbor)
    base = {"CloseDate": "2026-12-01", "AccountId": harbor}
    fake.insert("Opportunity", Name="H1", StageName="Funded", Amount=100, **base)
    fake.insert("Opportunity", Name="H2", StageName="Declined", Amount=50, **base)
    fake.insert("Opportunity", Name="H3", StageName="Funded", **base)
    return harbor, quarry


def names(fake, where):
    return [row["Name"] for row in fake.query(f"SELECT Name FROM Account {where}")]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("WHERE Name = 'HARBOR lane bakery'", ["Harbor Lane Bakery"]),
        ("WHERE Phone = null", ["quarry Road Tyres"]),
        ("WHERE Phone != '555-0100'", ["quarry Road Tyres"]),
        ("WHERE Name LIKE '%lane%' AND Phone != null", ["Harbor Lane Bakery"]),
        ("WHERE Name LIKE 'quarry_road%'", ["quarry Road Tyres"]),
        ("WHERE Name LIKE 'quarry\\_road%'", []),
        ("WHERE NOT Name IN ('Harbor Lane Bakery', 'x')", ["quarry Road Tyres"]),
        ("WHERE Name NOT IN ('Harbor Lane Bakery')", ["quarry Road Tyres"]),
        ("WHERE AnnualRevenue >= 1200000.00", ["Harbor Lane Bakery"]),
        (
            "WHERE (Phone = null OR AnnualRevenue > 1) AND Taxable__c = FALSE",
            ["Harbor Lane Bakery", "quarry Road Tyres"],
        ),
        ("WHERE SystemModstamp >= 2026-11-20T10:00:00Z ORDER BY Name DESC LIMIT 1", ["quarry Road Tyres"]),
        ("WHERE SystemModstamp > 2026-11-20T11:00:00+01:00", []),
        ("ORDER BY Phone NULLS LAST", ["Harbor Lane Bakery", "quarry Road Tyres"]),
        ("ORDER BY Phone DESC", ["quarry Road Tyres", "Harbor Lane Bakery"]),
        ("ORDER BY Name LIMIT 1 OFFSET 1", ["quarry Road Tyres"]),
    ],
)
def test_conditions_find_what_they_say(fake, funded, where, found):
    assert names(fake, where) == found


@pytest.mark.parametrize(
    "soql",
    [
        "SELECT FROM Account",
        "SELECT * FROM Account",
        "SELECT Id FROM Account WHERE",
        "SELECT Id FROM Account WHERE Name = Harbor",
        "SELECT Id FROM Account WHERE Name = 'a' AND Name = 'b' OR Name = 'c'",
        "SELECT Id FROM Account WHERE CreatedDate = TODAY",
        "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact)",
        "SELECT Id, (SELECT Id, (SELECT Id FROM Cases) FROM Contacts) FROM Account",
        "SELECT FIELDS(ALL) FROM Account LIMIT 200",
        "SELECT Id FROM Account LIMIT -1",
        "SELECT Id FROM Account FOR UPDATE",
        "SELECT Name, COUNT(Id) FROM Account",
        "SELECT Id FROM Account; DELETE",
        "SELECT a.b.c.d.e.f.g FROM Account",
        "SELECT Id FROM Account ALL ROWS",
    ],
)
def test_what_the_grammar_does_not_know_is_malformed(client, soql):
    response = client.query(soql)

    assert response.status_code == 400
    assert response.json()[0]["errorCode"] == "MALFORMED_QUERY"


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("SELECT Nonsense__c FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Nonsense__c = 1", "INVALID_FIELD"),
        ("SELECT Owner.Nonsense FROM Account", "INVALID_FIELD"),
        ("SELECT Nobody.Name FROM Account", "INVALID_FIELD"),
        ("SELECT Id, id FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Nonsense__c", "INVALID_TYPE"),
        ("SELECT Id, (SELECT Id FROM Nobodies) FROM Account", "INVALID_TYPE"),
        ("SELECT Id FROM Account WHERE AnnualRevenue = '5'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE CreatedDate > '2026-01-01T00:00:00Z'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE CreatedDate > 2026-01-01", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Description = 'x'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE ParentId = 'nonsense'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Account LIMIT 1 OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE"),
    ],
)
def test_names_and_types_are_checked_even_without_rows(client, soql, code):
    response = client.query(soql)

    assert (response.status_code, response.json()[0]["errorCode"]) == (400, code)


def test_parents_and_children_come_nested(client, funded):
    response = client.query(
        "SELECT Name, Account.Name, Account.Owner.Username FROM Contact WHERE Account.Phone != null ORDER BY LastName"
    )
    children = client.query("SELECT Name, (SELECT LastName FROM Contacts ORDER BY LastName DESC) FROM Account")

    first = response.json()["records"][0]
    assert (first["Name"], first["Account"]["Name"]) == ("Baker", "Harbor Lane Bakery")
    assert first["Account"]["Owner"]["Username"] == "sales@sandbox.example"
    assert first["attributes"]["url"].startswith("/services/data/v65.0/sobjects/Contact/003")
    harbor, quarry = children.json()["records"]
    assert [one["LastName"] for one in harbor["Contacts"]["records"]] == ["Miller", "Baker"]
    assert quarry["Contacts"] is None


def test_counts_and_sums(client, funded):
    count = client.query("SELECT COUNT() FROM Opportunity WHERE StageName = 'Funded'").json()
    sums = client.query("SELECT StageName, COUNT(Id) n, SUM(Amount) FROM Opportunity GROUP BY StageName").json()

    assert count == {"totalSize": 2, "done": True, "records": []}
    found = {one["StageName"]: (one["n"], one["expr0"]) for one in sums["records"]}
    assert found == {"Funded": (2, 100.0), "Declined": (1, 50.0)}


def test_pages_are_smaller_than_asked_and_a_locator_is_good_once(client, fake):
    """REST API Developer Guide, "Query": fewer rows than asked may come; follow nextRecordsUrl until done."""
    fake.rest.page_size = 2
    for number in range(5):
        fake.insert("Account", Name=f"A{number}")

    first = client.query("SELECT Name FROM Account ORDER BY Name").json()
    second = client.get(first["nextRecordsUrl"]).json()
    third = client.get(second["nextRecordsUrl"]).json()
    again = client.get(first["nextRecordsUrl"])

    assert [one["Name"] for page in (first, second, third) for one in page["records"]] == ["A0", "A1", "A2", "A3", "A4"]
    assert (first["totalSize"], first["done"], second["done"], third["done"]) == (5, False, False, True)
    assert (again.status_code, again.json()[0]["errorCode"]) == (400, "INVALID_QUERY_LOCATOR")


def test_a_locator_dies_after_two_days(client, fake, clock):
    """SOQL and SOSL Limits."""
    fake.rest.page_size = 1
    for name in "ab":
        fake.insert("Account", Name=name)
    first = client.query("SELECT Name FROM Account").json()
    clock.move(days=2, seconds=1)

    late = client.session.get(
        "https://sandbox-org.my.salesforce.com" + first["nextRecordsUrl"],
        headers={"Authorization": f"Bearer {fake.login.issue(fake.integration_user)}"},
        timeout=5,
    )

    assert late.json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"


def test_deleted_rows_are_seen_by_query_all_only(client, fake):
    loser = fake.insert("Account", Name="B")
    winner = fake.insert("Account", Name="A")
    fake.merge(winner, loser)
    soql = "SELECT Id, MasterRecordId FROM Account WHERE IsDeleted = true"

    assert client.query(soql).json()["records"] == []
    [gone] = client.query(soql, resource="queryAll").json()["records"]
    assert (gone["Id"], gone["MasterRecordId"]) == (loser, winner)


def test_a_query_longer_than_an_address_may_be_is_refused(client):
    """REST API Developer Guide: URI length and header size are limited to 16,384 bytes."""
    assert client.query("SELECT Id FROM Account WHERE Name = '" + "x" * 17000 + "'").status_code == 414


def test_strings_are_unescaped():
    query = parse(r"SELECT Id FROM Account WHERE Name = 'O\'Neil\\ \n'")

    assert query.where.value.value == "O'Neil\\ \n"
    with pytest.raises(Refused):
        parse(r"SELECT Id FROM Account WHERE Name = 'a\qb'")


def test_a_stamp_is_taken_before_its_row_is_seen(fake, clock, client):
    """A watermark taken in between would miss the row: readers need an overlap (SystemModstamp is set at save)."""
    fake.callouts.url = None
    fake.org.commit_delay_s = 0.3
    writer = threading.Thread(target=lambda: fake.insert("Account", Name="late"))
    stamp = clock()
    writer.start()
    threading.Event().wait(0.05)
    clock.move(minutes=1)
    early = client.query(f"SELECT Id FROM Account WHERE SystemModstamp >= {stamp:%Y-%m-%dT%H:%M:%SZ}").json()
    writer.join()

    [row] = fake.rows("Account")
    assert early["totalSize"] == 0
    assert row["SystemModstamp"] == stamp
