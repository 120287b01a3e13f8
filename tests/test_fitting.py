"""A site's own rules are compared with both systems' fields at the start; the long way is in test_cli.py."""

from __future__ import annotations

import logging
from typing import NoReturn

import pytest

from bridge import fitting
from bridge.errors import Deferred
from bridge.overlay import site_syncs
from bridge.ports import Fact
from bridge.settings import NotConfigured
from bridge.site import parse


def asked(field: str, **known: Fact) -> list[str]:
    """Check a rule that reads *field*, and return the objects that Salesforce was asked for."""
    site, _ = parse({"sync": {"customer": {"fields": {"comments": {"text": field}}}}})
    kinds: list[str] = []

    def facts(kind: str) -> dict[str, Fact]:
        kinds.append(kind)
        return known

    fitting.check(site, site_syncs(site), facts, lambda kind: None)
    return kinds


def test_salesforce_is_asked_only_for_what_neither_the_mapping_nor_the_package_knows() -> None:
    assert asked("Website") == []
    assert asked("Taxable__c") == []
    assert asked("Deal_Reference__c", Deal_Reference__c=Fact("Deal_Reference__c", "text")) == ["Account"]


def test_what_salesforce_does_not_have_stops_the_start_and_what_is_shipped_does_not() -> None:
    with pytest.raises(NotConfigured) as stopped:
        asked("Descriptoin")

    (problem,) = stopped.value.problems  # although the Account that was told of has not even a name
    assert problem.startswith("sync.customer, comments: Descriptoin is read, and Account has no such field")


def test_a_salesforce_that_is_away_does_not_keep_the_bridge_from_starting(caplog: pytest.LogCaptureFixture) -> None:
    site, _ = parse({"sync": {"customer": {"fields": {"comments": {"text": "Descriptoin"}}}}})

    def away(kind: str) -> NoReturn:
        raise Deferred("Salesforce cannot be reached.", code="SALESFORCE_UNREACHABLE")

    with caplog.at_level(logging.WARNING):
        fitting.check(site, site_syncs(site), away, lambda kind: None)

    assert "Salesforce cannot be reached" in caplog.text
