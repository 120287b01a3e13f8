"""When to try again: the retry schedule with its jitter and its horizon.

Must not know: any system, SQL, HTTP.
"""

from __future__ import annotations

import random
from datetime import timedelta

# After each failed try; then hourly until the horizon. Source: failure model, "Retry schedule".
STEPS_S = (1, 5, 30, 120, 600, 1800, 3600)
HORIZON = timedelta(hours=76)
TRIES = 40  # and so often at least; by the schedule about eighty fall into the horizon
JITTER = 0.2
RESOLVE_AFTER = timedelta(seconds=60)  # NetSuite may go on working on a request whose caller has left
THROTTLE_S = 2.0
# Somebody changed the record at the same moment: it is read anew and sent so many times more.
CHANGED = ("RCRD_HAS_BEEN_CHANGED", "RCRD_EDITED_SINCE_RETRIEVED")
AGAIN_IF_CHANGED = 5
CRASHES = 3  # a record that took its worker down so often is put on a person's desk
# A parent's delivery wakes its children; these bound how long a wake that got lost can cost.
FIRST_LOOK, LAST_LOOK = timedelta(seconds=5), timedelta(minutes=10)

_random = random.SystemRandom()


def retry_after(attempts: int) -> timedelta:
    """Return the pause after *attempts* failed tries, with ±20 % jitter so that failures do not return together."""
    step = STEPS_S[min(max(attempts, 1), len(STEPS_S)) - 1]
    return timedelta(seconds=step * _random.uniform(1 - JITTER, 1 + JITTER))


def throttle_after(wish_s: float | None) -> timedelta:
    """Return the pause after the other system asked us to slow down; it costs no attempt."""
    return timedelta(seconds=(wish_s or THROTTLE_S) * _random.uniform(0.5, 1.5))


def resolve_after(attempts: int) -> timedelta:
    """Return when to look an uncertain write up: not before 60 s, later each time."""
    return RESOLVE_AFTER * min(max(attempts, 1), 10)


def look_again_after(age: timedelta) -> timedelta:
    """Return when a message that has waited *age* for another record looks for it by itself: each time later."""
    return min(max(age, FIRST_LOOK), LAST_LOOK)
