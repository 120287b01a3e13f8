"""Values as people read them on pages: times, lengths of time, amounts, records.

Must not know: SQL, Flask.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from bridge.mapping import label
from bridge.ports import Ref

OBJECTS = {"Opportunity": "Application", "Credit_Request__c": "Credit Request"}


def moment(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at else "–"


def span(length: timedelta | float | None) -> str:
    """Return a length of time in the two largest units that say enough."""
    if length is None:
        return "–"
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def ago(at: datetime | None) -> str:
    return "–" if at is None else f"{span(max(timedelta(0), datetime.now(UTC) - at))} ago"


def money(amount: Decimal | None, currency: str = "") -> str:
    """Return ``1,234.50 USD``."""
    return "–" if amount is None else f"{amount:,.2f} {currency}".rstrip()


def sums(found: dict[str, Decimal]) -> str:
    """Return sums by currency in one line."""
    return " + ".join(money(amount, currency) for currency, amount in sorted(found.items())) or "no amount"


def count(number: int, most: int | None = None) -> str:
    """Return a number with its thousands apart; one that was counted only so far says so."""
    return f"more than {most:,}" if most is not None and number > most else f"{number:,}"


def obj(kind: str) -> str:
    """Return a Salesforce object by the name people know."""
    return OBJECTS.get(kind, kind)


def field(name: str) -> str:
    """Return the words for a field, ``Lines[2].UnitPrice`` → ``Fee 2: Unit Price``."""
    outer, _, inner = name.rpartition(".")
    return f"Fee {outer.removeprefix('Lines[').rstrip(']')}: {label(inner)}" if outer else label(name)


def shown(value: Any) -> str:
    """Return a stored value as people read it."""
    if isinstance(value, Ref):
        return f"{value.kind} {value.name or value.id or value.external_id}"
    if isinstance(value, list):
        return "; ".join(", ".join(f"{k}: {shown(v)}" for k, v in row.items()) for row in value)
    if isinstance(value, dict):
        return ", ".join(f"{k}: {shown(v)}" for k, v in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return value.isoformat()
    return "" if value is None else str(value)
