"""What people do in the fake NetSuite: accounting's verbs over the admin endpoint, and the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import pytest

from tests.sandbox.netsuite.suitetalk_client import customer, sale_line, sales_order

if TYPE_CHECKING:
    from bridge.sandbox.netsuite import FakeNetSuite
    from tests.sandbox.netsuite.suitetalk_client import Parsed, Soap, SteadyClock


class Clerk:
    """Accounting, at the admin endpoint."""

    def __init__(self, soap: Soap) -> None:
        self.soap = soap

    def does(self, verb: str, **options: Any) -> dict[str, Any]:
        answer = self.soap.session.post(f"{self.soap.base}/sandbox/{verb}", json=options)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result


@pytest.fixture
def clerk(soap: Soap) -> Clerk:
    soap.upsert(customer("c-1", escape("Acme <b>")), sales_order("so-1", "c-1", sale_line(), sale_line("102", "50")))
    return Clerk(soap)


def payments(soap: Soap) -> Parsed:
    type_ = '<common:type operator="anyOf"><core:searchValue>_customerPayment</core:searchValue></common:type>'
    inner = (
        f'<msg:searchRecord xsi:type="sales:TransactionSearch"><sales:basic>{type_}</sales:basic></msg:searchRecord>'
    )
    return soap.search(inner, size=1000, body_only=False)


def test_an_approved_order_changes_its_status_and_its_time(clerk: Clerk, soap: Soap, clock: SteadyClock) -> None:
    clock.tick(minutes=5)

    clerk.does("approve", kind="salesOrder", externalId="so-1")

    order = soap.get("salesOrder", external_id="so-1")
    assert (order.text("orderStatus"), order.text("status")) == ("_pendingFulfillment", "Pending Fulfillment")
    assert order.text("lastModifiedDate") == "2026-11-20T10:05:00.000-08:00"


def test_a_payment_is_applied_to_an_invoice_of_the_order(clerk: Clerk, soap: Soap) -> None:
    invoice = clerk.does("bill", kind="salesOrder", externalId="so-1")
    assert invoice["fields"]["total"] == "150.0"

    payment = clerk.does("pay", customer="c-1", amount="200.00", apply={invoice["id"]: "150"})

    answer = payments(soap)
    record = answer.all("record")[0]
    assert record.get("internalId") == payment["id"]
    values = {name: answer.text(name) for name in ("payment", "applied", "unapplied", "doc", "refNum", "type", "due")}
    assert values == {
        "payment": "200.0",
        "applied": "150.0",
        "unapplied": "50.0",
        "doc": invoice["id"],
        "refNum": "INV1001",
        "type": "Invoice",
        "due": "0.0",
    }
    read = soap.get("invoice", internal_id=invoice["id"])
    assert (read.text("status"), read.text("amountRemaining")) == ("Paid In Full", "0.0")
    order = soap.get("salesOrder", external_id="so-1")
    assert read.all("createdFrom")[0].get("internalId") == order.all("record")[0].get("internalId")
    assert order.text("status") == "Billed"


def test_lines_of_a_billed_order_cannot_be_changed(clerk: Clerk, soap: Soap) -> None:
    clerk.does("bill", kind="salesOrder", externalId="so-1")

    assert soap.upsert(sales_order("so-1", "c-1", sale_line(rate="1"))).code == "CANT_UPDATE_LINKED_TRANS_LINES"


def test_a_voided_payment_stays_with_nothing_applied(clerk: Clerk, soap: Soap) -> None:
    invoice = clerk.does("invoice", kind="salesOrder", externalId="so-1")
    payment = clerk.does("pay", customer="c-1", amount="150", apply={invoice["id"]: "150"})
    edited = clerk.does("edit_payment", id=payment["id"], amount="120", apply={invoice["id"]: "100"})
    assert (edited["fields"]["applied"], edited["fields"]["unapplied"]) == ("100.0", "20.0")

    clerk.does("void", id=payment["id"])

    answer = payments(soap)
    assert (answer.text("payment"), answer.text("status")) == ("0.0", "Voided")
    assert soap.get("invoice", internal_id=invoice["id"]).text("status") == "Open"


def test_a_person_may_edit_and_delete(clerk: Clerk, soap: Soap) -> None:
    clerk.does("edit", kind="customer", externalId="c-1", fields={"entityId": "Acme Inc", "phone": "5551234567"})
    assert soap.get("salesOrder", external_id="so-1").all("entity")[0].findtext("{*}name") == "Acme Inc"

    clerk.does("delete", kind="salesOrder", externalId="so-1")

    assert soap.get("salesOrder", external_id="so-1").code == "RCRD_DSNT_EXIST"


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("approve", {"kind": "salesOrder", "externalId": "nobody"}),
        ("approve", {"kind": "spaceship", "id": "1"}),
        ("pay", {"customer": "c-1", "amount": "10", "apply": {"1": "5"}}),
        ("pay", {"customer": "c-1", "amount": "ten"}),
        ("faults", {"action": "explode"}),
        ("faults", {}),
    ],
)
def test_a_verb_that_cannot_work_says_why(clerk: Clerk, soap: Soap, verb: str, options: dict[str, Any]) -> None:
    answer = soap.session.post(f"{soap.base}/sandbox/{verb}", json=options)

    assert answer.status_code == 400
    assert answer.json()["error"]


def test_faults_are_planned_and_calls_read_over_the_endpoint(clerk: Clerk, soap: Soap) -> None:
    clerk.does("faults", operation="get", action="throttle")
    shown = soap.session.get(f"{soap.base}/sandbox/faults").json()
    assert shown["planned"][0]["action"] == "throttle"
    assert '{"action": "clear"}' in shown["how"]
    assert "unknown action" in soap.session.post(f"{soap.base}/sandbox/faults", json={}).json()["error"]

    assert soap.get("customer", external_id="c-1").code == "WS_REQUEST_BLOCKED"

    calls = soap.session.get(f"{soap.base}/sandbox/calls").json()
    assert calls["counts"] == {"upsertList": 1, "get": 1}
    assert calls["calls"][-1]["status"] == "fault:WS_REQUEST_BLOCKED"


def test_every_record_has_a_page_at_netsuites_path_and_nothing_in_it_runs(
    clerk: Clerk, soap: Soap, fake: FakeNetSuite
) -> None:
    internal_id = next(iter(fake.store.records["salesOrder"]))

    overview = soap.session.get(soap.base + "/")
    table = soap.session.get(soap.base + "/records/customer")
    order = soap.session.get(f"{soap.base}/app/accounting/transactions/salesord.nl?id={internal_id}")

    assert {overview.status_code, table.status_code, order.status_code} == {200}
    assert "Acme &lt;b&gt;" in table.text
    assert "SO1001" in order.text
    assert "custjob.nl?id=" in order.text
    for page in (overview, table, order):
        assert "<script" not in page.text
        assert "Acme <b>" not in page.text
    assert soap.session.get(f"{soap.base}/app/accounting/transactions/salesord.nl?id=1").status_code == 404


def test_a_merged_customer_vanishes_and_its_orders_move(clerk: Clerk, soap: Soap, fake: FakeNetSuite) -> None:
    soap.upsert(customer("c-2", "Winner"))
    winner = fake.store.find("Entity", "c-2")
    assert winner is not None

    clerk.does("merge", externalId="c-1", into=winner.id)

    assert soap.get("customer", external_id="c-1").code == "RCRD_DSNT_EXIST"
    assert soap.get("salesOrder", external_id="so-1").all("entity")[0].findtext("{*}name") == "Winner"
    assert [gone.external_id for gone in fake.store.gone] == ["c-1"]


def test_an_administrator_may_add_a_custom_field_and_a_person_fill_it(clerk: Clerk, soap: Soap) -> None:
    clerk.does(
        "define_custom_field", script_id="custbody_app", value_type="StringCustomFieldRef", kinds=["customerPayment"]
    )
    payment = clerk.does("pay", customer="c-1", amount="10")

    clerk.does("edit", kind="customerPayment", id=payment["id"], fields={"custbody_app": "006A"})

    field = payments(soap).all("customField")[0]
    assert (field.get("scriptId"), field.findtext("{*}value")) == ("custbody_app", "006A")
