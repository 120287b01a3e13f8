"""Every name in the Salesforce package means something, and each check catches the mistakes it is for."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.salesforce_metadata import seeded_apex
from tests.salesforce_metadata.cross_references import CHECKS
from tests.salesforce_metadata.dx_package import Package

ROOT = Path(__file__).parents[2] / "salesforce_metadata"
MISTAKES: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("seeded").joinpath("mistakes.toml").read_text(encoding="utf-8")
)["mistake"]


@pytest.fixture(scope="module")
def package() -> Package:
    return Package(ROOT)


@pytest.mark.parametrize("name", CHECKS)
def test_the_package_is_consistent(package: Package, name: str) -> None:
    assert list(CHECKS[name](package)) == []


@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{one['check']}: {one['what']}" for one in MISTAKES])
def test_a_seeded_mistake_is_caught(package: Package, mistake: dict[str, Any]) -> None:
    path = mistake["path"]
    changes: dict[str, str | None] = {path: mistake.get("text")}
    if "find" in mistake:
        sound = package.read(path)
        assert mistake["find"] in sound, "the seed has no place any more"
        changes[path] = sound.replace(mistake["find"], mistake["replace"], 1)

    found = list(CHECKS[mistake["check"]](Package(ROOT, changes)))

    assert any(mistake["says"] in sentence for sentence in found), found


def test_every_check_has_a_seeded_mistake() -> None:
    assert {one["check"] for one in MISTAKES} == set(CHECKS)


def test_the_mistakes_for_the_other_tools_can_still_be_made() -> None:
    """``scripts/check-salesforce --prove`` makes them; it takes minutes, so here only their places are looked for."""
    gone = [one.what for one in seeded_apex.MISTAKES if one.old and one.old not in (ROOT / one.file).read_text()]

    assert gone == []
