"""Our own bindings hold only what NetSuite's hold, in the same order and of the same types."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from threading import Barrier

import pytest
from lxml import etree

from bridge.errors import Misconfigured
from bridge.netsuite import Bindings, codec
from bridge.netsuite.kinds import CUSTOM_RECORD, KINDS
from bridge.ports import Record, Ref
from tests.netsuite.conftest import SUBSET, VERSIONS, full_set

XSD = "{http://www.w3.org/2001/XMLSchema}"
WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
SOAP = "{http://schemas.xmlsoap.org/wsdl/soap/}"


def qualified(node, name):
    """Write a prefixed *name* with its namespace."""
    prefix, _, local = (name or "").rpartition(":")
    return f"{{{node.nsmap.get(prefix or None)}}}{local}"


def facts(folder: Path, version: str):
    """What the schemas in *folder* say, in comparable form, with *version* in the namespaces replaced by ``*``."""
    types, elements = {}, {}
    for path in sorted((folder / "xsd").glob("*.xsd")):
        root = etree.parse(str(path)).getroot()
        target = root.get("targetNamespace")
        for node in root.findall(XSD + "element"):
            elements[plain(f"{{{target}}}{node.get('name')}", version)] = plain(
                qualified(node, node.get("type")), version
            )
        for node in root:
            if node.tag in (XSD + "complexType", XSD + "simpleType"):
                types[plain(f"{{{target}}}{node.get('name')}", version)] = type_facts(node, version)
    return types, elements


def plain(name, version):
    return name.replace(f"_{version}.", "_*.")


def type_facts(node, version):
    """The base, the elements in order, the attributes and the enumeration of one type."""
    derived = next(node.iter(XSD + "extension", XSD + "restriction"), None)
    parts = []
    for one in node.iter(XSD + "element"):
        kind = plain(qualified(one, one.get("ref") or one.get("type")), version)
        limits = (one.get("minOccurs", "1"), one.get("maxOccurs", "1"))
        parts.append((one.get("name"), kind, limits, one.get("nillable"), one.get("default")))
    return {
        "kind": node.tag,
        "abstract": node.get("abstract", "false"),
        "base": (derived.tag, plain(qualified(derived, derived.get("base")), version)) if derived is not None else None,
        "group": [one.tag for one in node.iter(XSD + "sequence", XSD + "choice", XSD + "all")][:1],
        "elements": parts,
        "attributes": {
            one.get("name"): (plain(qualified(one, one.get("type")), version), one.get("use"), one.get("default"))
            for one in node.iter(XSD + "attribute")
        },
        "choices": {one.get("value") for one in node.iter(XSD + "enumeration")},
    }


def is_subsequence(short, long):
    rest = iter(long)
    return all(one in rest for one in short)


@pytest.mark.full_schemas
@pytest.mark.parametrize("version", VERSIONS)
def test_every_type_of_ours_is_netsuites_own_with_optional_parts_left_out(version):
    ours, our_elements = facts(SUBSET, "2025_2")
    theirs, their_elements = facts(full_set(version), version)

    assert set(our_elements.items()) <= set(their_elements.items())
    for name, mine in ours.items():
        full = theirs[name]
        assert [mine[key] for key in ("kind", "abstract", "base")] == [
            full[key] for key in ("kind", "abstract", "base")
        ]
        assert is_subsequence(mine["elements"], full["elements"]), name
        required = [one for one in full["elements"] if one[2][0] != "0"]
        assert is_subsequence(required, mine["elements"]), f"{name} lacks a required element"
        if full["elements"]:
            assert mine["group"] == full["group"], name
        assert mine["attributes"] == full["attributes"], name
        assert mine["choices"] <= full["choices"], name
        assert bool(mine["choices"]) == bool(full["choices"]), name


@pytest.mark.full_schemas
@pytest.mark.parametrize("version", VERSIONS)
def test_every_operation_of_ours_is_netsuites_own(version):
    def operations(folder, named):
        root = etree.parse(str(folder / "netsuite.wsdl")).getroot()
        messages = {
            one.get("name"): [plain(qualified(part, part.get("element")), named) for part in one]
            for one in root.findall(WSDL + "message")
        }
        found = {}
        for port in root.iter(WSDL + "portType"):
            for one in port:
                sides = [
                    (side.tag, messages[side.get("message").partition(":")[2]])
                    for side in one
                    if side.tag != WSDL + "documentation"
                ]
                found[one.get("name")] = sides
        for one in root.find(WSDL + "binding").findall(WSDL + "operation"):
            headers = [[head.get("part") for head in side.findall(SOAP + "header")] for side in one]
            found[one.get("name")] += [one.find(SOAP + "operation").get("soapAction"), headers]
        return found

    ours = operations(SUBSET, "2025_2")
    theirs = operations(full_set(version), version)

    for name, operation in ours.items():
        assert [one for one in operation if one != []] == [one for one in theirs[name] if one != []], name


def test_our_bindings_hold_no_words_of_anyone_else():
    text = "".join(path.read_text() for path in SUBSET.rglob("*.*"))

    assert "<!--" not in text
    assert "ocumentation" not in text
    assert "annotation" not in text
    assert "copyright" not in text.lower()


def test_every_kind_the_bridge_speaks_of_is_in_our_bindings(bindings):
    for kind in (*KINDS.values(), CUSTOM_RECORD):
        assert bindings.shape(kind).fields
        if kind.search:
            bindings.type("common", kind.search)


@pytest.mark.full_schemas
@pytest.mark.parametrize("version", VERSIONS)
def test_the_full_bindings_load_with_the_same_code(version):
    loaded = Bindings.load(full_set(version), version)

    assert loaded.namespace("core") == f"urn:core_{version}.platform.webservices.netsuite.com"
    assert len(loaded.shape(KINDS["customer"]).fields) > 100


def test_many_threads_build_their_first_requests_at_once():
    fresh = Bindings.load(SUBSET, "2025_2")
    lines = [{"item": Ref("item", id="7"), "amount": Decimal(1), "custcol_a": "b"}]
    records = [
        Record(Ref("customer", external_id="sf-cus-1"), {"companyName": "Acme", "custentity_a": Decimal(1)}),
        Record(Ref("salesOrder", external_id="sf-so-1"), {"entity": Ref("customer", id="1"), "itemList": lines}),
        Record(Ref("purchaseOrder", external_id="sf-po-1"), {"memo": None, "itemList": lines}),
        Record(Ref("contact", external_id="sf-con-1"), {"company": Ref("customer", id="1")}),
    ] * 12
    together = Barrier(12)

    def build(number):
        together.wait(5)
        mine = records[number::12] * 5
        return [
            etree.tostring(fresh.message("upsert", record=codec.encode(fresh, KINDS[one.ref.kind], one)), method="c14n")
            for one in mine
        ]

    with ThreadPoolExecutor(12) as pool:
        built = list(pool.map(build, range(12)))

    assert all(len(set(one)) == 1 for one in built)
    assert len({one[0] for one in built}) == 4


def test_bindings_of_another_version_are_refused():
    with pytest.raises(Misconfigured) as caught:
        Bindings.load(SUBSET, "2024_1")

    assert caught.value.code == "BINDINGS_VERSION"


def test_bindings_that_are_incomplete_are_refused(tmp_path):
    shutil.copytree(SUBSET, tmp_path / "set")
    (tmp_path / "set" / "xsd" / "transactions.sales.xsd").unlink()

    with pytest.raises(Misconfigured) as caught:
        Bindings.load(tmp_path / "set", "2025_2")

    assert caught.value.code == "BINDINGS_UNREADABLE"


def test_bindings_never_fetch_anything(tmp_path):
    shutil.copytree(SUBSET, tmp_path / "set")
    path = tmp_path / "set" / "netsuite.wsdl"
    path.write_text(path.read_text().replace('"xsd/platform.core.xsd"', '"http://127.0.0.1:9/platform.core.xsd"'))

    with pytest.raises(Misconfigured) as caught:
        Bindings.load(tmp_path / "set", "2025_2")

    assert caught.value.code == "BINDINGS_UNREADABLE"
