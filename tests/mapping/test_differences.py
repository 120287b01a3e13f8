"""What differs between two configurations is told by field, gate and choice."""

from __future__ import annotations

from pathlib import Path

from bridge.configuring import read
from bridge.mapping.differences import differences
from bridge.mapping.tables import version

BASE = (Path(__file__).parents[2] / "bridge" / "demo.toml").read_text(encoding="utf-8")


def told(then: str, now: str = BASE) -> list[tuple[str, str, str | None, str | None]]:
    return [(it.sync, it.what, it.old, it.new) for it in differences(read(now)[1], read(then)[1])]


def test_nothing_differs_from_itself():
    assert told(BASE) == []
    assert version(read(BASE)[1]) == version(read(BASE + "\n# a comment\n")[1])


def test_fields_gates_switches_and_choices_are_told():
    more = (
        '[sync.customer.fields.comments]\ntext = "Description"\n'
        "[sync.customer.fields.phone]\nremove = true\n"
        '[sync.customer.fields.terms]\nchoice = "Payment_Terms__c"\nref = "term"\ntable = { "Net 30" = "Net 31" }\n'
        '[[sync.sales_order.gates]]\nfield = "Funded_Amount__c"\noperator = "is at most"\nlimit = 500000\n'
        "[sync.contact]\nenabled = false\n"
        '[fees."Courier Fee"]\nsale_item = "Courier"\n'
    )

    assert told(BASE + more) == [
        ("customer", "phone", "text Phone, at most 32", None),
        ("customer", "terms", "choice Payment_Terms__c of Net 15, Net 30, Net 60, Due on receipt",
         "choice Payment_Terms__c of Net 30 → Net 31"),
        ("customer", "comments", None, "text Description"),
        ("contact", "the sync", "on", "off"),
        ("sales_order", "only when Funded Amount is at most 500000", None, ""),
        ("site", "fees.Courier Fee", None, "sale_item Courier, purchase_sign -1"),
    ]  # fmt: skip


def test_the_version_is_another_whenever_something_differs():
    table = '[sync.customer.fields.terms]\nchoice = "Payment_Terms__c"\nref = "term"\ntable = {{ "Net 30" = "{0}" }}\n'

    versions = {version(read(BASE + table.format(name))[1]) for name in ("Net 30", "Net 31")}

    assert len({*versions, version(read(BASE)[1])}) == 3
