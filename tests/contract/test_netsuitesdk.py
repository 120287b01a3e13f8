"""A client we did not write, ``netsuitesdk`` 3.3.0 from PyPI, works against the fake NetSuite over a real socket.

It loads the WSDL over HTTP like any SuiteTalk client, so it needs the full schemas. It sends no search preferences
after page 1, so the account's default page size is what its later pages get.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.netsuite import NO_LATENCY, FakeNetSuite
from bridge.sandbox.wsgi import SandboxServer

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL = Path(os.environ.get("BRIDGE_SHARED", Path(__file__).parents[3] / "shared")) / "suitetalk" / "2025_2"
PAGE = 20

netsuitesdk = pytest.importorskip("netsuitesdk")
pytestmark = [
    pytest.mark.full_schemas,
    pytest.mark.skipif(not FULL.is_dir(), reason="the full 2025_2 schemas are not next to the checkout"),
]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[FakeNetSuite, Any]]:
    """The fake on a loopback port and a connection of the foreign client to it."""
    from netsuitesdk.internal.client import NetSuiteClient

    fake = FakeNetSuite(schema_dir=FULL, latency=NO_LATENCY, default_page_size=PAGE)
    with SandboxServer(fake) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(NetSuiteClient, "WSDL_URL_TEMPLATE", server.url + "/wsdl/{wsdl_version}/netsuite.wsdl")
        patch.setattr(NetSuiteClient, "DATACENTER_URL_TEMPLATE", server.url + "/services/{netsuite_port_version}")
        own = fake.gate.credentials
        yield (
            fake,
            netsuitesdk.NetSuiteConnection(
                account=own.account,
                consumer_key=own.consumer_key,
                consumer_secret=own.consumer_secret,
                token_key=own.token_id,
                token_secret=own.token_secret,
                caching=False,
                page_size=PAGE,
                wsdl_version="2025_2",
            ),
        )


def put_customer(connection: Any, key: str, name: str) -> Any:
    """Upsert a customer. ``customers.post`` cannot: it sends ``monthlyClosing`` as a reference, which is an enum."""
    client = connection.client
    ref = client.RecordRef(internalId="1")
    return client.upsert(client.Customer(externalId=key, companyName=name, subsidiary=ref, currency=ref))


def test_the_foreign_client_writes_and_reads_customers(served: tuple[FakeNetSuite, Any]) -> None:
    _, connection = served

    ref = put_customer(connection, "sdk-cus-1", "Foreign & Sons")
    customer = connection.customers.get(externalId="sdk-cus-1")

    assert (customer["internalId"], customer["companyName"]) == (ref["internalId"], "Foreign & Sons")
    assert customer["currencyList"]["currency"][0]["currency"]["name"] == "US Dollar"


def test_a_field_that_breaks_the_schema_is_refused_from_anyone(served: tuple[FakeNetSuite, Any]) -> None:
    _, connection = served
    data = {"externalId": "sdk-cus-2", "companyName": "Odd", "currency": {}, "subsidiary": {"internalId": "1"}}

    with pytest.raises(Exception, match="monthlyClosing"):
        connection.customers.post(data | {"representingSubsidiary": {}, "monthlyClosing": {}})


def test_the_foreign_client_writes_and_reads_vendors(served: tuple[FakeNetSuite, Any]) -> None:
    _, connection = served
    data = {
        "externalId": "sdk-ven-1",
        "companyName": "Foreign Payee",
        "currency": {"internalId": "1"},
        "subsidiary": {"internalId": "1"},
        "representingSubsidiary": {},
        "workCalendar": {},
    }

    ref = connection.vendors.post(data)
    vendor = connection.vendors.get(internalId=ref["internalId"])

    assert (vendor["externalId"], vendor["entityId"]) == ("sdk-ven-1", "Foreign Payee")
    assert connection.vendors.search("entityId", "foreign payee", "is")[0]["internalId"] == ref["internalId"]


def test_the_foreign_client_pages_through_a_search(served: tuple[FakeNetSuite, Any]) -> None:
    fake, connection = served
    for number in range(2 * PAGE + 5):
        put_customer(connection, f"sdk-page-{number}", f"Paged {number:03}")

    pages = list(connection.customers.get_all_generator(page_size=PAGE))

    assert len(pages) == 3
    found = {record["externalId"] for page in pages for record in page}
    assert found == {record.external_id for record in fake.store.records["customer"].values()}
    assert fake.calls_by_operation["searchMoreWithId"] >= 3


def test_the_foreign_client_reads_currencies(served: tuple[FakeNetSuite, Any]) -> None:
    _, connection = served

    assert [currency["symbol"] for currency in connection.currencies.get_all()] == ["USD", "EUR", "CAD"]
