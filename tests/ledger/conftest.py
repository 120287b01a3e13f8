"""A ledger with its schema on each database, and a clock that stands until it is moved."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bridge.ledger import Ledger

KEY = b"audit key of the tests"


class StandingClock:
    """Time as a test wants it."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **span: float) -> None:
        self.at += timedelta(**span)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def ledger(database_url: str, clock: StandingClock) -> Iterator[Ledger]:
    made = Ledger(database_url, audit_key=KEY, clock=clock)
    yield made
    made.close()
