"""The mapping as tables for people."""

from __future__ import annotations

from pathlib import Path

from bridge.mapping import tables
from bridge.records import PULLS, PUSHES
from bridge.records.broker_commission import BROKER_COMMISSION_BILL

DOCS = Path(__file__).parents[2] / "docs" / "mapping.md"


def test_the_documented_mapping_is_the_declared_one() -> None:
    """Write it anew with: bridge mapping docs > docs/mapping.md"""
    assert DOCS.read_text(encoding="utf-8") == tables.markdown((*PUSHES, BROKER_COMMISSION_BILL, *PULLS))


def test_every_field_of_a_line_has_a_row() -> None:
    (orders,) = [push for push in PUSHES if push.name == "purchase_order"]

    names = [name for name, _ in tables.rows(orders)]

    assert "itemList, fixed line: rate" in names
    assert "itemList, each line: rate" in names
    assert len(names) == len(set(names))


def test_no_person_reads_the_word_opportunity() -> None:
    assert "Opportunity" not in DOCS.read_text(encoding="utf-8")
