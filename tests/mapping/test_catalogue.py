"""Both catalogues are compared: what is refused, what leads nowhere, what nobody uses."""

from __future__ import annotations

from bridge.mapping.catalogue import gaps

SITE = {
    "purchase_item": "Purchase of Receivables",
    "fees": {
        "Wire Fee": {"sale_item": "Wire Fee", "purchase_item": "Wire Fee Withheld"},
        "Old Fee": {"sale_item": "Gone Item", "purchase_item": None},
    },
    "products": {"SKU-1": {"sale_item": "Terminal", "purchase_item": None}},
    "bundles": {"Starter": {"parts": [{"sale_item": "Setup", "purchase_item": None}]}},
}
ITEMS = {
    "sale_item": ["Fees : Wire Fee", "Terminal", "Setup", "Coffee"],
    "purchase_item": ["wire fee withheld", "Purchase of Receivables"],
}


def test_every_name_that_leads_nowhere_is_told_with_who_can_mend_it():
    found = [(it.where, it.name, it.who) for it in gaps(SITE, ["Wire Fee", "Courier Fee", "Starter"], ITEMS)]

    assert found == [
        ("bridge.toml", "Gone Item", "accounting"),
        ("Salesforce", "Courier Fee", "accounting"),
        ("bridge.toml", "Old Fee", "administrator"),
        ("NetSuite", "Coffee", "nobody"),
    ]


def test_catalogues_that_meet_have_no_gap():
    site = {**SITE, "fees": {"Wire Fee": SITE["fees"]["Wire Fee"]}}

    assert list(gaps(site, ["Wire Fee", "Starter"], {**ITEMS, "sale_item": ITEMS["sale_item"][:3]})) == []
