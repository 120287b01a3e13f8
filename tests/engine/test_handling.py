"""What people do to messages: plans with count and sum, send again, hold, dismiss, correct, and a second person."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from bridge import handling, playground
from bridge.errors import Rejected
from bridge.ledger import exchanges, plain, triage
from bridge.ledger.models import audit, message
from tests.e2e.company import Company


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    house = playground.start(tmp_path_factory.mktemp("handling") / "bridge.sqlite3")
    yield Company(house)
    house.stop()


def never(count: int, sums: dict[str, Decimal]) -> bool:
    return False


def always(count: int, sums: dict[str, Decimal]) -> bool:
    return True


def rows(company: Company, **wanted: Any) -> list[Any]:
    query = select(message).order_by(message.c.id)
    for name, value in wanted.items():
        query = query.where(message.c[name] == value)
    with company.house.bridge.ledger.read() as connection:
        return list(connection.execute(query))


def told(company: Company, action: str, **wanted: Any) -> list[Any]:
    query = select(audit).where(audit.c.action == action)
    for name, value in wanted.items():
        query = query.where(audit.c[name] == value)
    with company.house.bridge.ledger.read() as connection:
        return list(connection.execute(query))


NUMBERS = itertools.count(1)


def name() -> str:
    return f"Acme {next(NUMBERS)}"


def refused(company: Company) -> tuple[str, Any]:
    """Save an Account that NetSuite refuses; return its id and its message."""
    account = company.account(f"{name()} !REJECT USER_ERROR")
    (row,) = rows(company, state="rejected", source_id=account)
    return account, row


def do(company: Company, action: str, ids: list[int], **given: Any) -> str:
    """Draft a plan and confirm it at once."""
    engine = company.house.bridge.engine
    values = {"value": None, "reason": "a test", "actor": "anna", "guard": never, **given}
    number = handling.draft(engine, action, ids, **values)
    return handling.confirm(engine, find(company, number), actor=values["actor"])


def find(company: Company, number: int) -> triage.Plan:
    with company.house.bridge.ledger.read() as connection:
        found = triage.find(connection, number)
    assert found is not None
    return found


def test_a_corrected_value_is_sent_and_both_values_are_kept_apart_from_the_audit(company: Company) -> None:
    account, wrong = refused(company)

    value = json.dumps({"path": "Name", "text": "Harbor Bakery"})
    said = do(company, "edit", [wrong.id], value=value)

    company.until(lambda: rows(company, id=wrong.id)[0].state == "delivered")
    assert said == "1 of 1 corrected and on their way."
    assert company.made("customer", account).fields["companyName"] == "Harbor Bakery"
    (entry,) = told(company, "edited", message_id=wrong.id)
    assert entry.actor == "anna"
    assert entry.before
    assert entry.after != entry.before
    assert "Harbor" not in repr(tuple(entry))
    with company.house.bridge.ledger.read() as connection:
        (kept,) = triage.edits(connection, wrong.id)
    assert (plain.loads(kept.before), plain.loads(kept.after)) == (plain.loads(wrong.payload)["Name"], "Harbor Bakery")


def test_a_correction_shows_what_netsuite_would_be_sent_instead(company: Company) -> None:
    _, wrong = refused(company)

    changed = handling.edited(company.house.bridge.engine, wrong, json.dumps({"path": "Name", "text": "Acme"}))

    assert changed.differences == (("companyName", plain.loads(wrong.payload)["Name"], "Acme"),)
    assert changed.problem is None


@pytest.mark.parametrize(
    "wish", [{"path": "Id", "text": "001"}, {"path": "Nothing", "text": "x"}, {"path": "Name", "text": "x" * 40_000}]
)
def test_what_says_which_record_it_is_cannot_be_changed(company: Company, wish: dict[str, str]) -> None:
    _, wrong = refused(company)

    with pytest.raises(Rejected):
        handling.edited(company.house.bridge.engine, wrong, json.dumps(wish))


def test_an_older_error_closes_itself_when_a_newer_save_comes_through(company: Company) -> None:
    account, wrong = refused(company)

    company.save(account, Name=name())

    assert rows(company, id=wrong.id)[0].state == "superseded"
    (entry,) = told(company, "closed", message_id=wrong.id)
    assert (entry.message_id, entry.code) == (wrong.id, "NEWER_SAVE_CAME_THROUGH")


def test_an_older_error_stays_while_the_newer_save_fails_too(company: Company) -> None:
    account, _ = refused(company)

    company.save(account, Name=f"{name()} !REJECT USER_ERROR")

    assert [row.state for row in rows(company, sync="customer", source_id=account)] == ["rejected", "rejected"]


def test_the_request_and_the_answer_of_a_failure_are_kept_without_credentials(company: Company) -> None:
    _, wrong = refused(company)

    with company.house.bridge.ledger.read() as connection:
        kept = exchanges.of(connection, wrong.id)

    assert kept is not None
    assert "<" in kept.request
    assert "!REJECT USER_ERROR" in kept.request
    assert "USER_ERROR" in kept.answer
    for secret in ("tokenPassport", "signature", "sandbox-consumer-key", "sandbox-token-id", "sandbox-token-secret"):
        assert secret not in kept.request + kept.answer


def test_what_is_kept_of_an_exchange_is_bounded(company: Company) -> None:
    assert len(exchanges.cut("x" * 1_000_000)) < exchanges.LONGEST + 100


def test_a_dismissed_message_of_any_age_can_be_sent_again(company: Company) -> None:
    """Another product's resolved error could never be retried."""
    account, wrong = refused(company)
    assert do(company, "dismiss", [wrong.id]) == "1 of 1 dismissed."
    assert rows(company, id=wrong.id)[0].state == "dismissed"

    value = json.dumps({"path": "Name", "text": name()})
    do(company, "edit", [wrong.id], value=value)

    company.until(lambda: company.status(account) == "delivered")


def test_a_delivered_message_is_sent_again_as_stored(company: Company) -> None:
    called = name()
    account = company.account(called)
    (done,) = rows(company, sync="customer", state="delivered", source_id=account)
    company.made("customer", account).fields["companyName"] = "changed by accounting"

    said = do(company, "retry", [done.id])

    company.until(lambda: company.made("customer", account).fields["companyName"] == called)
    assert said == "1 of 1 on their way again."


def test_reading_anew_takes_what_salesforce_has_now(company: Company) -> None:
    """Prices of last month must not come back only because somebody sends an old error again."""
    account, wrong = refused(company)
    company.sf.callouts.url = None  # this save reaches nobody
    company.save(account, Name="Fresh Bread")
    company.sf.callouts.url = company.house.callouts.url

    do(company, "fresh", [wrong.id])

    company.until(lambda: company.status(account) == "delivered")
    assert company.made("customer", account).fields["companyName"] == "Fresh Bread"
    company.until(lambda: rows(company, id=wrong.id)[0].state == "superseded")


def test_many_messages_are_counted_and_summed_by_currency_before_anything_happens(company: Company) -> None:
    found = [company.application(company.account(name()))[0] for _ in range(2)]
    orders = [row for it in found for row in rows(company, sync="purchase_order", source_id=it, state="delivered")]

    number = handling.draft(
        company.house.bridge.engine, "retry", [row.id for row in orders],
        value=None, reason="", actor="anna", guard=never,
    )  # fmt: skip

    plan = find(company, number)
    assert len(plan.ids) == 2
    assert dict(plan.sums) == {"USD": Decimal("80000.00")}
    assert [rows(company, id=it.id)[0].state for it in orders] == ["delivered", "delivered"]


def test_above_the_limit_nothing_happens_until_another_person_agrees(company: Company) -> None:
    _, wrong = refused(company)
    engine = company.house.bridge.engine
    number = handling.draft(engine, "dismiss", [wrong.id], value=None, reason="old", actor="anna", guard=always)

    said = handling.confirm(engine, find(company, number), actor="anna")

    assert "second person" in said
    assert rows(company, id=wrong.id)[0].state == "rejected"
    with pytest.raises(Rejected, match="another person"):
        handling.decide(engine, find(company, number), actor="anna", approve=True)
    assert handling.decide(engine, find(company, number), actor="ben", approve=True) == "1 of 1 dismissed."
    assert rows(company, id=wrong.id)[0].state == "dismissed"
    assert [told(company, it)[-1].actor for it in ("asked", "approved")] == ["anna", "ben"]
    assert (
        handling.decide(engine, find(company, number), actor="ben", approve=True)
        == "Somebody has decided this already."
    )


def test_a_refused_plan_changes_nothing(company: Company) -> None:
    _, wrong = refused(company)
    engine = company.house.bridge.engine
    number = handling.draft(engine, "retry", [wrong.id], value=None, reason="", actor="anna", guard=always)
    handling.confirm(engine, find(company, number), actor="anna")

    handling.decide(engine, find(company, number), actor="ben", approve=False)

    assert rows(company, id=wrong.id)[0].state == "rejected"
    assert find(company, number).state == triage.REFUSED


def test_what_waits_can_be_held_before_it_goes(company: Company) -> None:
    engine = company.house.bridge.engine
    from bridge import operating

    operating.pause(engine, "customer", actor="anna", reason="a test")
    account = company.account(name())
    (waiting,) = rows(company, sync="customer", source_id=account)
    assert waiting.state == "pending"

    assert do(company, "hold", [waiting.id]) == "1 of 1 held."
    operating.resume(engine, "customer", actor="anna")

    company.house.bridge.engine.deliver([waiting.lane])
    assert rows(company, id=waiting.id)[0].state == "held"
    assert company.status(account) != "delivered"


def test_people_and_words_are_put_on_messages(company: Company) -> None:
    _, wrong = refused(company)

    do(company, "assign", [wrong.id], value="ben")
    do(company, "tag", [wrong.id], value="month-end")
    do(company, "tag", [wrong.id], value="asked")
    do(company, "tag", [wrong.id], value="-month-end")

    with company.house.bridge.ledger.read() as connection:
        found = triage.of(connection, [wrong.id])[wrong.id]
    assert found.assignee == "ben"
    assert triage.words_of(found) == ["asked"]


@pytest.mark.parametrize(
    ("action", "given"),
    [
        ("retry", {"ids": []}),
        ("explode", {}),
        ("dismiss", {"reason": " "}),
        ("tag", {"value": "two words"}),
        ("retry", {"ids": list(range(20_000))}),
    ],
    ids=["nothing", "unknown", "no reason", "no tag", "too many"],
)
def test_a_plan_that_makes_no_sense_is_refused_in_a_sentence(
    company: Company, action: str, given: dict[str, Any]
) -> None:
    values = {"value": None, "reason": "x", "actor": "anna", "guard": never, "ids": [1], **given}
    ids = values.pop("ids")

    with pytest.raises(Rejected) as refused:
        handling.draft(company.house.bridge.engine, action, ids, **values)

    assert refused.value.message.endswith(".")
