"""sObject Collections and Composite. Source: the REST API Developer Guide's pages of both."""

from __future__ import annotations

ORDER = {"type": "NetSuite_Order__c"}
UPSERT = "composite/sobjects/NetSuite_Order__c/NetSuite_Key__c"


def accounts(*names):
    return [{"attributes": {"type": "Account"}, **({"Name": name} if name else {})} for name in names]


def test_a_collection_answers_200_even_when_every_record_failed(client):
    response = client.post("composite/sobjects", {"records": accounts(None, "x" * 300)})

    assert response.status_code == 200
    codes = [item["errors"][0]["statusCode"] for item in response.json()]
    assert codes == ["REQUIRED_FIELD_MISSING", "STRING_TOO_LONG"]
    assert [item["success"] for item in response.json()] == [False, False]


def test_without_all_or_none_the_good_records_stay(client, fake):
    items = client.post("composite/sobjects", {"records": accounts("a", None, "c")}).json()

    assert [item["success"] for item in items] == [True, False, True]
    assert {row["Name"] for row in fake.rows("Account")} == {"a", "c"}


def test_with_all_or_none_everything_is_rolled_back(client, fake):
    items = client.post("composite/sobjects", {"allOrNone": True, "records": accounts("a", None)}).json()

    assert items[0]["errors"][0]["statusCode"] == "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    assert items[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert fake.rows("Account") == []


def test_more_than_200_records_or_10_chunks_are_refused(client):
    many = client.post("composite/sobjects", {"records": accounts(*["a"] * 201)})
    mixed = accounts(*["a"] * 11)
    for place in range(1, 11, 2):
        mixed[place] = {"attributes": {"type": "Contact"}, "LastName": "x"}
    chunks = client.post("composite/sobjects", {"records": mixed})

    assert (many.status_code, many.json()[0]["errorCode"]) == (400, "LIMIT_EXCEEDED")
    assert (chunks.status_code, chunks.json()[0]["errorCode"]) == (400, "LIMIT_EXCEEDED")


def test_an_upsert_tells_what_it_created_and_refuses_repeated_keys(client):
    records = [{"attributes": ORDER, "NetSuite_Key__c": f"salesOrder-{n}", "Name": f"SO{n}"} for n in (1, 2)]
    first = client.patch(UPSERT, {"records": records[:1]}).json()
    second = client.patch(UPSERT, {"records": records}).json()
    repeated = client.patch(UPSERT, {"records": [records[0], records[0], records[1]]}).json()

    assert [one["created"] for one in first] == [True]
    assert [one["created"] for one in second] == [False, True]
    assert [one["success"] for one in repeated] == [False, False, True]
    assert repeated[0]["errors"][0]["statusCode"] == "DUPLICATE_VALUE"


def test_an_upsert_with_a_record_id_is_refused(client):
    record = {"attributes": ORDER, "NetSuite_Key__c": "k", "Id": "a015e0000000001"}

    [item] = client.patch(UPSERT, {"records": [record]}).json()

    assert item["errors"][0]["statusCode"] == "INVALID_FIELD"


def test_updates_deletes_and_reads_go_by_id(client, fake):
    ids = [fake.insert("Account", Name=name) for name in "ab"]

    updated = client.patch(
        "composite/sobjects",
        {
            "records": [
                {"attributes": {"type": "Account"}, "id": one, "Phone": "1"} for one in [*ids, "0015e0000099999"]
            ]
        },
    ).json()
    read = client.post("composite/sobjects/Account", {"ids": [*ids, "0015e0000099999"], "fields": ["Phone"]}).json()
    deleted = client.call("DELETE", "composite/sobjects", params={"ids": ",".join(ids)}).json()

    assert [one["success"] for one in updated] == [True, True, False]
    assert updated[2]["errors"][0]["statusCode"] == "INVALID_CROSS_REFERENCE_KEY"
    assert [one and one["Phone"] for one in read] == ["1", "1", None]
    assert [one["success"] for one in deleted] == [True, True]


def test_composite_steps_may_refer_to_earlier_ones(client, fake):
    body = {
        "compositeRequest": [
            {
                "method": "POST",
                "url": "/services/data/v65.0/sobjects/Account",
                "referenceId": "account",
                "body": {"Name": "Harbor"},
            },
            {
                "method": "POST",
                "url": "/services/data/v65.0/sobjects/Contact",
                "referenceId": "contact",
                "body": {"LastName": "Baker", "AccountId": "@{account.id}"},
            },
            {
                "method": "GET",
                "url": "/services/data/v65.0/query?q=SELECT+Id+FROM+Contact+WHERE+Id='@{contact.id}'",
                "referenceId": "found",
            },
            {
                "method": "GET",
                "url": "/services/data/v65.0/sobjects/Account/@{nobody.id}",
                "referenceId": "lost",
            },
        ]
    }

    answers = {one["referenceId"]: one for one in client.post("composite", body).json()["compositeResponse"]}

    assert [one["httpStatusCode"] for one in answers.values()] == [201, 201, 200, 400]
    assert answers["found"]["body"]["totalSize"] == 1
    assert answers["lost"]["body"][0]["errorCode"] == "PROCESSING_HALTED"


def test_a_composite_with_all_or_none_is_rolled_back_as_one(client, fake, listener):
    part = {"method": "POST", "url": "/services/data/v65.0/sobjects/Account"}
    body = {
        "allOrNone": True,
        "compositeRequest": [
            part | {"referenceId": "good", "body": {"Name": "a"}},
            part | {"referenceId": "bad", "body": {}},
            part | {"referenceId": "never", "body": {"Name": "c"}},
        ],
    }

    answers = client.post("composite", body).json()["compositeResponse"]

    assert [one["body"][0]["errorCode"] for one in answers] == [
        "PROCESSING_HALTED",
        "REQUIRED_FIELD_MISSING",
        "PROCESSING_HALTED",
    ]
    assert fake.rows("Account") == []
    assert listener.calls == []


def test_a_composite_has_at_most_25_parts_and_5_queries(client):
    query = {"method": "GET", "url": "/services/data/v65.0/query?q=SELECT+Id+FROM+Account"}
    parts = [query | {"referenceId": f"q{n}"} for n in range(6)]

    assert client.post("composite", {"compositeRequest": parts}).json()[0]["errorCode"] == "LIMIT_EXCEEDED"
