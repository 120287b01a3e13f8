"""What our Apex does on save, as the fake plays it: versions, signed callouts, stamps. Source: DESIGN §6."""

from __future__ import annotations

import hashlib
import hmac
import json
from decimal import Decimal
from pathlib import Path

import pytest

from bridge.sandbox.salesforce import FakeSalesforce
from bridge.sandbox.salesforce_callouts import SWEEP
from bridge.sandbox.salesforce_values import stored


def application(fake, **values):
    """An Application of a new Account."""
    account = fake.insert("Account", Name="Harbor Lane Bakery")
    fields = {"Name": "Harbor Lane 1", "StageName": "New", "CloseDate": "2026-12-01", "AccountId": account} | values
    return account, fake.insert("Opportunity", **fields)


def test_a_save_posts_the_record_signed(fake, listener):
    record_id = fake.insert("Account", Name="Harbor Lane Bakery")

    [(path, headers, raw)] = listener.calls
    [body] = listener.bodies
    mac = hmac.new(b"sandbox-signing-key", raw, hashlib.sha256).hexdigest()
    assert path == "/v1/push/Account"
    assert headers["HTTP_X_BRIDGE_SIGNATURE"] == f"k=sandbox,v1={mac}"
    assert (body["org"], body["sentAt"]) == (fake.org_id, "2026-11-20T10:00:00Z")
    assert body["user"] == fake.sales_user.id
    [record] = body["records"]
    assert (record["Id"], record["Name"], record["Phone"]) == (record_id, "Harbor Lane Bakery", None)
    assert (record["SystemModstamp"], record["Bridge_Version__c"]) == ("2026-11-20T10:00:00.000Z", 1)
    assert not [name for name in record if name.startswith("NetSuite_")]


def test_the_version_rises_only_when_a_field_changed_that_the_bridge_reads(fake, listener):
    record_id = fake.insert("Account", Name="Harbor")
    fake.update(record_id, Phone="555-0100")
    fake.update(record_id, Phone="555-0100")
    fake.update(record_id, NetSuite_Error__c="seen")

    assert fake.row(record_id)["Bridge_Version__c"] == 2
    assert len(listener.calls) == 2


def test_the_integration_user_causes_no_callout(fake, listener):
    record_id = fake.insert("Account", user=fake.integration_user, Name="Harbor")

    assert listener.calls == []
    assert fake.row(record_id)["Bridge_Version__c"] == 0


def test_a_fee_line_raises_the_version_of_its_application_and_travels_with_it(fake, listener):
    _, record_id = application(fake)
    before = fake.row(record_id)["Bridge_Version__c"]

    line = fake.add_fee(record_id, "Origination Fee", "250.00", quantity=2, Description="once")

    after = fake.row(record_id)
    [record] = listener.bodies[-1]["records"]
    assert listener.paths[-1] == "/v1/push/Application"
    assert after["Bridge_Version__c"] == before + 1
    assert after["Amount"] == Decimal("500.00")
    assert record["Lines"] == [
        {
            "Id": line,
            "Description": "once",
            "Fee_Type__c": "Origination Fee",
            "Quantity": 2.0,
            "TotalPrice": 500.0,
            "UnitPrice": 250.0,
        }
    ]


def test_a_change_of_a_lines_text_raises_the_version_and_the_stamp(fake, clock):
    _, record_id = application(fake)
    line = fake.add_fee(record_id, "Wire Fee", "25.00")
    before = fake.row(record_id)
    clock.move(seconds=5)

    fake.update(line, Description="same-day wire")

    after = fake.row(record_id)
    assert after["Bridge_Version__c"] == before["Bridge_Version__c"] + 1
    assert after["SystemModstamp"] > before["SystemModstamp"]


def test_acceptance_of_an_approved_application_saves_the_account_too(fake, listener):
    account, record_id = application(fake, StageName="Approved")
    listener.calls.clear()

    fake.accept(record_id)

    assert listener.paths == ["/v1/push/Account", "/v1/push/Application"]
    assert fake.row(account)["Approved_Applications__c"] == 1
    assert fake.row(account)["Bridge_Version__c"] == 2


def test_the_answer_is_stamped_once_and_fires_nothing(fake, listener):
    listener.reply = lambda body: (
        200,
        {
            "results": [
                {
                    "id": body["records"][0]["Id"],
                    "state": "delivered",
                    "netsuite": [{"record": "customer", "id": "77", "url": "https://ns.example/77"}],
                }
            ]
        },
    )

    record_id = fake.insert("Account", Name="Harbor")

    row = fake.row(record_id)
    assert len(listener.calls) == 1
    assert (row["NetSuite_Customer_Id__c"], row["NetSuite_Status__c"]) == ("77", "delivered")
    assert (row["NetSuite_Url__c"], row["NetSuite_Synced_At__c"]) == ("https://ns.example/77", fake.clock())


def test_an_error_is_stamped_and_cleared_by_the_next_success(fake, listener):
    good = listener.reply
    error = {"code": "ITEM_UNKNOWN", "message": "Fee 'Wire' has no NetSuite item.", "who": "accounting"}
    listener.reply = lambda body: (
        200,
        {"results": [{"id": body["records"][0]["Id"], "state": "rejected", "error": error}]},
    )
    record_id = fake.insert("Account", Name="Harbor")
    rejected = fake.row(record_id)
    listener.reply = good

    fake.update(record_id, Name="Harbor Lane")

    assert rejected["NetSuite_Status__c"] == "rejected"
    assert rejected["NetSuite_Error__c"] == "Fee 'Wire' has no NetSuite item."
    assert rejected["NetSuite_Error_Owner__c"] == "accounting"
    assert "NetSuite_Error__c" not in fake.row(record_id)


def test_accepted_but_unsettled_is_stamped_queued(fake, listener):
    listener.reply = lambda _body: (202, {"results": []})

    record_id = fake.insert("Account", Name="Harbor")

    assert fake.row(record_id)["NetSuite_Status__c"] == "queued"


def test_an_unreachable_bridge_never_fails_the_save(fake, listener):
    listener.reply = lambda _body: (503, {})

    record_id = fake.insert("Account", Name="Harbor")

    assert fake.row(record_id)["NetSuite_Error__c"] == "The bridge is not available right now." + SWEEP


def test_a_deletion_and_a_merge_are_told_with_the_survivor(fake, listener):
    winner, loser = (fake.insert("Account", Name=name) for name in ("A", "B"))
    contact = fake.insert("Contact", LastName="Baker", AccountId=loser)
    listener.calls.clear()

    fake.merge(winner, loser)
    fake.delete(contact)

    assert listener.bodies[0]["deleted"] == [{"Id": loser, "MasterRecordId": winner}]
    assert listener.paths == ["/v1/push/Account", "/v1/push/Contact"]
    assert listener.bodies[1]["deleted"] == [{"Id": contact}]


def test_children_moved_by_a_merge_fire_nothing(fake, listener):
    """Apex Developer Guide, "Merging Records": reparented children fire no trigger."""
    winner, loser = (fake.insert("Account", Name=name) for name in ("A", "B"))
    contact = fake.insert("Contact", LastName="Baker", AccountId=loser)
    version = fake.row(contact)["Bridge_Version__c"]

    fake.merge(winner, loser)

    assert fake.row(contact)["AccountId"] == winner
    assert fake.row(contact)["Bridge_Version__c"] == version


def test_an_undeleted_record_is_sent_again_with_what_was_deleted_with_it(fake, listener):
    account, record_id = application(fake)
    line = fake.add_fee(record_id, "Wire Fee", 25)
    fake.delete(account)
    gone = fake.row(record_id), fake.row(line)
    listener.calls.clear()

    fake.undelete(account)

    assert gone == (None, None)
    assert fake.row(line)["OpportunityId"] == record_id
    assert listener.bodies[0]["records"][0]["Id"] == account


def test_one_transaction_is_one_job_with_at_most_200_records_a_callout(fake, listener, seller):
    for _ in range(2):
        records = [{"attributes": {"type": "Account"}, "Name": f"A{n}"} for n in range(200)]
        seller.post("composite/sobjects", {"records": records})

    assert [len(body["records"]) for body in listener.bodies] == [200, 200]


def test_callouts_can_be_dropped_doubled_and_reordered(fake, listener):
    fake.callouts.knobs.twice = True
    fake.insert("Account", Name="twice")
    fake.callouts.knobs.twice, fake.callouts.knobs.drop_share = False, 1.0
    fake.insert("Account", Name="dropped")
    fake.callouts.knobs.drop_share, fake.callouts.knobs.out_of_order = 0.0, True
    fake.insert("Account", Name="first")
    fake.insert("Account", Name="second")
    fake.drain()

    assert [body["records"][0]["Name"] for body in listener.bodies] == ["twice", "twice", "second", "first"]
    assert listener.calls[0][2] == listener.calls[1][2]


def test_a_partial_save_can_fire_twice(fake, listener, seller):
    """Apex Developer Guide, "Bulk DML Exception Handling"."""
    fake.triggers.double_fire_on_partial_save = True
    records = [{"attributes": {"type": "Account"}, "Name": "good"}, {"attributes": {"type": "Account"}}]

    seller.post("composite/sobjects", {"records": records})

    assert len(listener.calls) == 2


def test_a_transaction_that_rolls_back_sends_nothing(fake, listener, seller):
    """Apex Developer Guide, "Queueable Apex": jobs of a rolled-back transaction never run."""
    records = [{"attributes": {"type": "Account"}, "Name": "good"}, {"attributes": {"type": "Account"}}]

    seller.post("composite/sobjects", {"allOrNone": True, "records": records})

    assert listener.calls == []
    assert fake.rows("Account") == []


PACKAGE = Path(__file__).parents[3] / "salesforce_metadata"
GOLDEN = Path(__file__).parents[2] / "contract" / "apex"


@pytest.mark.parametrize("name", ["account", "contact", "application"])
def test_the_body_is_byte_for_byte_what_the_apex_writes(name, clock):
    """The golden files are what the Apex tests assert."""
    expected = (GOLDEN / f"request_{name}.json").read_bytes().rstrip(b"\n")
    body = json.loads(expected, parse_float=Decimal)
    fake = FakeSalesforce(metadata_dir=PACKAGE, org_id=body["org"], clock=clock)
    clock.move(seconds=1)
    kind = "Opportunity" if name == "application" else name.title()
    for record in body["records"]:
        for line in record.pop("Lines", []):
            put(fake, "OpportunityLineItem", line | {"OpportunityId": record["Id"]})
        put(fake, kind, record)

    written = fake.callouts.write(
        kind,
        [one["Id"] for one in body["records"]],
        body.get("deleted", []),
        call_id=body["id"],
        user_id=body["user"],
    )

    fake.close()
    assert written == expected


def put(fake, kind, values):
    """Put a row with a given id past the save procedure."""
    table = fake.org.tables[kind]
    fields = table.kind.fields
    row = {name: stored(fields[name.lower()], value) for name, value in values.items()}
    row.setdefault("SystemModstamp", fake.clock())
    table.put(values["Id"], {name: value for name, value in row.items() if value is not None})


def test_a_late_answer_leaves_the_state_of_a_newer_save_alone(fake, listener):
    """BridgeStamp of the package: ids are true for both saves, the state belongs to the newer one."""
    record_id = fake.insert("Account", Name="Harbor")
    newer = {"calls": 0}

    def answer(body):
        newer["calls"] += 1
        if newer["calls"] == 1:
            fake.update(record_id, Name="Harbor 3")
            return 200, {
                "results": [{"id": record_id, "state": "superseded", "netsuite": [{"record": "customer", "id": "77"}]}]
            }
        return 200, {"results": [{"id": record_id, "state": "delivered"}]}

    listener.reply = answer
    fake.update(record_id, Name="Harbor 2")

    row = fake.row(record_id)
    assert (row["NetSuite_Status__c"], row["NetSuite_Customer_Id__c"]) == ("delivered", "77")


@pytest.mark.parametrize("told", [(202, {"results": []}), (503, {})])
def test_what_the_bridge_wrote_before_the_job_ended_stands(fake, listener, told):
    """BridgeStamp of the package: "on its way" and "not sent" are only said where nobody has said more."""
    record_id = fake.insert("Account", Name="Harbor")

    def answer(body):
        with fake.org.transaction(fake.integration_user) as transaction:
            fake.org.update(transaction, "Account", record_id, {"NetSuite_Status__c": "delivered"})
        return told

    listener.reply = answer
    fake.update(record_id, Name="Harbor 2")

    assert fake.row(record_id)["NetSuite_Status__c"] == "delivered"
    assert fake.row(record_id).get("NetSuite_Error__c") is None


def test_a_saved_record_waits_until_its_answer_is_there(fake, listener):
    fake.callouts.knobs.drop_share = 1.0

    record_id = fake.insert("Account", Name="Harbor", NetSuite_Customer_Id__c="copied")

    assert fake.row(record_id)["NetSuite_Status__c"] == "waiting"
    assert "NetSuite_Customer_Id__c" not in fake.row(record_id)


def test_send_again_raises_the_version_and_sends(fake, listener):
    record_id = fake.insert("Account", Name="Harbor")

    fake.send_again(record_id)

    assert [body["records"][0]["Bridge_Version__c"] for body in listener.bodies] == [1, 2]


def test_only_fields_of_the_packages_own_list_are_sent(fake, listener):
    """The list is custom metadata; a field that is marked dynamic may be absent."""
    fake.insert("Account", Name="Harbor", Description="not read")
    fake.update(fake.rows("Account")[0]["Id"], Description="still not read")

    assert len(listener.calls) == 1
    assert "Description" not in listener.bodies[0]["records"][0]
    assert "CurrencyIsoCode" not in listener.bodies[0]["records"][0]
