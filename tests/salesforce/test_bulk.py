"""Bulk jobs: thousands of rows, each settled by its key; against the fake org and against scripted jobs."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from bridge.errors import Deferred, Misconfigured, Rejected, Uncertain
from bridge.ports import Record, Ref, Written
from bridge.salesforce import ClientCredentials, RestSalesforce
from bridge.salesforce import bulk as bulk_module
from bridge.salesforce.bulk import as_csv, parts
from bridge.salesforce.writing import as_row
from bridge.sandbox.answers import Cut
from bridge.sandbox.wsgi import WsgiAdapter

ORDER, LINE = "NetSuite_Order__c", "NetSuite_Order_Line__c"
JOB = "7505e0000000001AAA"


def order(key, **fields):
    return Record(Ref(ORDER, external_id=key), {"Name": key, **fields})


def connect(app, **options):
    auth = ClientCredentials("sandbox-org.my.salesforce.com", "sandbox-consumer-key", "sandbox-consumer-secret")
    options.setdefault("bulk_above", 2)
    return RestSalesforce(auth=auth, org_id="00D5e0000000001EAA", mount={"https://": WsgiAdapter(app)}, **options)


@pytest.fixture
def large(wire):
    """A connection that uses a bulk job above two rows."""
    made = connect(wire)
    yield made
    made.close()


def test_many_rows_go_by_one_job_and_each_is_settled(fake, wire, large):
    account = fake.insert("Account", Name="Acme")
    records = [order(f"o-{n}", Total__c=Decimal(n), Account__c=Ref("Account", id=account)) for n in range(500)]

    outcomes = large.upsert(records)

    assert all(isinstance(it, Written) for it in outcomes)
    assert [it.ref.external_id for it in outcomes] == [f"o-{n}" for n in range(500)]
    assert {it.ref.id for it in outcomes} == {it["Id"] for it in fake.rows(ORDER)}
    assert not wire.paths("composite")


def test_rows_are_updated_by_id_too(fake, large):
    ids = [fake.insert("Account", Name=f"A{n}") for n in range(5)]

    outcomes = large.upsert([Record(Ref("Account", id=it[:15]), {"NetSuite_Status__c": "delivered"}) for it in ids])

    assert [it.ref.id for it in outcomes] == ids
    assert {fake.row(it)["NetSuite_Status__c"] for it in ids} == {"delivered"}


def test_values_arrive_exactly_by_csv_too(fake, large):
    fields = {
        "Total__c": Decimal("12345678901234.56"),
        "Order_Date__c": date(2026, 11, 19),
        "NetSuite_Modified_At__c": datetime(2026, 11, 20, 1, 2, 3, 456000, tzinfo=UTC),
        "Memo__c": 'line\nnext, "quoted" ü€😀',
    }

    large.upsert([order("o", **fields), order("p"), order("q")])

    kept = next(it for it in fake.rows(ORDER) if it["Name"] == "o")
    assert {name: kept[name] for name in fields} == fields


def test_null_clears_and_an_absent_field_stays(fake, large):
    large.upsert([order(key, Memo__c="memo", Status__c="Billed") for key in "abc"])

    large.upsert([Record(Ref(ORDER, external_id="a"), {"Memo__c": None}), order("b", Status__c="Closed"), order("c")])

    kept = {it["Name"]: it for it in fake.rows(ORDER)}
    assert kept["a"].get("Memo__c") is None
    assert kept["a"]["Status__c"] == "Billed"
    assert (kept["b"]["Memo__c"], kept["b"]["Status__c"]) == ("memo", "Closed")
    assert (kept["c"]["Memo__c"], kept["c"]["Status__c"]) == ("memo", "Billed")


def test_a_text_that_means_null_in_csv_goes_by_another_way(fake, large):
    large.upsert([order("a", Memo__c="#N/A"), order("b"), order("c")])

    assert {it["Name"]: it.get("Memo__c") for it in fake.rows(ORDER)} == {"a": "#N/A", "b": None, "c": None}


def test_a_carriage_return_in_a_text_spoils_no_job(fake, wire, large):
    records = [order("a", Memo__c="x\ry"), order("b", Memo__c="\r"), order("c", Memo__c='x\r\n"y", z')]

    outcomes = large.upsert([*records, order("d", Memo__c="plain"), order("e")])

    assert [type(it) for it in outcomes] == [Written] * 5
    rows = {it["NetSuite_Key__c"]: it.get("Memo__c") for it in fake.rows(ORDER)}
    assert rows["c"] == 'x\r\n"y", z'
    assert rows.keys() == set("abcde")
    assert wire.paths("jobs/ingest")
    assert wire.paths("composite")


def test_a_wrong_row_is_rejected_and_the_others_are_written(fake, large):
    outcomes = large.upsert(
        [order("a"), order("b", Record_Type__c="Nonsense"), order("c"), order("d", Memo__c="x" * 256)]
    )

    assert [type(it) for it in outcomes] == [Written, Rejected, Written, Rejected]
    assert outcomes[1].code == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    assert outcomes[3].field == "Memo__c"


def test_lookups_by_key_and_fixed_masters_work_in_bulk(fake, large):
    large.upsert([order("o")])
    parent = Ref(ORDER, external_id="o")
    lines = [Record(Ref(LINE, external_id=f"o-{n}"), {"Order__c": parent, "Line__c": n}) for n in range(5)]

    first, second = large.upsert(lines), large.upsert(lines)

    assert all(isinstance(it, Written) for it in (*first, *second))
    assert len(fake.rows(LINE)) == 5


def test_one_record_twice_ends_as_its_last_write(fake, large):
    outcomes = large.upsert([order("a", Status__c="1"), order("b"), order("c"), order("A", Status__c="2")])

    assert all(isinstance(it, Written) for it in outcomes)
    assert {it["Name"]: it.get("Status__c") for it in fake.rows(ORDER)}["A"] == "2"


def test_the_columns_are_those_of_all_rows():
    rows = [
        as_row(0, order("a", Memo__c=None, Total__c=Decimal("1E+3"))),
        as_row(1, order("b", Account__c=Ref("Account", id="001000000000001"), Reversed__c=True)),
        as_row(2, Record(Ref(ORDER, external_id="c"), {"Order__c": Ref(ORDER, external_id="o,1"), "Memo__c": ""})),
    ]

    lines = list(csv.DictReader(io.StringIO(as_csv(rows).decode())))

    assert lines[0] == {"NetSuite_Key__c": "a", "Name": "a", "Memo__c": "#N/A", "Total__c": "1000", "Account__c": "",
                        "Reversed__c": "", "Order__r.NetSuite_Key__c": ""}  # fmt: skip
    assert lines[1]["Account__c"] == "001000000000001AAA"
    assert lines[1]["Reversed__c"] == "true"
    assert lines[2]["Order__r.NetSuite_Key__c"] == "o,1"
    assert lines[2]["Memo__c"] == "#N/A"


def test_a_list_too_large_for_one_job_is_split(monkeypatch):
    monkeypatch.setattr(bulk_module, "MOST_ROWS", 10)
    rows = [as_row(n, order(str(n))) for n in range(25)]

    assert [len(it) for it in parts(rows)] == [10, 10, 5]


# --- jobs that go wrong -----------------------------------------------------------------------------------------------


class Jobs:
    """A scripted job. *state* is what polling finds, *results* the CSV of each result file."""

    def __init__(self, script):
        self.state = ["InProgress", "JobComplete"]
        self.results = {"successful": "", "failed": "", "unprocessed": ""}
        self.patched = []
        script.answers.insert(0, ("jobs/ingest", self.answer))
        self.before = lambda environ: None

    def answer(self, environ):
        got = self.before(environ)
        if got is not None:
            return got
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        for name, text in self.results.items():
            if name in path:
                return 200, text.encode(), "text/csv"
        if method == "PUT":
            return 201, b"", "text/csv"
        if method == "PATCH":
            self.patched.append(json.loads(environ["raw"])["state"])
        if method == "GET":
            state = self.state.pop(0) if len(self.state) > 1 else self.state[0]
            return 200, json.dumps({"id": JOB, "state": state}).encode(), "application/json"
        return 200, json.dumps({"id": JOB, "state": "Open"}).encode(), "application/json"


RECORDS = [order(key) for key in "abc"]
IDS = {key: f"a0100000000000{n}" + "AAA" for n, key in enumerate("abc", 1)}


def good(*keys):
    return "sf__Id,sf__Created,NetSuite_Key__c\n" + "".join(f"{IDS[it]},true,{it}\n" for it in keys)


def bad(*keys, words="STRING_TOO_LONG:data value too large:Memo__c --"):
    return "sf__Id,sf__Error,NetSuite_Key__c\n" + "".join(f',"{words}",{it}\n' for it in keys)


def left(*keys):
    return "NetSuite_Key__c,Name\n" + "".join(f"{it},{it}\n" for it in keys)


@pytest.fixture
def jobs(script):
    return Jobs(script)


@pytest.fixture
def system(script):
    made = connect(script, sleep=lambda seconds: None, bulk_wait_s=0.3)
    yield made
    made.close()


def test_results_are_matched_by_key_whatever_their_order(jobs, system):
    jobs.results = {"successful": good("c", "A".lower()), "failed": bad("b"), "unprocessed": left()}

    outcomes = system.upsert(RECORDS)

    assert [type(it) for it in outcomes] == [Written, Rejected, Written]
    assert outcomes[0].ref.id == IDS["a"]
    assert (outcomes[1].code, outcomes[1].field) == ("STRING_TOO_LONG", "Memo__c")


def test_a_row_that_no_result_names_is_in_doubt(jobs, system):
    jobs.results = {"successful": good("a"), "failed": bad("b"), "unprocessed": left()}

    assert [type(it) for it in system.upsert(RECORDS)] == [Written, Rejected, Uncertain]


def test_a_row_that_two_results_name_is_in_doubt(jobs, system):
    jobs.results = {"successful": good("a", "b", "c"), "failed": bad("b"), "unprocessed": left()}

    assert [type(it) for it in system.upsert(RECORDS)] == [Written, Uncertain, Written]


def test_an_aborted_job_settles_what_it_did(jobs, system):
    jobs.state = ["Aborted"]
    jobs.results = {"successful": good("a"), "failed": bad(), "unprocessed": left("b", "c")}

    assert [type(it) for it in system.upsert(RECORDS)] == [Written, Deferred, Deferred]


def test_a_job_that_does_not_end_leaves_all_in_doubt(jobs, system):
    jobs.state = ["InProgress"]

    assert {type(it) for it in system.upsert(RECORDS)} == {Uncertain}


def test_unreadable_results_leave_all_in_doubt(script, jobs, system):
    jobs.before = lambda environ: (500, b"oops", "text/html") if "Results" in environ["PATH_INFO"] else None

    assert {type(it) for it in system.upsert(RECORDS)} == {Uncertain}


def test_a_job_that_was_not_opened_wrote_nothing(script, jobs, system):
    def cut(environ):
        raise Cut

    jobs.before = cut

    assert {type(it) for it in system.upsert(RECORDS)} == {Deferred}


def test_an_upload_that_failed_is_aborted_and_wrote_nothing(jobs, system):
    def before(environ):
        if environ["REQUEST_METHOD"] == "PUT":
            raise Cut

    jobs.before = before

    assert {type(it) for it in system.upsert(RECORDS)} == {Deferred}
    assert jobs.patched == ["Aborted"]


def test_a_start_that_was_not_confirmed_is_looked_up(jobs, system):
    def before(environ):
        if environ["REQUEST_METHOD"] == "PATCH":
            raise Cut

    jobs.before = before
    jobs.results = {"successful": good("a", "b", "c"), "failed": bad(), "unprocessed": left()}

    assert {type(it) for it in system.upsert(RECORDS)} == {Written}


def test_a_start_that_was_not_heard_wrote_nothing(jobs, system):
    jobs.state = ["Open"]

    assert {type(it) for it in system.upsert(RECORDS)} == {Deferred}
    assert jobs.patched == ["UploadComplete", "Aborted"]


def test_a_locked_row_of_a_job_is_tried_again_in_a_small_call(script, jobs, system):
    words = "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access:--"
    jobs.results = {"successful": good("a", "b"), "failed": bad("c", words=words), "unprocessed": left()}
    script.on("composite", 200, [{"id": IDS["c"], "success": True, "errors": []}])

    assert {type(it) for it in system.upsert(RECORDS)} == {Written}
    assert script.count("composite") == 1


def test_bulk_without_permission_is_misconfigured(jobs, system):
    refused = json.dumps([{"errorCode": "FUNCTIONALITY_NOT_ENABLED", "message": "no bulk"}]).encode()
    jobs.before = lambda environ: (403, refused, "application/json")

    assert {type(it) for it in system.upsert(RECORDS)} == {Misconfigured}


def test_a_login_refused_while_the_quota_is_looked_up_is_misconfigured(script, system):
    """Below the daily limit's last tenth the quota is asked for before a job; that call may fail like any other."""
    system._connection.quota.note("api-usage=85/100")
    system._connection.quota._seen_at = -1e9
    refused = [{"errorCode": "API_DISABLED_FOR_ORG", "message": "no"}]
    script.on("limits", 403, refused)

    assert {type(it) for it in system.upsert(RECORDS)} == {Misconfigured}


def test_why_a_whole_job_failed_is_told_by_a_collection(script, jobs, system):
    """A column that is hidden from the bridge makes the job fail without a word about any row."""
    jobs.state = ["Failed"]
    jobs.results = {"successful": good("a"), "failed": bad(), "unprocessed": left("b")}
    hidden = [{"errorCode": "INVALID_FIELD", "message": "No such column 'Memo__c' on sobject"}]
    script.on("composite", 400, hidden)

    assert [type(it) for it in system.upsert(RECORDS)] == [Written, Misconfigured, Misconfigured]
    assert script.count("composite") == 1
