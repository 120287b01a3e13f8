"""What an administrator is told of: each begins and ends, and nothing is told twice."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import delete, func, select, update

from bridge import operating, watching
from bridge.ledger import audit as trail
from bridge.ledger import marks
from bridge.ledger.models import audit, audit_head, message
from bridge.site import Alerts
from bridge.sweep import sweep
from bridge.watching import Watched
from tests.ledger.test_audit import disarm


@pytest.fixture
def watch(house):
    """Look once, and return the sentences by code."""

    def look(**given):
        limits = given.pop("limits", Alerts())
        watched = Watched(limits, "America/Los_Angeles", clock=given.pop("clock", house.clock), **given)
        return {it.code: it for it in watching.look(house.engine, watched)}

    return look


def told(house) -> list[str]:
    events = []

    def channel(it):
        events.append(f"{'over ' if it.ended_at else ''}{it.key.split(':')[0]}")
        return True

    watching.tell(house.ledger, [channel])
    return events


def test_a_quiet_house_worries_nobody(house, watch):
    house.push(house.account())

    assert watch() == {}
    assert told(house) == []


def test_failed_records_are_told_by_cause_once_and_when_they_are_healed(house, watch):
    accounts = [house.account(f"Merchant {n} !REJECT") for n in range(3)]
    house.push(*accounts)

    found = watch()

    assert "3 records need" in found["RECORDS_FAILED"].sentence
    assert told(house) == ["failed"]
    watch()
    assert told(house) == []
    for it in accounts:
        house.sf.update(it, Name=f"Merchant {it}")
    house.push(*accounts)
    operating.replay(house.engine, [row.id for row in house.messages("customer")][:3], actor="operator")
    house.drain()
    assert watch() == {}
    assert told(house) == ["over failed"]


def test_a_pause_is_told_and_its_end(house, watch):
    operating.pause(house.engine, "customer", actor="operator", reason="year end")
    assert watch()["SYNC_PAUSED"].sentence == "customer is paused: year end"
    assert told(house) == ["paused"]

    operating.resume(house.engine, "customer", actor="operator")
    watch()

    assert told(house) == ["over paused"]


def test_what_waits_too_long_is_told(house, watch):
    house.receive(house.account())
    house.clock.advance(minutes=31)

    assert watch()["LAG"].sentence == "The oldest change that could be sent has waited for 31 minutes."


def test_silence_is_told_while_people_are_at_work(house, watch):
    """The clock stands at 10 in the morning of a Friday in California."""
    house.push(house.account())
    assert "SILENCE" not in watch()
    house.clock.advance(hours=4, minutes=5)
    assert "has sent nothing for 4 hours" in watch()["SILENCE"].sentence

    house.clock.advance(hours=10)
    assert "SILENCE" not in watch(), "at night nobody saves"
    house.clock.advance(days=1)
    assert "SILENCE" not in watch(), "nor on a Saturday"
    assert "SILENCE" not in watch(limits=Alerts(silence_minutes=0))


def test_a_house_that_was_never_called_is_not_silent(house, watch):
    house.clock.advance(hours=6)

    assert watch() == {}


def test_a_clock_that_is_off_is_told_with_both_sides(house, watch):
    found = watch(clock=lambda: house.clock.at - timedelta(minutes=3))

    assert found["CLOCK_SKEW"].sentence.startswith("The clocks of this machine and of ")


def test_the_quota_is_told_before_it_is_used_up(house, watch):
    assert "QUOTA" not in watch(usage=lambda: 0.79)
    assert watch(usage=lambda: 0.8)["QUOTA"].sentence.startswith("80% of Salesforce's daily calls are used")


@pytest.mark.parametrize(("days", "step"), [(31, None), (30, 30), (8, 30), (7, 7), (1, 1), (-2, 1)])
def test_what_expires_is_told_in_three_steps(house, watch, days, step):
    last = house.clock.at.date() + timedelta(days=days)

    found = watch(expiries=[("The signing key 2026", last)])

    assert (found["EXPIRES"].key if found else None) == (f"expiry:The signing key 2026:{step}" if step else None)


def test_the_end_of_soap_is_counted_down(house, watch):
    assert watch() == {}
    house.clock.at = datetime.combine(watching.SOAP_MAY_END, datetime.min.time(), UTC) - timedelta(days=100)

    found = watch()["SOAP_ENDS"]

    assert (found.key, "100 days" in found.sentence) == ("soap:180", True)
    assert date(2027, 1, 1) < watching.SOAP_MAY_END


def test_lost_callouts_are_told(house, watch):
    for n in range(12):
        house.receive(house.account(f"Late {n}"), origin="sweep")
    house.drain()

    assert watch()["CALLOUTS_LOST"].sentence.startswith("12 changes of the last day were found by the sweep only")


def test_a_callout_that_was_on_its_way_while_the_sweep_looked_is_not_lost(house, watch):
    for n in range(12):
        saved = house.account(f"On its way {n}")
        house.receive(saved, origin="sweep")
        house.receive(saved)
    house.drain()

    assert "CALLOUTS_LOST" not in watch()


def test_one_save_of_which_no_callout_came_is_told_where_the_site_wants_to_hear_of_each(house, watch):
    """F-103: expected, and not seen; not a failure of anything that came."""
    house.push_one(house.account("Seen"))
    house.account("Never told of")
    house.clock.advance(minutes=1)
    before = watch(limits=Alerts(late_records=0))

    sweep(house.engine)
    house.drain()
    found = watch(limits=Alerts(late_records=0))

    assert "CALLOUTS_LOST" not in before
    assert found["CALLOUTS_LOST"].sentence.startswith("1 change of the last day was found by the sweep only")
    assert "CALLOUTS_LOST" not in watch(), "ten a day are the usual limit"


def test_what_reached_nobody_is_told_again(house, watch):
    operating.pause(house.engine, "customer", actor="operator", reason="year end")
    watch()
    assert watching.tell(house.ledger, [lambda it: False]) == 0

    assert told(house) == ["paused"]


def test_the_last_rows_taken_away_are_missed_though_the_chain_ends_before_them(house):
    """Who owns the database moves the chain's end back too; no anchor is so new. The messages still know."""
    house.push(house.account())
    with house.ledger.write() as writing:
        disarm(writing.connection)
        head = writing.connection.execute(select(audit_head).where(audit_head.c.seq > 1)).one()
        kept = (audit.c.chain == head.chain, audit.c.seq == 1)
        writing.connection.execute(delete(audit).where(audit.c.chain == head.chain, audit.c.seq > 1))
        hash_ = writing.connection.execute(select(audit.c.hash).where(*kept)).scalar_one()
        end = update(audit_head).where(audit_head.c.chain == head.chain)
        writing.connection.execute(end.values(seq=1, hash=hash_))

    (sentence,) = watching.broken(house.ledger, None)

    assert sentence.startswith("Message 1 is settled, but the audit does not say so")


def test_anchors_that_were_taken_away_are_missed_after_the_next_one(house, tmp_path):
    """Each hour begins a file that is not there: the audit knows how long it was."""
    file = tmp_path / "anchors.jsonl"
    watching.write_anchor(house.ledger, file)
    watching.write_anchor(house.ledger, file)
    file.unlink()
    watching.write_anchor(house.ledger, file)

    found = watching.verify(house.ledger, file)

    assert found.startswith("The file of anchors has 1 lines, but 3 were written")
    other = tmp_path / "others.jsonl"
    watching.write_anchor(house.ledger, other)
    assert watching.verify(house.ledger, other) == "the audit trail holds"


def test_the_trail_is_anchored_and_verified(house, tmp_path):
    file = tmp_path / "anchors.jsonl"
    house.push(house.account())
    watching.write_anchor(house.ledger, file)
    house.push(house.account("Other"))
    watching.write_anchor(house.ledger, file)
    assert len(file.read_text().splitlines()) == 2
    assert watching.verify(house.ledger, file) == "the audit trail holds"

    file.write_text(file.read_text().splitlines()[1] + "\n")

    assert watching.verify(house.ledger, file) == "Before line 1 of the anchors a line is missing or changed."
    assert told(house) == ["audit"]
    file.unlink()
    assert watching.verify(house.ledger, file) == "The file of anchors is gone."


def run(house, job, *outcomes, every):
    for outcome in outcomes:
        house.clock.advance(**every)
        with house.ledger.write() as writing:
            marks.claim(writing, job, writing.now, "here")
            marks.finish(writing, job, writing.now, outcome, f"It was {outcome}.")


def test_a_job_that_does_not_get_done_is_told_until_it_is(house, watch):
    """Else orders could stay away for days, and the page of the schedule would be the only one to know."""
    run(house, "orders", "done", "deferred", "failed", every={"hours": 1})
    run(house, "remittances", "done", "done", every={"days": 1})
    twice = watch()
    run(house, "orders", "deferred", every={"hours": 1})
    often = watch()
    run(house, "orders", "done", every={"hours": 1})
    over = watch()
    run(house, "remittances", "deferred", every={"days": 1})
    rare = watch()

    assert (twice, over) == ({}, {})
    assert often["JOB_NOT_DONE"].key == "job:orders"
    assert often["JOB_NOT_DONE"].sentence.endswith("UTC: It was deferred.")
    assert rare["JOB_NOT_DONE"].key == "job:remittances"


@pytest.mark.parametrize(("free", "total", "is_told"), [(3, 40, True), (6, 400, False), (3, 10, False), (1, 400, True)])
def test_little_space_is_told_before_there_is_none(watch, free, total, is_told):
    found = watch(space=lambda: (free * 1024**3, total * 1024**3))

    assert ("LOW_SPACE" in found) == is_told


def test_messages_that_the_audit_is_silent_about_are_found_in_steps(house, monkeypatch):
    """Millions of messages in one statement would take longer than PostgreSQL lets any of them."""
    monkeypatch.setattr(trail, "STEP", 2)
    house.push(*(house.account() for _ in range(3)))
    with house.ledger.write() as writing:
        last = writing.connection.execute(select(func.max(message.c.id)).where(message.c.sync == "customer")).scalar()
        held = trail.unsaid(writing.connection)
        later = update(message).where(message.c.id == last).values(settled_at=writing.now + timedelta(days=1))
        writing.connection.execute(later)

    with house.ledger.read() as connection:
        found = trail.unsaid(connection)

    assert (held, found) == (None, last)
    assert last > 2
