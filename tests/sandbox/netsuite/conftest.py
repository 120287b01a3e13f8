"""A fake NetSuite with a clock that stands still, and a client for it."""

from __future__ import annotations

import pytest

from bridge.sandbox.netsuite import NO_LATENCY, FakeNetSuite
from tests.sandbox.netsuite.suitetalk_client import SUBSET, Soap, SteadyClock, full_set


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock()


@pytest.fixture
def fake(clock: SteadyClock) -> FakeNetSuite:
    return FakeNetSuite(schema_dir=SUBSET, clock=clock, latency=NO_LATENCY, record_requests=True)


@pytest.fixture
def soap(fake: FakeNetSuite) -> Soap:
    return Soap(fake)


@pytest.fixture
def full_soap(clock: SteadyClock) -> Soap:
    """An account that speaks the full schemas: operations and fields that the bridge itself does not use."""
    return Soap(FakeNetSuite(schema_dir=full_set("2025_2"), clock=clock, latency=NO_LATENCY))
