"""Say whether NetSuite holds what was sent, by the value and not by how NetSuite writes it.

Must not know: any system, SQL, HTTP.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from bridge.mapping import LINE_ID, PACIFIC
from bridge.ports import Record, Ref


def agrees(sent: Record, found: Record) -> bool:
    """Say whether *found* already holds what *sent* would write; what cannot be compared counts as different."""
    return all(same(value, found.fields.get(name)) for name, value in sent.fields.items())


def same(sent: Any, found: Any) -> bool:
    """Say whether *found*, as NetSuite tells it, is what *sent* would make of it."""
    if sent is None or sent == "":
        return found is None or found == ""
    if isinstance(sent, Ref):
        if isinstance(found, int) and not isinstance(found, bool):
            return sent.id == str(found)  # a list of applications names documents by their number alone
        if not isinstance(found, Ref):
            return False
        if sent.id and found.id:
            return sent.id == found.id
        if sent.external_id and found.external_id:
            return sent.external_id.lower() == found.external_id.lower()
        return bool(sent.name and found.name and sent.name.casefold() == found.name.casefold())
    if isinstance(sent, bool):
        return sent is found
    if isinstance(sent, Decimal | int):
        return isinstance(found, Decimal | int) and not isinstance(found, bool) and Decimal(sent) == Decimal(found)
    if isinstance(sent, date) and not isinstance(sent, datetime):
        there = found.astimezone(PACIFIC).date() if isinstance(found, datetime) else found
        return bool(sent == there)
    if isinstance(sent, list):
        if isinstance(found, list) and any("apply" in row for row in found):
            found = [row for row in found if row.get("apply")]  # NetSuite also lists what could be applied
        if not isinstance(found, list) or len(sent) != len(found):
            return False
        # What is empty on a line is not sent, and NetSuite fills it in: the item's own description, for one.
        return all(
            all(
                same(value, there.get(name))
                for name, value in row.items()
                if value is not None and name not in (LINE_ID, "rate", "price")
            )
            for row, there in zip(sent, found, strict=True)
        )
    return bool(str(sent) == str(found))
