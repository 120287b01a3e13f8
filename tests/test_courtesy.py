"""Long work gives way only while somebody waits."""

from __future__ import annotations

import pytest

from bridge import courtesy


@pytest.fixture
def breaths(monkeypatch):
    """The pauses that are made; nobody was served lately."""
    made = []
    monkeypatch.setattr(courtesy.time, "sleep", made.append)
    monkeypatch.setattr(courtesy, "_until", 0.0)
    return made


def test_nobody_waits_and_nothing_pauses(breaths):
    courtesy.breathe()

    assert breaths == []


def test_while_somebody_is_served_and_just_after_it_pauses(breaths):
    with courtesy.waited_for(), courtesy.waited_for():
        courtesy.breathe()
    courtesy.breathe()

    assert breaths == [courtesy.BREATH_S] * 2
