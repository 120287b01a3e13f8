"""The whole house over real sockets, without latency."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge import playground
from bridge.playground import Playground
from tests.e2e.company import Company

SHARED = Path(os.environ.get("BRIDGE_SHARED", Path(__file__).parents[3] / "shared")) / "suitetalk"


@pytest.fixture
def open_company(tmp_path: Path) -> Iterator[Callable[..., Company]]:
    """Start a house with options of its own; all of them are stopped at the end."""
    started: list[Playground] = []

    def start(**options: Any) -> Company:
        house = playground.start(tmp_path / f"bridge{len(started)}.sqlite3", **options)
        started.append(house)
        return Company(house)

    yield start
    for house in started:
        house.stop()


@pytest.fixture
def company(open_company: Callable[..., Company]) -> Company:
    """A house as it is shipped, that keeps every request NetSuite got."""
    return open_company(record_requests=True)


@pytest.fixture(scope="session")
def full_schemas() -> Path:
    """The folder with the full SuiteTalk schemas, or a visible skip."""
    if not (SHARED / "2025_2").is_dir():
        pytest.skip("the full SuiteTalk schemas are not next to the checkout")
    return SHARED
