"""What a record is worth: the money that waits while its message does.

Must not know: any system, SQL, HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from bridge.errors import Rejected
from bridge.mapping.base import decimal
from bridge.ports import Fields

Worth = Callable[[Fields, Fields], Decimal | None]  # of a source record, at this site


def of_field(*names: str) -> Worth:
    """Return the amount in the first of the fields *names* that has one."""

    def worth(source: Fields, site: Fields) -> Decimal | None:
        return next((decimal(source[it], it) for it in names if source.get(it) not in (None, "")), None)

    return safely(worth)


def of_lines(lines: str, name: str) -> Worth:
    """Return the sum of the field *name* over the list *lines*."""

    def worth(source: Fields, site: Fields) -> Decimal | None:
        found = [row[name] for row in source.get(lines) or () if row.get(name) not in (None, "")]
        return sum((decimal(it, name) for it in found), Decimal(0)) if found else None

    return safely(worth)


def safely(worth: Worth) -> Worth:
    """Return None where the record is wrong: that is why it waits, not a reason to show nothing."""

    def found(source: Fields, site: Fields) -> Decimal | None:
        try:
            return worth(source, site)
        except Rejected:
            return None

    return found
