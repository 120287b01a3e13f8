"""Marks: occurrences, watermarks, pauses, calls: each thing is acted on once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from bridge.ledger import lanes, marks

AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


def test_a_scheduled_time_is_acted_on_by_one_of_many(ledger):
    won: list[str] = []

    def instance(name: str) -> None:
        for minute in range(5):
            with ledger.write() as writing:
                if marks.claim(writing, "remittance", AT + timedelta(minutes=minute), name):
                    won.append(name)

    threads = [threading.Thread(target=instance, args=(f"instance-{n}",)) for n in range(6)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()

    assert len(won) == 5


def test_a_finished_occurrence_tells_its_report(ledger):
    with ledger.write() as writing:
        marks.claim(writing, "sweep", AT, "one")
        marks.claim(writing, "sweep", AT + timedelta(hours=1), "one")
        marks.finish(writing, "sweep", AT + timedelta(hours=1), "done", "3 looked at")

    with ledger.read() as connection:
        row = marks.last_runs(connection)["sweep"]

    assert (row.scheduled_at, row.outcome, row.report) == (AT + timedelta(hours=1), "done", "3 looked at")


def test_a_watermark_may_be_rewound(ledger):
    with ledger.write() as writing:
        marks.move_watermark(writing, "remittance", AT)
        marks.move_watermark(writing, "remittance", AT - timedelta(days=2), actor="pat")

    with ledger.read() as connection:
        assert marks.read_watermark(connection, "remittance") == AT - timedelta(days=2)
        assert marks.read_watermark(connection, "never") is None


def test_one_incident_starts_one_pause(ledger):
    with ledger.write() as writing:
        started = [marks.start_pause(writing, "*netsuite", "LOGIN", "No.") for _ in range(3)]

    assert started == [True, False, False]


def test_a_due_probe_is_claimed_once(ledger, clock):
    with ledger.write() as writing:
        marks.start_pause(writing, "*netsuite", "LOGIN", "No.")
        marks.start_pause(writing, "contact", "PAUSED_BY_PERSON", "A look.", probe=False)
    early = claimed(ledger)
    clock.advance(minutes=6)

    assert early == []
    assert [claimed(ledger), claimed(ledger)] == [["*netsuite"], []]


def claimed(ledger):
    with ledger.write() as writing:
        return [it.scope for it in marks.claim_probe(writing)]


def test_the_same_call_is_opened_once(ledger):
    calls = [marks.Seen("00D", "call", "hash", "one"), marks.Seen("00D", "call", "other", "two")]
    with ledger.write() as writing:
        first = marks.open_calls(writing, calls)
    with ledger.write() as writing:
        other = marks.Seen("00E", "call", "hash", "four")
        later = marks.open_calls(writing, [marks.Seen("00D", "call", "hash", "three"), other])

    assert first == {("00D", "call"): calls[0]}
    assert later == {("00D", "call"): calls[0], ("00E", "call"): other}


# --- lanes


def wake(ledger, *keys, priority=1):
    with ledger.write() as writing:
        lanes.wake(writing.connection, dict.fromkeys(keys, (writing.now, priority)))


def take(ledger, owner="one", **options):
    with ledger.write() as writing:
        return lanes.lease(writing.connection, owner, writing.now, **options)


def test_a_leased_lane_is_nobody_elses(ledger):
    wake(ledger, "a", "b")

    first, second = take(ledger, keys=["a"]), take(ledger, "two", keys=["a", "b"])

    assert [it.key for it in first] == ["a"]
    assert [it.key for it in second] == ["b"]


def test_a_lane_whose_lease_ran_out_is_taken_over_with_a_higher_epoch(ledger, clock):
    wake(ledger, "a")
    (old,) = take(ledger)
    clock.advance(seconds=lanes.LEASE.total_seconds() + 1)

    (new,) = take(ledger, "two")

    with ledger.write() as writing:
        assert lanes.still_held(writing.connection, [old]) == set()
        assert lanes.still_held(writing.connection, [new]) == {"a"}
    assert new.epoch == old.epoch + 1


def test_a_renewed_lease_is_not_taken_over(ledger, clock):
    wake(ledger, "a")
    held = take(ledger)
    clock.advance(minutes=3)
    with ledger.write() as writing:
        lanes.renew(writing.connection, held, writing.now)
    clock.advance(minutes=3)

    assert take(ledger, "two") == []


def test_a_zombie_cannot_renew_or_release(ledger, clock):
    wake(ledger, "a")
    old = take(ledger)
    clock.advance(minutes=10)
    new = take(ledger, "two")

    with ledger.write() as writing:
        lanes.renew(writing.connection, old, writing.now + timedelta(days=1))
        lanes.release(writing.connection, old, (), writing.now)
    still = take(ledger, "three")

    assert still == []
    with ledger.write() as writing:
        assert lanes.still_held(writing.connection, new) == {"a"}


def test_what_a_person_waits_for_goes_first(ledger):
    wake(ledger, *(f"bulk-{n}" for n in range(5)))
    wake(ledger, "person", priority=0)

    (first,) = take(ledger, most=1)

    assert first.key == "person"


def test_threads_share_lanes_without_overlap(ledger):
    wake(ledger, *(f"lane-{n:02}" for n in range(30)))
    got: list[str] = []

    def work(owner: str) -> None:
        while leases := take(ledger, owner, most=3):
            got.extend(it.key for it in leases)

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(5)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()

    assert sorted(got) == [f"lane-{n:02}" for n in range(30)]
