"""Keep the ledger from growing for ever: personal data is emptied, and what was done long ago is removed.

All in steps, so that no save waits for more than one short transaction.

Must not know: any system, HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from bridge.ledger import Ledger, Writing, exchanges, privacy, retention
from bridge.site import Retention


def expire(ledger: Ledger, keep: Retention) -> str:
    """Do what ``[retention]`` says, and say in a sentence what was done."""
    _in_steps(ledger, exchanges.expire, exchanges.BATCH)
    said = [f"{_empty_contacts(ledger, keep.contact_days)} messages of Contacts were emptied"]
    if keep.message_days:
        said.append(f"{_remove(ledger, ledger.moment() - timedelta(days=keep.message_days))} messages were removed")
    return "; ".join(said)


def _empty_contacts(ledger: Ledger, days: int) -> int:
    """Empty what was stored of Contacts that long after it settled; what happened to them stays."""
    before, count, after = ledger.moment() - timedelta(days=days), 0, 0
    with ledger.read() as connection:
        last = privacy.newest(connection) if days else 0
    while after < last:
        # Looked for in steps and outside of the write: saves would wait for a look through millions of messages.
        with ledger.read() as connection:
            found = privacy.aged(connection, "Contact", before, after)
        if found:
            ledger.commit(partial(privacy.expire, kind="Contact", before=before, found=found))
            count += len(found)
        else:
            after += privacy.SPAN
    return count


def _remove(ledger: Ledger, before: datetime) -> int:
    """Remove what was done before then."""
    count = 0
    after: int | None = 0
    while after is not None:
        with ledger.read() as connection:
            found, after = retention.aged(connection, before, after)
        if found:
            count += ledger.commit(partial(retention.remove, before=before, found=found))
    _in_steps(ledger, partial(retention.remove_calls, before=before), retention.BATCH)
    _in_steps(ledger, partial(retention.remove_occurrences, before=before), retention.BATCH)
    return count


def _in_steps(ledger: Ledger, step: Callable[[Writing], int], most: int) -> None:
    while ledger.commit(step) >= most:
        pass
