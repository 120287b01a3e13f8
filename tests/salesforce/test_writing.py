"""Writing: every record is settled on its own, whatever happens to the others or to the answer."""

from __future__ import annotations

import json
import threading
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from bridge.errors import Deferred, Misconfigured, Rejected, Uncertain
from bridge.ports import Record, Ref, Written
from bridge.salesforce import ClientCredentials, RestSalesforce
from bridge.sandbox.answers import Cut
from bridge.sandbox.wsgi import WsgiAdapter

ORDER, LINE = "NetSuite_Order__c", "NetSuite_Order_Line__c"


def order(key, **fields):
    return Record(Ref(ORDER, external_id=key), {"Name": key, **fields})


def line(order_key, n, **fields):
    parent = Ref(ORDER, external_id=order_key)
    return Record(Ref(LINE, external_id=f"{order_key}-{n}"), {"Order__c": parent, "Line__c": n, **fields})


def only(fake, kind):
    (row,) = fake.rows(kind)
    return row


def test_a_mirror_is_created_and_then_updated(fake, salesforce):
    first = salesforce.upsert([order("salesOrder-1", Status__c="Pending")])
    second = salesforce.upsert([order("salesOrder-1", Status__c="Billed")])

    assert isinstance(first[0], Written)
    assert first == second
    assert only(fake, ORDER)["Status__c"] == "Billed"
    assert first[0].ref == Ref(ORDER, id=only(fake, ORDER)["Id"], external_id="salesOrder-1")


def test_values_arrive_exactly(fake, salesforce):
    at = datetime(2026, 11, 20, 1, 2, 3, 456000, tzinfo=UTC)
    fields = {
        "Total__c": Decimal("12345678901234.56"),
        "Order_Date__c": date(2026, 11, 19),
        "NetSuite_Modified_At__c": at,
        "Memo__c": "line\n\"quoted\" 'it' ü€😀 \\",
    }

    salesforce.upsert([order("o", **fields)])

    kept = only(fake, ORDER)
    assert {name: kept[name] for name in fields} == fields


def test_none_clears_and_what_is_absent_stays(fake, salesforce):
    salesforce.upsert([order("o", Memo__c="memo", Status__c="Billed")])

    salesforce.upsert([Record(Ref(ORDER, external_id="o"), {"Memo__c": None})])

    assert only(fake, ORDER).get("Memo__c") is None
    assert only(fake, ORDER)["Status__c"] == "Billed"


def test_a_record_is_updated_by_its_id(fake, salesforce):
    account = fake.insert("Account", Name="Acme")

    outcome = salesforce.upsert([Record(Ref("Account", id=account[:15]), {"NetSuite_Status__c": "delivered"})])

    assert outcome == [Written(Ref("Account", id=account))]
    assert fake.row(account)["NetSuite_Status__c"] == "delivered"


def test_children_follow_their_parents_in_one_list(fake, salesforce):
    outcomes = salesforce.upsert([line("o", 1), order("o"), line("o", 2)])

    # The line came first in the list, so its object went first and its parent was not there yet.
    assert isinstance(outcomes[0], Deferred)
    assert isinstance(outcomes[1], Written)

    outcomes = salesforce.upsert([order("o"), line("o", 1), line("o", 2)])

    assert [type(it) for it in outcomes] == [Written] * 3
    assert {it["Order__c"] for it in fake.rows(LINE)} == {only(fake, ORDER)["Id"]}


def test_a_detail_is_written_again_although_its_master_is_fixed(fake, salesforce, wire):
    """Salesforce refuses a master-detail field in an update, even with the same value."""
    salesforce.upsert([order("o"), line("o", 1, Amount__c=Decimal("1.10"))])

    outcomes = salesforce.upsert([order("o"), line("o", 1, Amount__c=Decimal("2.20")), line("o", 2)])

    assert [type(it) for it in outcomes] == [Written] * 3
    assert sorted(it.get("Amount__c") or 0 for it in fake.rows(LINE)) == [0, Decimal("2.20")]


def test_one_wrong_record_does_not_hurt_the_others(fake, salesforce):
    outcomes = salesforce.upsert(
        [order("a"), order("b", Record_Type__c="Nonsense"), order("c", Memo__c="x" * 256), order("d")]
    )

    assert [type(it) for it in outcomes] == [Written, Rejected, Rejected, Written]
    assert outcomes[1].field == "Record_Type__c"
    assert outcomes[2].field == "Memo__c"
    assert {it["Name"] for it in fake.rows(ORDER)} == {"a", "d"}


def test_a_number_that_cannot_be_parsed_spoils_only_its_own_record(script, scripted):
    """A whole call is refused for one unreadable value; its neighbours are innocent."""

    def answer(environ):
        records = json.loads(environ["raw"])["records"]
        if any(it["Name"] == "bad" for it in records):
            return [{"errorCode": "JSON_PARSER_ERROR", "message": "Cannot deserialize instance of currency"}]
        return [{"id": "001000000000001AAA", "success": True, "errors": []} for _ in records]

    def status(environ):
        body = answer(environ)
        return (400 if "errorCode" in body[0] else 200), json.dumps(body).encode(), "application/json"

    script.answers.insert(0, ("composite", status))
    names = ["a", "b", "c", "bad", "e", "f", "g"]

    outcomes = scripted.upsert([Record(Ref(ORDER, external_id=it), {"Name": it}) for it in names])

    assert [type(it) for it in outcomes] == [Rejected if it == "bad" else Written for it in names]


def test_a_call_that_is_always_refused_is_not_halved_for_ever(script, scripted):
    script.on("composite", 400, [{"errorCode": "SOMETHING_NEW", "message": "no"}])

    outcomes = scripted.upsert([order(str(n)) for n in range(200)])

    assert {type(it) for it in outcomes} == {Rejected}
    assert script.count("composite") <= 30


def test_records_that_cannot_be_written_are_rejected_without_a_call(salesforce, wire):
    records = [
        Record(Ref(ORDER), {}),
        Record(Ref(ORDER, name="x"), {}),
        Record(Ref(ORDER, id="nonsense"), {}),
        Record(Ref("Bad Kind", external_id="x"), {}),
        order("x", Total__c=0.5),
        order("y", **{"Name; DROP": 1}),
    ]

    outcomes = salesforce.upsert(records)

    assert {type(it) for it in outcomes} == {Rejected}
    assert not wire.calls


def test_one_record_twice_in_a_list_ends_as_its_last_write(fake, salesforce, wire):
    outcomes = salesforce.upsert(
        [order("o", Status__c="1"), order("p"), order("O", Status__c="2"), order("o", Status__c="3")]
    )

    assert [type(it) for it in outcomes] == [Written] * 4
    assert {it["Name"]: it.get("Status__c") for it in fake.rows(ORDER)}["o"] == "3"
    assert [len(it["records"]) for it in wire.bodies("composite")] == [2, 1, 1]


def test_long_lists_go_in_calls_of_200(fake, salesforce, wire):
    account = [fake.insert("Account", Name=f"A{n}") for n in range(3)]
    records = [order(f"o-{n}", Account__c=Ref("Account", id=account[n % 3])) for n in range(450)]

    outcomes = salesforce.upsert(records)

    assert all(isinstance(it, Written) for it in outcomes)
    assert [it.ref.external_id for it in outcomes] == [f"o-{n}" for n in range(450)]
    assert sorted(len(it["records"]) for it in wire.bodies("composite")) == [50, 200, 200]
    for body in wire.bodies("composite"):
        assert len({it["Account__c"] for it in body["records"]}) <= 2


def test_a_locked_row_is_tried_once_more(fake, salesforce, wire):
    fake.faults.add(kind="lock", object=ORDER, after=3)

    outcomes = salesforce.upsert([order(str(n)) for n in range(6)])

    assert all(isinstance(it, Written) for it in outcomes)
    assert [len(it["records"]) for it in wire.bodies("composite")] == [6, 1]


def test_a_row_that_stays_locked_is_deferred(fake, salesforce):
    fake.faults.add(kind="lock", object=ORDER, times=1000)

    outcomes = salesforce.upsert([order(str(n)) for n in range(60)])

    assert {type(it) for it in outcomes} == {Deferred}
    assert {it.code for it in outcomes} == {"UNABLE_TO_LOCK_ROW"}


# --- silence ----------------------------------------------------------------------------------------------------------


def test_an_answer_lost_after_the_commit_leaves_all_in_doubt(fake, salesforce):
    fake.faults.add(kind="reset_after_commit", path="composite")

    outcomes = salesforce.upsert([order("a"), order("b")])

    assert [type(it) for it in outcomes] == [Uncertain, Uncertain]
    assert len(fake.rows(ORDER)) == 2


def test_a_connection_cut_before_an_answer_leaves_all_in_doubt(script, scripted):
    def cut(environ):
        raise Cut

    script.on("composite", 200, cut)

    assert isinstance(scripted.upsert([order("a")])[0], Uncertain)


def test_an_answer_cut_short_leaves_all_in_doubt(fake, salesforce):
    fake.faults.add(kind="truncate", path="composite")

    assert [type(it) for it in salesforce.upsert([order("a"), order("b")])] == [Uncertain, Uncertain]


def test_silence_ends_within_the_time_limit(script, scripted):
    done = threading.Event()
    script.on("composite", 200, lambda environ: done.wait(5))

    outcome = scripted.upsert([order("a")])[0]

    done.set()
    assert isinstance(outcome, Uncertain)


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (503, b"<html>We are down for maintenance</html>", Deferred),
        (500, b"<html>oops</html>", Uncertain),
        (502, b"", Uncertain),
        (200, b"<html>We are down for maintenance</html>", Uncertain),
        (302, b"", Uncertain),
        (404, b"", Misconfigured),
        (410, b'[{"errorCode":"UNSUPPORTED_API_VERSION","message":"retired"}]', Misconfigured),
        (400, b'[{"errorCode":"SERVER_UNAVAILABLE","message":"busy"}]', Deferred),
        (500, b'[{"errorCode":"UNABLE_TO_LOCK_ROW","message":"locked"}]', Deferred),
        (403, b'[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]', Deferred),
        (403, b'[{"errorCode":"API_DISABLED_FOR_ORG","message":"no API"}]', Misconfigured),
    ],
)
def test_a_call_that_fails_as_a_whole_is_given_to_each_record(script, scripted, status, body, outcome):
    script.on("composite", status, body, "text/html" if body.startswith(b"<") else "application/json")

    assert [type(it) for it in scripted.upsert([order("a"), order("b")])] == [outcome, outcome]


def test_a_redirect_is_not_followed(script, scripted):
    script.headers = [("Location", "https://evil.example/")]
    script.on("composite", 302, b"", "text/html")

    scripted.upsert([order("a")])

    assert script.count("composite") == 1
    assert {path.split("/")[1] for _, path, _ in script.calls} == {"services"}


GOOD = {"id": "a01000000000001AAA", "success": True, "errors": []}


@pytest.mark.parametrize(
    "answer",
    [[], [GOOD], [GOOD] * 3, {}, None, [GOOD, None], [GOOD, {}], [GOOD, {"success": "true"}], [GOOD, {"success": True}],
     [GOOD, {"success": True, "id": "nonsense"}], [GOOD, {"success": True, "id": {}}]],
)  # fmt: skip
def test_an_answer_that_does_not_fit_is_never_a_success(script, scripted, answer):
    script.on("composite", 200, answer)

    outcomes = scripted.upsert([order("a"), order("b")])

    assert isinstance(outcomes[1], Uncertain)
    if not isinstance(answer, list) or len(answer) != 2:
        assert isinstance(outcomes[0], Uncertain)


def test_answers_in_another_order_settle_nothing(script, scripted):
    ids = ["001000000000001AAA", "001000000000002AAA"]
    script.on("composite", 200, [{"id": it, "success": True} for it in reversed(ids)])

    outcomes = scripted.upsert([Record(Ref("Account", id=it), {"Name": "x"}) for it in ids])

    assert [type(it) for it in outcomes] == [Uncertain, Uncertain]


def test_what_follows_a_silence_is_not_sent(script, scripted):
    def cut(environ):
        raise Cut

    script.on("composite", 200, cut)

    outcomes = scripted.upsert([order("a"), Record(Ref("Account", id="001000000000001"), {"Name": "x"})])

    assert isinstance(outcomes[0], Uncertain)
    assert isinstance(outcomes[1], Deferred)
    assert script.count("composite") == 1


def test_unavailable_says_when_to_come_back(fake, salesforce):
    salesforce.now()
    fake.faults.add(kind="unavailable", path="composite")

    assert salesforce.upsert([order("a")])[0].retry_after_s == 5


def test_an_unreachable_salesforce_is_deferred(clock):
    auth = ClientCredentials("http://127.0.0.1:9", "key", "secret")
    system = RestSalesforce(auth=auth, org_id="00D5e0000000001EAA", allow_loopback=True)

    assert isinstance(system.upsert([order("a")])[0], Deferred)


# --- permission and quota ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("updateable", "outcome"), [(True, Rejected), (False, Misconfigured)])
def test_a_locked_record_is_told_from_a_locked_object(script, scripted, updateable, outcome):
    refused = {
        "success": False,
        "errors": [{"statusCode": "INSUFFICIENT_ACCESS_OR_READONLY", "message": "no", "fields": []}],
    }
    script.on("composite", 200, [refused])
    script.on("describe", 200, {"name": "Account", "fields": [], "updateable": updateable, "createable": updateable})

    assert isinstance(scripted.upsert([Record(Ref("Account", id="001000000000001"), {"Name": "x"})])[0], outcome)


def test_a_child_shares_the_fate_of_its_parent_in_the_same_list(salesforce):
    outcomes = salesforce.upsert([order("o", Record_Type__c="Nonsense"), line("o", 1)])

    assert [type(it) for it in outcomes] == [Rejected, Rejected]
    assert outcomes[1].field == "Record_Type__c"


def test_background_work_stops_at_nine_tenths_of_the_quota_and_people_go_on(script, scripted):
    script.limit = "api-usage=900/1000"
    script.on("composite", 200, [GOOD])
    next(scripted.check())

    background, interactive = scripted.upsert([order("a")]), scripted.upsert([order("a")], interactive=True)

    assert isinstance(background[0], Deferred)
    assert background[0].throttled
    assert isinstance(interactive[0], Written)
    assert scripted.usage == (900, 1000)


def test_reading_changes_stops_at_nine_tenths_too(script, scripted):
    script.limit = "api-usage=900/1000"
    script.on("describe", 200, {"name": "Account", "fields": [{"name": "Id", "type": "id"}]})
    now = datetime.now(UTC)

    with pytest.raises(Deferred) as caught:
        list(scripted.changed("Account", now, now, ("Id",)))

    assert caught.value.throttled


def test_background_work_slows_down_from_eight_tenths(script):
    waits = []
    auth = ClientCredentials("sandbox-org.my.salesforce.com", "key", "secret")
    system = RestSalesforce(
        auth=auth, org_id="00D5e0000000001EAA", mount={"https://": WsgiAdapter(script)}, sleep=waits.append
    )
    script.on("composite", 200, [GOOD])
    script.limit = "api-usage=850/1000"
    next(system.check())

    system.upsert([order("a")])
    system.upsert([order("a")], interactive=True)

    assert waits == [pytest.approx(1.0)]


def test_a_used_up_quota_is_throttled_with_a_long_wait(fake, salesforce):
    salesforce.now()
    fake.api_limit = 0

    outcome = salesforce.upsert([order("a")], interactive=True)[0]

    assert isinstance(outcome, Deferred)
    assert outcome.throttled
    assert outcome.retry_after_s == 900
