"""The documents name what there is, and nothing of the machine they were written on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from bridge.cli import app
from bridge.outcome import HORIZON, TRIES
from bridge.records import BROKER_COMMISSION
from bridge.settings import SECRETS_DIR, Settings, variable

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])


def test_the_readme_has_a_row_for_every_setting_and_for_no_other() -> None:
    rows = re.findall(r"^\| (`BRIDGE_.*?) \|", README, re.MULTILINE)

    named = {name for row in rows for name in re.findall(r"`(BRIDGE_\w+)`", row)}

    assert named == {SECRETS_DIR, *map(variable, Settings.model_fields)}


def test_every_verb_that_a_page_names_exists() -> None:
    command = typer.main.get_command(app)
    named = {word for page in PAGES for word in re.findall(r"`bridge ([a-z]+)", page.read_text(encoding="utf-8"))}

    assert named
    assert named <= set(command.commands)  # type: ignore[attr-defined]  # a group of commands


def test_every_field_of_the_commission_record_is_in_the_steps_for_netsuite() -> None:
    text = (ROOT / "docs" / "netsuite-setup.md").read_text(encoding="utf-8")

    fields = [name for name in BROKER_COMMISSION.fields if name.startswith("custrecord")]

    assert [name for name in fields if f"`{name.removeprefix('custrecord')}`" not in text] == []


def test_the_retry_horizon_is_the_documented_one() -> None:
    text = (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8")

    assert f"After {HORIZON.total_seconds() / 3600:.0f} hours and at least {TRIES} tries" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []
