"""The site's choices: what is not understood is refused with its path."""

from decimal import Decimal
from pathlib import Path

import pytest

from bridge import configuring
from bridge.overlay import choices
from bridge.settings import NotConfigured
from bridge.site import Site, parse, read

EXAMPLE = Path(__file__).parents[1] / "docs" / "bridge.example.toml"


def test_the_shipped_example_is_understood() -> None:
    site, problems = read(EXAMPLE)

    assert problems == []
    assert site.fees["Wire Fee"].sale_item == "Wire Fee"
    assert site.sync["customer"].fields["terms"].rule == "choice"
    assert site.sync["contact"].gates[0].field == "Email"


def test_the_example_shows_the_defaults() -> None:
    site, _ = read(EXAMPLE)

    assert site.model_copy(update={"fees": {}, "sync": {}}) == Site()


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    path.touch()

    assert read(path) == (Site(), [])


def test_mappings_see_the_choices_flat() -> None:
    site, _ = parse({"fees": {"Wire Fee": {"sale_item": "Wire"}}, "site": {"subsidiary": "Parent Company"}})

    found = choices(site)

    assert found["subsidiary"] == "Parent Company"
    fee = found["fees"]["Wire Fee"]
    assert {name: it for name, it in fee.items() if it is not None} == {"sale_item": "Wire", "purchase_sign": -1}


def test_an_amount_never_becomes_a_float(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text("[sync.vendor.fields.custentity_rate]\nconst = 0.1\n")

    site, problems = read(path)

    assert problems == []
    assert site.sync["vendor"].fields["custentity_rate"].const == Decimal("0.1")


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"sight": {}}, "bridge.toml: sight is not a setting."),
        ({"fees": {"Wire Fee": {"sale": "x"}}}, 'bridge.toml: fees."Wire Fee".sale is not a setting.'),
        ({"fees": {"Wire Fee": {}}}, 'bridge.toml: fees."Wire Fee": it needs a sale_item, a purchase_item or both.'),
        ({"site": {"timezone": "Mars/Olympus"}}, "bridge.toml: site.timezone: 'Mars/Olympus' is not a time zone."),
        (
            {"sync": {"customer": {"gates": [{"field": "A", "operator": "is in"}]}}},
            "bridge.toml: sync.customer.gates[0]: 'is in' and 'is not in' need values, and nothing else has them.",
        ),
        (
            {"site": {"currency": "dollars"}},
            'bridge.toml: site.currency does not have the right form; it should look like "USD".',
        ),
        (
            {"alerts": {"working_hours": "nine to five"}},
            'bridge.toml: alerts.working_hours does not have the right form; it should look like "09:00-17:00".',
        ),
        (
            {"schedule": {"jobs": {"sweep": {"cron": "61 * * * *"}}}},
            "bridge.toml: schedule.jobs.sweep.cron: the minute '61' is not within 0 to 59.",
        ),
        (
            {"schedule": {"jobs": {"sweep": {"cron": "0 * * * *", "every_minutes": 5}}}},
            "bridge.toml: schedule.jobs.sweep: it has two cadences; choose cron or every_minutes.",
        ),
    ],
)
def test_what_is_not_understood_is_refused_with_its_path(tables: dict[str, object], sentence: str) -> None:
    site, problems = parse(tables)

    assert sentence in problems
    assert site == Site()


@pytest.mark.parametrize(
    "overlay",
    [
        {},
        {"text": "A", "money": "B"},
        {"choice": "A"},
        {"text": "A", "table": {"x": "y"}},
        {"money": "A", "limit": 3},
        {"remove": False},
    ],
)
def test_an_overlay_is_exactly_one_rule(overlay: dict[str, object]) -> None:
    _, problems = parse({"sync": {"customer": {"fields": {"memo": overlay}}}})

    assert problems


@pytest.mark.parametrize(
    "cron", ["*/15 * * * *", "30 10 * * mon-fri", "0,30 8-17 1 */2 0", "0 0 * * 7", "0 6 1-7 * MON"]
)
def test_cron_expressions_are_understood(cron: str) -> None:
    _, problems = parse({"schedule": {"jobs": {"sweep": {"cron": cron}}}})

    assert problems == []


@pytest.mark.parametrize(
    "cron", ["", "* * * *", "@daily", "5-1 * * * *", "*/0 * * * *", "0 24 * * *", "0 0 0 * *", "a * * * *"]
)
def test_other_words_are_not_cron(cron: str) -> None:
    _, problems = parse({"schedule": {"jobs": {"sweep": {"cron": cron}}}})

    assert len(problems) == 1


def test_all_problems_come_at_once() -> None:
    _, problems = parse({"site": {"currency": "usd", "x": 1}, "approval": {"stages": []}, "purchase": {"item": ""}})

    assert len(problems) == 4


@pytest.mark.parametrize("content", [b"[site", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_a_file_that_is_not_toml_is_one_problem(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bridge.toml"
    path.write_bytes(content)

    _, problems = read(path)

    assert len(problems) == 1
    assert "not TOML" in problems[0]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('customer.fields.externalId]\ntext = "Name"', "externalId is not a field that a rule may write"),
        ('customer.fields.nullFieldList]\ntext = "Name"', "nullFieldList is not a field that a rule may write"),
        ('customer.fields."../x"]\ntext = "Name"', "is not a field that a rule may write"),
        ("sales_order.fields.entity]\nremove = true", "entity says whose the record is"),
        ('contact.fields.company]\nconst = "Other"\nref = "customer"', "company says whose the record is"),
        ("sales_order.fields.itemList]\nremove = true", "itemList is a list"),
        ("customer.fields.companyName]\nremove = true", "companyName cannot be removed"),
    ],
)
def test_a_site_cannot_change_whose_a_record_is_or_what_it_is_known_by(table, words):
    with pytest.raises(NotConfigured) as caught:
        configuring.read(f"[sync.{table}\n")

    assert words in str(caught.value)
