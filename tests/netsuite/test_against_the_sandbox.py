"""The adapter and the fake NetSuite, which share no code, understand each other."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from lxml import etree

from bridge.errors import Rejected
from bridge.netsuite import TokenCredentials
from bridge.netsuite.codec import PACIFIC
from bridge.ports import Record, Ref, Written
from bridge.sandbox.netsuite import NO_LATENCY, FakeNetSuite
from bridge.sandbox.wsgi import WsgiAdapter
from tests.netsuite.conftest import SUBSET, customer

SUB = Ref("subsidiary", name="Parent Company")
CUSTOMER, VENDOR = Ref("customer", external_id="sf-cus-1"), Ref("vendor", external_id="sf-ven-1")
USD = Ref("currency", name="USD")


@pytest.fixture
def fake():
    return FakeNetSuite(schema_dir=SUBSET, account="1234567", latency=NO_LATENCY)


@pytest.fixture
def netsuite(connect, fake):
    credentials = TokenCredentials(
        "1234567", "sandbox-consumer-key", "sandbox-consumer-secret", "sandbox-token-id", "sandbox-token-secret"
    )
    kinds = ("customer", "salesOrder", "customerPayment", "customrecord_broker_commission")
    return connect(WsgiAdapter(fake), credentials=credentials, clock=fake.clock, kinds=kinds)


def an_application():
    """Everything one approved Application becomes."""
    fee = {
        "item": Ref("item", name="Origination Fee"), "quantity": Decimal(1), "rate": Decimal("12.50"),
        "amount": Decimal("12.50"), "price": Ref("priceLevel", id="-1"),
    }  # fmt: skip
    bought = {
        "item": Ref("item", name="Purchase of Receivables"), "quantity": Decimal(1), "rate": Decimal("1E+4"),
        "amount": Decimal(10000),
    }  # fmt: skip
    order = Ref("salesOrder", external_id="sf-so-1")
    return [
        customer("sf-cus-1", subsidiary=SUB, currency=USD, terms=Ref("term", name="Net 30"), taxable=False),
        Record(VENDOR, {"companyName": "Acme (Vendor)", "subsidiary": SUB, "currency": USD}),
        Record(
            Ref("contact", external_id="sf-con-1"),
            {"entityId": "Ann Lee", "firstName": "Ann", "lastName": "Lee", "company": CUSTOMER, "subsidiary": SUB},
        ),
        Record(order, {"entity": CUSTOMER, "tranDate": date(2026, 7, 1), "currency": USD, "itemList": [fee, fee]}),
        Record(
            Ref("purchaseOrder", external_id="sf-po-1"),
            {"entity": VENDOR, "tranDate": date(2026, 12, 1), "itemList": [bought]},
        ),
        Record(
            Ref("customrecord_broker_commission", external_id="sf-bc-1"),
            {
                "name": "Commission", "custrecord_bc_broker": VENDOR, "custrecord_bc_amount": Decimal("10.50"),
                "custrecord_bc_due": date(2026, 7, 1), "custrecord_bc_order": order,
            },
        ),
    ]  # fmt: skip


def test_an_application_is_written_and_read_back(netsuite):
    records = an_application()

    written = netsuite.upsert(records)
    back = netsuite.get([one.ref for one in records])

    assert all(isinstance(one, Written) for one in written)
    assert [one.ref.id for one in back] == [one.ref.id for one in written]
    assert back[3].fields["tranDate"].astimezone(PACIFIC).date() == date(2026, 7, 1)
    assert [line["line"] for line in back[3].fields["itemList"]] == [1, 2]
    assert back[4].fields["total"] == Decimal(10000)
    assert back[5].fields["custrecord_bc_amount"] == Decimal("10.5")
    assert netsuite.unknown == frozenset()


def test_the_same_records_again_are_the_same_records(netsuite, fake):
    first = netsuite.upsert(an_application())
    asked = fake.calls_by_operation["getSelectValue"]
    again = netsuite.upsert(an_application())

    assert first == again
    assert fake.calls_by_operation["upsertList"] == 2
    assert fake.calls_by_operation["getSelectValue"] == asked


@pytest.mark.full_schemas
def test_every_kind_of_request_is_valid_against_the_full_schemas(netsuite, fake, full_schema):
    schema = full_schema("2025_2")
    now = fake.clock()
    fake.record_requests = True

    written = netsuite.upsert(an_application())
    netsuite.upsert([customer("sf-cus-2", phone=None)])
    netsuite.get([one.ref for one in written])
    netsuite.get([CUSTOMER])
    netsuite._page_size = 5
    for kind in ("customer", "salesOrder", "customrecord_broker_commission"):
        list(netsuite.changed(kind, now - timedelta(minutes=1), now + timedelta(minutes=1)))
        list(netsuite.deleted(kind, now - timedelta(minutes=1), now))
    list(netsuite.check())

    asked = set()
    for request in fake.requests:
        message = etree.fromstring(request)
        schema.assertValid(message)
        asked.add(etree.QName(message[1][0]).localname)
    assert asked == {
        "upsert", "upsertList", "get", "getList", "search", "getDeleted", "getServerTime", "getSelectValue", "getAll",
        "getCustomizationId",
    }  # fmt: skip


def test_a_name_netsuite_does_not_have_is_told_in_words(netsuite):
    line = {"item": Ref("item", name="Moon Fee"), "quantity": Decimal(1), "amount": Decimal(1)}

    [result] = netsuite.upsert([Record(Ref("salesOrder", external_id="sf-so-9"), {"itemList": [line]})])

    assert isinstance(result, Rejected)
    assert (result.code, result.who) == ("ITEM_UNKNOWN", "accounting")
    assert "Moon Fee" in result.message


def test_what_has_changed_is_found_page_by_page(netsuite, fake):
    now = fake.clock()
    netsuite.upsert([customer(f"sf-cus-{n}", companyName=f"Acme {n}", subsidiary=SUB) for n in range(12)])
    netsuite._page_size = 5

    found = list(netsuite.changed("customer", now - timedelta(minutes=1), now + timedelta(minutes=1)))

    assert len({one.ref.external_id for one in found}) == 12
    assert fake.calls_by_operation["searchMoreWithId"] == 2


def test_what_does_not_exist_is_none(netsuite):
    assert netsuite.get([Ref("customer", external_id="sf-cus-404")]) == [None]


def test_the_doctor_finds_everything_well(netsuite):
    assert all(finding.ok for finding in netsuite.check())
