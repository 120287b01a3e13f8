"""An organisation that floods the bridge is told when to come back; a mass update is not."""

from __future__ import annotations

from bridge.web.rate import Rate


class Clock:
    at = 0.0

    def __call__(self) -> float:
        return self.at


def test_a_burst_passes_and_what_exceeds_it_waits_for_its_share():
    clock = Clock()
    rate = Rate(600, clock)

    told = [rate.take("one", 200) for _ in range(4)]
    clock.at += told[3]
    later = rate.take("one", 200)

    assert told[:3] == [0.0, 0.0, 0.0]
    assert told[3] == 20.0
    assert later == 0.0


def test_organisations_do_not_wait_for_each_other():
    rate = Rate(200, Clock())

    assert rate.take("one", 200) == 0.0
    assert rate.take("one", 1) > 0
    assert rate.take("two", 200) == 0.0


def test_a_refused_call_takes_nothing():
    clock = Clock()
    rate = Rate(600, clock)
    rate.take("one", 600)

    for _ in range(5):
        rate.take("one", 200)
    clock.at += 20

    assert rate.take("one", 200) == 0.0
