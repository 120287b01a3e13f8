"""Chosen failures of the fake NetSuite: what the client gets, and what is committed all the same."""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING

import pytest
import requests

from bridge.sandbox.faults import ACTIONS, FaultBook
from bridge.sandbox.netsuite import Latency
from bridge.sandbox.wsgi import SandboxServer
from tests.sandbox.netsuite.suitetalk_client import Soap, customer, vendor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.sandbox.netsuite import FakeNetSuite


@pytest.fixture(params=["mounted", "socket"])
def client(request: pytest.FixtureRequest, fake: FakeNetSuite) -> Iterator[Callable[..., Soap]]:
    """A maker of clients, inside requests and over a real socket: both must fail alike."""
    if request.param == "mounted":
        yield lambda **options: Soap(fake, **options)
        return
    with SandboxServer(fake) as server:

        def make(**options: object) -> Soap:
            soap = Soap(fake, base=server.url, **options)
            soap.session.adapters.pop(server.url)
            return soap

        yield make


def committed(fake: FakeNetSuite) -> bool:
    return fake.store.find("Entity", "c-1") is not None


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("throttle", "WS_REQUEST_BLOCKED"),
        ("auth", "INVALID_LOGIN_CREDENTIALS"),
        ("permission", "INSUFFICIENT_PERMISSION"),
        ("session", "SESSION_TIMED_OUT"),
        ("maintenance", "ACCT_TEMP_UNAVAILABLE"),
        ("unexpected", "UNEXPECTED_ERROR"),
        ("no_detail", None),
    ],
)
def test_a_planned_fault_comes_once_and_nothing_is_written(
    soap: Soap, fake: FakeNetSuite, action: str, code: str | None
) -> None:
    fake.faults.add(action, operation="upsert")

    refused = soap.upsert(customer("c-1"))

    assert (refused.http, refused.code) == (500, code)
    assert not committed(fake)
    assert soap.upsert(customer("c-1")).ok


@pytest.mark.parametrize(("when", "written"), [("before", False), ("after", True)])
def test_a_dropped_connection_looks_the_same_whether_or_not_it_was_committed(
    client: Callable[..., Soap], fake: FakeNetSuite, when: str, written: bool
) -> None:
    soap = client()
    fake.faults.add("drop", operation="upsert", when=when)

    with pytest.raises(requests.ConnectionError, match="Connection aborted"):
        soap.upsert(customer("c-1"))

    assert committed(fake) is written
    assert soap.upsert(customer("c-1")).ok
    assert fake.calls[0].status == "cut"


def test_a_client_that_stops_waiting_leaves_the_work_to_be_done(
    client: Callable[..., Soap], fake: FakeNetSuite
) -> None:
    soap = client(timeout=(1, 0.2))
    fake.faults.add("slow", seconds=0.5)

    with pytest.raises(requests.Timeout):
        soap.upsert(customer("c-1"))

    assert not committed(fake)
    deadline = time.monotonic() + 5
    while not committed(fake) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert committed(fake)


@pytest.mark.parametrize("size", [0, 1, 200, 600])
def test_an_answer_cut_short_is_an_error_of_the_connection(
    client: Callable[..., Soap], fake: FakeNetSuite, size: int
) -> None:
    soap = client()
    fake.faults.add("truncate", bytes=size)

    with pytest.raises(requests.RequestException):
        soap.upsert(customer("c-1"))

    assert committed(fake)


def test_an_answer_may_also_end_too_early_without_a_sign(client: Callable[..., Soap], fake: FakeNetSuite) -> None:
    fake.faults.add("truncate", bytes=300, clean=True)

    answer = client().raw("upsert", customer("c-1"))

    assert (answer.status_code, len(answer.content)) == (200, 300)


def test_a_lost_gzip_trailer_goes_unnoticed_by_requests(client: Callable[..., Soap], fake: FakeNetSuite) -> None:
    fake.faults.add("gzip_trailer")

    answer = client().raw("upsert", customer("c-1"), stream=True)
    wire = answer.raw.read(decode_content=False)

    assert answer.headers["Content-Encoding"] == "gzip"
    with pytest.raises(EOFError):
        gzip.decompress(wire)


@pytest.mark.parametrize(("status", "body"), [(503, "html"), (200, "xhtml"), (502, "empty")])
def test_a_page_may_come_instead_of_soap(soap: Soap, fake: FakeNetSuite, status: int, body: str) -> None:
    fake.faults.add("http", status=status, body=body)

    answer = soap.raw("upsert", customer("c-1"))

    assert answer.status_code == status
    assert b"Envelope" not in answer.content
    assert not committed(fake)


def test_a_redirect_leads_to_a_login_page(soap: Soap, fake: FakeNetSuite) -> None:
    fake.faults.add("redirect")

    answer = soap.raw("upsert", customer("c-1"), allow_redirects=False)

    assert (answer.status_code, answer.headers["Location"]) == (302, "/pages/customerlogin.jsp")


def test_an_endless_answer_never_ends(client: Callable[..., Soap], fake: FakeNetSuite) -> None:
    fake.faults.add("endless")

    answer = client().raw("upsert", customer("c-1"), stream=True)
    read = sum(len(answer.raw.read(65536)) for _ in range(50))
    answer.close()

    assert read > 2_000_000


def test_a_byte_may_be_flipped_and_an_element_be_unknown(soap: Soap, fake: FakeNetSuite) -> None:
    fake.faults.add("garble", offset=10)
    assert soap.raw("upsert", customer("c-1")).content[10] > 127

    fake.faults.add("unknown_element")
    assert b"newElement" in soap.raw("upsert", customer("c-1")).content


def test_the_third_record_of_a_list_may_fail_alone(soap: Soap, fake: FakeNetSuite) -> None:
    fake.faults.add("reject", operation="upsertList", nth=3, code="RCRD_HAS_BEEN_CHANGED", message="Changed.")

    answer = soap.upsert(*(customer(f"c-{key}") for key in range(4)))

    assert answer.texts("code") == ["RCRD_HAS_BEEN_CHANGED"]
    assert [key in fake.store.entity_names for key in ("c-0", "c-1", "c-2", "c-3")] == [True, True, False, True]


@pytest.mark.parametrize(("extra", "answers"), [(False, 2), (True, 4)])
def test_a_list_may_be_answered_with_a_wrong_count(soap: Soap, fake: FakeNetSuite, extra: bool, answers: int) -> None:
    fake.faults.add("wrong_count", extra=extra)

    answer = soap.upsert(*(customer(f"c-{key}") for key in range(3)))

    assert len(answer.all("writeResponse")) == answers


def test_a_list_may_run_out_of_time(soap: Soap, fake: FakeNetSuite) -> None:
    """The one in flight was saved although its answer does not say so (section_4078474279)."""
    fake.faults.add("status_unknown", done=1)

    answer = soap.upsert(*(customer(f"c-{key}") for key in range(3)))

    assert answer.texts("code") == ["EXCEEDED_MAX_TIME", "EXCEEDED_MAX_TIME"]
    assert sorted(fake.store.entity_names) == ["c-0", "c-1"]


def test_a_record_may_be_saved_with_a_warning_or_a_failed_script(soap: Soap, fake: FakeNetSuite) -> None:
    fake.faults.add("warn", code="WARNING", message="No postal code.")
    warned = Soap(fake).raw("upsert", customer("c-1"))
    fake.faults.add("after_submit_failed")
    failed = soap.upsert(customer("c-1"))

    assert b'isSuccess="true"' in warned.content
    assert b'type="WARN"' in warned.content
    assert failed.text("afterSubmitFailed") == "true"
    assert failed.internal_id is not None


def test_a_fault_hits_only_its_record_and_lets_others_pass(soap: Soap, fake: FakeNetSuite) -> None:
    fake.faults.add("throttle", record="vendor", skip=1, count=2)

    codes = [soap.upsert(record).code for record in (customer("c-1"), *(vendor(f"v-{key}") for key in range(4)))]

    assert codes == [None, None, "WS_REQUEST_BLOCKED", "WS_REQUEST_BLOCKED", None]


def test_markers_in_a_name_ask_for_a_failure(soap: Soap, fake: FakeNetSuite) -> None:
    with pytest.raises(requests.ConnectionError):
        soap.upsert(customer("c-1", "Acme !DROP"))
    healed = soap.upsert(customer("c-1", "Acme !DROP"))
    refused = soap.upsert(customer("c-2", "Beta !REJECT CLOSED_TRAN_PRD"), customer("c-3", "Gamma"))
    blocked = soap.upsert(customer("c-4", "Delta !THROTTLE"))

    assert healed.ok
    assert refused.texts("code") == ["CLOSED_TRAN_PRD"]
    assert "gamma" in fake.store.entity_names
    assert blocked.code == "WS_REQUEST_BLOCKED"


def test_a_marker_may_ask_for_a_wait(soap: Soap) -> None:
    started = time.monotonic()

    assert soap.upsert(customer("c-1", "Acme !SLOW 0.2")).ok

    assert time.monotonic() - started >= 0.2


def test_a_pattern_hits_a_family_of_operations(soap: Soap, fake: FakeNetSuite) -> None:
    fake.faults.add("throttle", operation="upsert*", count=2)

    codes = [soap.upsert(customer("c-1")).code, soap.upsert(customer("c-1"), customer("c-2")).code]

    assert codes == ["WS_REQUEST_BLOCKED", "WS_REQUEST_BLOCKED"]
    assert soap.call("getServerTime", "").ok


def test_latency_is_that_of_a_single_write_a_list_or_a_read() -> None:
    latency = Latency()

    waits = [latency.of(name, count) for name, count in (("upsert", 1), ("upsertList", 4), ("getList", 4))]

    assert waits == [0.8, 1.55, 0.4]


def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown action"):
        FaultBook().add("explode")
    assert all(ACTIONS.values())
