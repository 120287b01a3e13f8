"""The mutants of ``scripts/chaos mutants``: each is where it was made for. Whether they are killed takes minutes."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MUTANTS = runpy.run_path(str(ROOT / "scripts" / "chaos_cases" / "mutants.py"))["MUTANTS"]


@pytest.mark.parametrize("name", MUTANTS)
def test_what_a_mutant_changes_is_in_the_code_once(name):
    file, there, instead = MUTANTS[name]

    assert (ROOT / file).read_text(encoding="utf-8").count(there) == 1
    assert there != instead
