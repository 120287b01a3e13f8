"""The catalogue of error codes: complete, with a sentence for each, and as it stands in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import bridge
from bridge import catalogue
from bridge.netsuite import faults as netsuite
from bridge.salesforce import faults as salesforce

PAGE = Path(__file__).parents[1] / "docs" / "errors.md"


def test_every_code_in_the_source_has_an_entry_with_a_sentence_and_a_desk() -> None:
    root = Path(bridge.__file__).parent
    named = set()
    for path in root.rglob("*.py"):
        if not path.relative_to(root).as_posix().startswith(catalogue.SKIPPED):
            named |= set(re.findall(r'\bcode="([A-Z][A-Z0-9_]{3,})"', path.read_text()))

    known = {it.code: it for it in catalogue.entries()}

    assert named - known.keys() == set()
    assert [it.code for it in known.values() if not it.sentence.strip()] == []
    assert {it.who for it in known.values()} <= {"sales", "accounting", "administrator", "nobody"}


def test_every_fault_of_both_systems_that_is_known_has_an_entry() -> None:
    known = {it.code for it in catalogue.entries()}

    assert set(netsuite.CODES) <= known
    assert {row.code or code for code, row in salesforce.CODES.items()} <= known
    assert {code.upper() for code in salesforce.LOGIN_CODES} <= known


def test_the_page_is_the_catalogue() -> None:
    """Else run: bridge console error-codes > docs/errors.md"""
    assert PAGE.read_text() == catalogue.markdown()


def test_nobody_reads_the_word_opportunity() -> None:
    assert [it.code for it in catalogue.entries() if "opportunity" in it.sentence.lower()] == []
