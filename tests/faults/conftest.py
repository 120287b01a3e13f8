"""The fakes, which outlive every bridge, and databases for processes that are killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.world import Clock, House, Town, compose


@pytest.fixture
def town() -> Iterator[Town]:
    made = Town()
    yield made
    made.stop()


@pytest.fixture
def options(town: Town, database_url: str) -> dict[str, Any]:
    """What a bridge of any process needs to know, in plain values."""
    return {"urls": town.urls, "database": database_url, "secret": town.secret}


@pytest.fixture
def house() -> Iterator[Callable[..., House]]:
    """Put bridges together in this process; they are closed at the end."""
    made: list[House] = []

    def make(options: dict[str, Any], clock: Clock | None = None) -> House:
        made.append(compose(options, clock))
        return made[-1]

    yield make
    for one in made:
        one.close()
