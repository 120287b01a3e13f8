"""The loop breaker: a record that somebody's automation changes back whenever it was sent is stopped.

Salespeople save often, so the number alone proves nothing; values that come round again do.

Must not know: any system, SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Row

SENT_AT_MOST = 5  # a record of one user's within LOOP, before it is looked at whether it goes round in circles
LOOP = timedelta(minutes=10)
SENTENCE = (
    "The same values were sent to NetSuite again and again within ten minutes, so something changes the record back;"
    " this save is not sent, the next change by a person is."
)


def circles(row: Row[Any], sent: Mapping[tuple[str, str], Sequence[tuple[str | None, str]]]) -> bool:
    """Say whether the same user's saves come round to what was *sent* of this record within LOOP, again and again."""
    hashes = [it for actor, it in sent.get((row.sync, row.source_id), ()) if actor == row.actor]
    return len(hashes) >= SENT_AT_MOST and (row.source_hash in hashes or len(hashes) >= 6 * SENT_AT_MOST)
