"""Closed accounting periods: what a refused record is told, and on which day it goes where a site wishes that.

By default a record waits until accounting reopens its period (`bridge.reopening`). With ``closed_period = "next_open"``
it gets the first day of the next period that takes it, and says so in its memo; both days are kept with the link, so
that later saves keep to them. A record is never dated anew without a word.

Must not know: any system's protocol, SQL, HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Protocol

from bridge.errors import BridgeError, Rejected
from bridge.ledger.links import Link
from bridge.mapping import PACIFIC
from bridge.ports import Period, Record

CODES = ("CLOSED_TRAN_PRD", "TRAN_PERIOD_CLOSED", "TRAN_PRD_CLOSED", "VALID_PRD_REQD")
NEXT_OPEN = "next_open"
CODE = "REDATED"
LONGEST = 999  # characters of a memo
Dated = Mapping[str, Any]  # instead_of (a day, or None where Salesforce says none), on, period


class Books(Protocol):
    """What is asked of NetSuite."""

    def periods(self, *, fresh: bool = False) -> list[Period]: ...

    def now(self) -> datetime: ...


def is_closed(outcome: object) -> bool:
    """Say whether NetSuite refused a record for its accounting period."""
    return isinstance(outcome, Rejected) and outcome.code in CODES


def of_day(known: Sequence[Period], day: date) -> Period | None:
    """Return the period that holds a day."""
    return next((it for it in known if it.first <= day <= it.last), None)


def judged(record: Record, refused: Rejected, books: Books, rule: str) -> Rejected | tuple[Record, Dated]:
    """Return the record dated anew, with both days, where *rule* wishes that; else *refused* in words that help.

    Where the periods cannot be read, NetSuite's refusal stands as it is.
    """
    try:
        day = record.fields.get("tranDate") or books.now().astimezone(PACIFIC).date()
        known = books.periods()
        own = of_day(known, day)
        if own is not None and own.takes(record.ref.kind):  # it was closed since they were read
            known = books.periods(fresh=True)
            own = of_day(known, day)
    except BridgeError:
        return refused
    if rule == NEXT_OPEN:
        after = next((it for it in known if it.first > day and it.takes(record.ref.kind)), None)
        if after is not None:
            dated = {
                "instead_of": record.fields.get("tranDate"),
                "on": after.first,
                "period": own.name if own else None,
            }
            return _dated(record, dated), dated
    return _told(refused, record.ref.kind, own, day, rule)


def _told(refused: Rejected, kind: str, own: Period | None, day: date, rule: str) -> Rejected:
    if own is None:
        refused.message = f"NetSuite has no accounting period for {day}; it is sent when accounting makes one."
    elif own.takes(kind):
        refused.message = f"NetSuite does not take it in the accounting period {own.name}, though that is open."
    else:
        refused.message = f"The accounting period {own.name} is closed; it is sent when accounting reopens it."
    if rule == NEXT_OPEN:
        refused.message += " No later period is open."
    return refused


def of_link(record: Record, known: Link | None) -> Dated | None:
    """Return the days of a record that was dated anew, as long as Salesforce still says the day it had then."""
    dated: Dated | None = known.parts.get("dated") if known else None
    return dated if dated and record.fields.get("tranDate") == dated["instead_of"] else None


def as_dated(record: Record, known: Link | None) -> Record:
    """Return *record* on the day that it was given in NetSuite."""
    dated = of_link(record, known)
    return record if dated is None else _dated(record, dated)


def _dated(record: Record, dated: Dated) -> Record:
    own = f"Dated {dated['instead_of']} in Salesforce" if dated["instead_of"] else "Without a date in Salesforce"
    why = f"period {dated['period']} is closed" if dated["period"] else "without a period"
    memo = f"{own}, {why}. {record.fields.get('memo') or ''}".strip()[:LONGEST]
    return replace(record, fields={**record.fields, "tranDate": dated["on"], "memo": memo})


def sentence(dated: Dated) -> str:
    """Say to people that a record has another day in NetSuite, and why."""
    day = f" instead of {dated['instead_of']}" if dated["instead_of"] else ""
    why = f": the accounting period {dated['period']} is closed" if dated["period"] else ""
    return f"It is dated {dated['on']} in NetSuite{day}{why}."
