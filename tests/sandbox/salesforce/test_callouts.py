"""What our Apex does on save, as the fake plays it: versions, signed callouts, stamps. Source: DESIGN §6."""

from __future__ import annotations

import hashlib
import hmac
from decimal import Decimal

from bridge.sandbox.salesforce_callouts import UNREACHABLE


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
    assert (body["org"], body["sentAt"]) == (fake.org_id, "2026-11-20T10:00:00.000Z")
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
            "Fee_Type__c": "Origination Fee",
            "Quantity": 2.0,
            "UnitPrice": 250.0,
            "TotalPrice": 500.0,
            "Description": "once",
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

    assert fake.row(record_id)["NetSuite_Error__c"] == UNREACHABLE


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
