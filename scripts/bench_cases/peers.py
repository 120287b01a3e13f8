"""What the bridge is measured against: its own envelopes over a bare connection, and netsuitesdk."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

from callers import account, application, record_id
from stage import ROOT, full_schemas

import suitetalk_wsdl
from bridge.mapping import Syncs
from bridge.netsuite.passport import TokenCredentials
from bridge.netsuite.soap import SoapNetSuite
from bridge.netsuite.wsdl import Bindings
from bridge.overlay import site_syncs
from bridge.ports import Record
from bridge.site import read

SUBSET = Path(suitetalk_wsdl.__file__).parent / "2025_2"


class OpenSlots:
    """As many calls as anybody likes."""

    def lease(self, *, interactive: bool, unless: Callable[[], bool] | None = None) -> Any:
        return nullcontext(True)

    def throttled(self) -> None:
        raise RuntimeError("the fake refused a call for concurrency")


def adapter(url: str, folder: Path | None = None) -> SoapNetSuite:
    """The bridge's own NetSuite adapter, in this process."""
    words = ("sandbox-consumer-key", "sandbox-consumer-secret", "sandbox-token-id", "sandbox-token-secret")
    return SoapNetSuite(
        account="1234567",
        credentials=TokenCredentials("1234567", *words),
        bindings=Bindings.load(folder or SUBSET, "2025_2"),
        slots=OpenSlots(),
        base_url=url,
        allow_loopback=True,
        pool_size=16,
    )


def mapped() -> Syncs:
    site, _ = read(ROOT / "bridge" / "demo.toml")
    return site_syncs(site)


class Mapped:
    """NetSuite records exactly as the bridge writes them."""

    def __init__(self) -> None:
        self.syncs = mapped()

    def _record(self, sync: str, source: dict[str, Any]) -> Record:
        push = self.syncs.pushes[sync]
        exact = {k: Decimal(str(v)) if isinstance(v, float) else v for k, v in source.items()}
        if "Lines" in exact:
            exact["Lines"] = [
                {k: Decimal(str(v)) if isinstance(v, float | int) else v for k, v in line.items()}
                for line in exact["Lines"]
            ]
        return push.record(source["Id"], exact, self.syncs.context)

    def customer(self, number: int) -> Record:
        return self._record("customer", account(number))

    def sales_order(self, number: int, of: int) -> Record:
        made = self._record("sales_order", application(number, of))
        lines = [{k: v for k, v in line.items() if not k.startswith("@")} for line in made.fields["itemList"]]
        return dataclasses.replace(made, fields={**made.fields, "itemList": lines})


def envelope(netsuite: SoapNetSuite, record: Record) -> bytes:
    """The bytes of the bridge's upsert of *record*, with a passport of their own."""
    _, encoded = netsuite._encoded(record, True)
    built = netsuite._wire.bindings.message("upsert", record=encoded)
    return netsuite._wire.signed(built)


SOAP = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '"upsert"', "Accept": "text/xml"}


def sdk(url: str) -> Callable[[], Any] | None:
    """Return what connects netsuitesdk to the fake, from local files; None without the full schemas it needs."""
    if full_schemas() is None:
        return None
    import netsuitesdk
    from netsuitesdk.internal.client import NetSuiteClient

    NetSuiteClient.WSDL_URL_TEMPLATE = url + "/wsdl/{wsdl_version}/netsuite.wsdl"
    NetSuiteClient.DATACENTER_URL_TEMPLATE = url + "/services/{netsuite_port_version}"

    def connect() -> Any:
        return netsuitesdk.NetSuiteConnection(
            account="1234567",
            consumer_key="sandbox-consumer-key",
            consumer_secret="sandbox-consumer-secret",
            token_key="sandbox-token-id",
            token_secret="sandbox-token-secret",
            caching=True,
            wsdl_version="2025_2",
        )

    return connect


def sdk_save(connect: Callable[[], Any], number: int) -> float:
    """Write the customer and the sales order as a script does that connects for each; return the seconds."""
    started = time.perf_counter()
    client = connect().client
    ref = client.RecordRef(internalId="1")
    key = f"sf-cus-{record_id('Account', number)}"
    client.upsert(
        client.Customer(
            externalId=key, companyName=f"Merchant {number}", stage="_prospect", subsidiary=ref, currency=ref,
            phone="555-0100", url="https://merchant.example", terms=client.RecordRef(internalId="2"), taxable=False,
        )
    )  # fmt: skip
    client = connect().client
    ns = next(prefix for prefix, uri in client._client.namespaces.items() if uri.startswith("urn:sales_"))
    items = [(101, "800.00"), (103, "25.00"), (104, "150.00")]
    order = client._client.get_type(f"{ns}:SalesOrder")
    item = client._client.get_type(f"{ns}:SalesOrderItem")
    item_list = client._client.get_type(f"{ns}:SalesOrderItemList")
    lines = [
        item(
            item=client.RecordRef(internalId=str(n)), quantity=1, price=client.RecordRef(internalId="-1"), rate=price,
            amount=price, description="Fee",
        )
        for n, price in items
    ]  # fmt: skip
    client.upsert(
        order(
            externalId=f"sf-so-{record_id('Application', number)}", entity=client.RecordRef(externalId=key),
            tranDate="2026-12-01T00:00:00-08:00", currency=client.RecordRef(internalId="1"), memo=f"Funding {number}",
            itemList=item_list(item=lines, replaceAll=True),
        )
    )  # fmt: skip
    return time.perf_counter() - started
