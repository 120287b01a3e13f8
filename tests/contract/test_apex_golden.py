"""The golden files and what the Apex package repeats of them: strings, field lists and signature."""

import base64
import hashlib
import hmac
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "contract" / "apex"
PACKAGE = ROOT / "salesforce_metadata" / "force-app" / "main" / "default"
CLASS = PACKAGE / "classes" / "tests" / "BridgeGolden.cls"
CONSTANT = re.compile(r"public static final String (\w+) =((?:\s*'(?:[^'\\]|\\.)*'\s*\+?)+);")
LITERAL = re.compile(r"'((?:[^'\\]|\\.)*)'")
OBJECTS = {
    "request_account": "Account",
    "request_contact": "Contact",
    "request_application": "Opportunity",
    "request_credit_request": "Credit_Request__c",
}
FIRST = ["Id", "SystemModstamp", "Bridge_Version__c"]
METADATA = "{http://soap.sforce.com/2006/04/metadata}"


def golden_bytes(name: str) -> bytes:
    """One golden body as it is sent: the line end belongs to the file."""
    return (GOLDEN / f"{name}.json").read_bytes().removesuffix(b"\n")


def constants() -> dict[str, str]:
    """The strings of the Apex class, unescaped as Apex does."""
    found = {}
    for name, expression in CONSTANT.findall(CLASS.read_text(encoding="utf-8")):
        text = "".join(LITERAL.findall(expression))
        found[name] = re.sub(r"\\(['\\])", r"\1", text)
    return found


def watched(kind: str) -> list[str]:
    """The fields of *kind* that the package sends in every org, in the order of the wire."""
    found = []
    for path in (PACKAGE / "customMetadata").glob("Bridge_Field.*.md-meta.xml"):
        values = {
            one.findtext(f"{METADATA}field"): one.findtext(f"{METADATA}value")
            for one in ET.parse(path).getroot().iter(f"{METADATA}values")
        }
        if values["Object__c"] == kind and values["Active__c"] == "true" and values["Dynamic__c"] == "false":
            found.append(str(values["Field__c"]))
    return sorted(found)


def records(name: str) -> list[dict[str, Any]]:
    """The records of one golden request."""
    return json.loads(golden_bytes(name), parse_float=Decimal)["records"]  # type: ignore[no-any-return]


def test_the_apex_class_repeats_every_golden_file() -> None:
    expected = {path.stem.upper(): golden_bytes(path.stem).decode() for path in GOLDEN.glob("*.json")}

    assert constants() == expected


@pytest.mark.parametrize("name", OBJECTS)
def test_a_golden_request_carries_the_fields_of_the_package_in_order(name: str) -> None:
    for record in records(name):
        keys = [key for key in record if key != "Lines"]
        assert keys == FIRST + watched(OBJECTS[name])


def test_the_lines_of_a_golden_application_carry_the_fields_of_the_package_in_order() -> None:
    lines = [line for record in records("request_application") for line in record["Lines"]]

    assert lines
    for line in lines:
        assert list(line) == ["Id", *watched("OpportunityLineItem")]


@pytest.mark.parametrize("name", OBJECTS)
def test_a_golden_request_has_no_white_space_between_its_parts(name: str) -> None:
    text = golden_bytes(name).decode()

    outside = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)

    assert not re.search(r"\s", outside)


def test_the_golden_signature_is_over_the_raw_body() -> None:
    signature = json.loads(golden_bytes("signature"))
    body = golden_bytes(signature["body"].removesuffix(".json"))

    mac = hmac.new(signature["key"].encode(), body, hashlib.sha256)

    assert signature["sha256"] == hashlib.sha256(body).hexdigest()
    assert signature["hex"] == mac.hexdigest()
    assert signature["base64"] == base64.b64encode(mac.digest()).decode()
    assert signature["header"] == f"k={signature['kid']},v1={mac.hexdigest()}"
