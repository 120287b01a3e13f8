"""What was asked and answered when a write failed, for the person who must find out why: without any secret.

Must not know: what the ledger keeps of it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from lxml import etree

from bridge.errors import BridgeError, Deferred
from bridge.netsuite.wire import Wire
from bridge.ports import Written


def shown(
    wire: Wire,
    encoded: Sequence[Any],
    outcomes: Sequence[Written | BridgeError],
    responses: Sequence[etree._Element] = (),
) -> list[Written | BridgeError]:
    """Give every failure its own part of the question and of the answer; what only waits its turn gets none.

    *encoded* are the records as zeep made them. The question is written out without its passport.
    """
    found: list[Written | BridgeError] = []
    for place, outcome in enumerate(outcomes):
        if isinstance(outcome, BridgeError) and not isinstance(outcome, Deferred):
            asked = _readable(wire.bindings.message("upsert", record=encoded[place]))
            is_whole = len(responses) == len(encoded)
            answered = _readable(responses[place]) if is_whole else outcome.detail or outcome.code
            outcome = copy.copy(outcome)
            outcome.exchange = (wire.without_secrets(asked), wire.without_secrets(answered))
        found.append(outcome)
    return found


def _readable(element: etree._Element) -> str:
    """Return *element* as XML that a person can read."""
    etree.indent(element)
    return etree.tostring(element, encoding="unicode")
