"""Every request that the main job causes is valid against NetSuite's full schemas, of two endpoint versions."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from lxml import etree

ROOT = Path(__file__).parents[2]
FULL = Path(os.environ.get("BRIDGE_SHARED") or ROOT.parent / "shared") / "suitetalk"
XS = "http://www.w3.org/2001/XMLSchema"


@cache
def schema(version: str) -> etree.XMLSchema:
    folder = FULL / version
    if not (folder / "netsuite.wsdl").exists():
        pytest.skip("the full SuiteTalk schemas are not next to the checkout")
    found = etree.parse(str(folder / "netsuite.wsdl")).iter(f"{{{XS}}}import")
    places = {one.get("namespace"): (folder / one.get("schemaLocation")).as_uri() for one in found}
    imports = "".join(f'<xs:import namespace="{name}" schemaLocation="{place}"/>' for name, place in places.items())
    anything = (
        '<xs:complexType><xs:sequence><xs:any processContents="strict" maxOccurs="unbounded"/>'
        "</xs:sequence></xs:complexType>"
    )
    envelope = f"""<xs:schema xmlns:xs="{XS}" elementFormDefault="qualified"
      targetNamespace="http://schemas.xmlsoap.org/soap/envelope/">{imports}
      <xs:element name="Envelope"><xs:complexType><xs:sequence>
        <xs:element name="Header" minOccurs="0">{anything}</xs:element><xs:element name="Body">{anything}</xs:element>
      </xs:sequence></xs:complexType></xs:element></xs:schema>"""
    return etree.XMLSchema(etree.fromstring(envelope.encode()))


def story(house) -> list[bytes]:
    """Everything once: all pushes, both kinds of commission apart, line edits, and the pulls."""
    acme, broker = (
        house.account("Zoë & <Søn>", Payment_Terms__c="Net 30", Website="acme.example"),
        house.account("Brokers"),
    )
    jo = house.sf.insert("Contact", FirstName="Jo", LastName="Doe", AccountId=acme, Email="jo@acme.example")
    oven = house.application(acme, ("Origination Fee", "1000.00"), ("Wire Fee", "25.50"), Broker__c=broker,
                             Commission_Percent__c="2.25", Commission_Due__c="2026-12-20")  # fmt: skip
    house.push(jo, oven)
    house.sf.update(house.sf.rows("OpportunityLineItem")[0]["Id"], UnitPrice="999.99")
    house.sf.update(acme, Phone=None)
    house.push(acme, oven)
    invoice = house.ns.admin.bill(kind="salesOrder", externalId=f"sf-so-{oven}")
    customer = house.there("salesOrder", f"sf-so-{oven}").fields["entity"].id
    house.ns.admin.pay(customer, "100.00", {invoice.id: "100.00"})
    house.clock.advance(minutes=5)
    for name in house.syncs.pulls:
        house.pull(name)
    assert not [row for row in house.messages() if row.state in ("rejected", "dead")]
    return list(house.ns.requests)


@pytest.fixture(params=["custom_record", "vendor_bill"])
def requests(request, other_site) -> list[bytes]:
    return story(other_site(commission=request.param))


@pytest.fixture
def ledger_url(tmp_path, empty_sqlite) -> str:
    """What is sent does not depend on the database."""
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(empty_sqlite)
    return f"sqlite:///{path}"


@pytest.mark.full_schemas
def test_every_request_is_valid(requests):
    declared = {version: schema(version) for version in ("2025_2", "2023_2")}

    assert len(requests) > 15
    for raw in requests:
        declared["2025_2"].assertValid(etree.fromstring(raw))
        declared["2023_2"].assertValid(etree.fromstring(raw.replace(b"2025_2", b"2023_2")))


def test_nothing_is_ever_added_or_updated_by_netsuites_own_id(requests):
    """Rule 2: the outside is written only by upsert with our own external id."""
    bodies = [etree.fromstring(raw).find("{*}Body")[0] for raw in requests]
    operations = {etree.QName(it).localname for it in bodies}

    assert not operations & {"add", "addList", "update", "updateList", "delete", "deleteList"}
    for body in bodies:
        if etree.QName(body).localname in ("upsert", "upsertList"):
            for record in body.iter("{*}record"):
                assert record.get("externalId", "").startswith("sf-")
                assert record.get("internalId") is None
