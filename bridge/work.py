"""What goes from deciding to sending: a message on its way out with all that was found out about it.

Must not know: how anything is decided or sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from bridge import totals
from bridge.ledger.bulk_jobs import Left
from bridge.ledger.lanes import Lease
from bridge.ledger.links import Link
from bridge.mapping import Pull, Push
from bridge.ports import Record

# One list call carries about 20 transactions, or 50 entities, or 100 custom records (NetSuite Help section_1537861842).
WEIGHTS = {
    "customer": 1 / 50,
    "vendor": 1 / 50,
    "contact": 1 / 50,
    "salesOrder": 1 / 20,
    "purchaseOrder": 1 / 20,
    "vendorBill": 1 / 20,
    "creditMemo": 1 / 20,
    "customerRefund": 1 / 20,
}
LIGHT = 1 / 100
ROWS_A_BATCH = 200  # of a pull: one Salesforce collection
BALANCE = 1 / 50  # each reads all rows of its Application


@dataclass
class Work:
    """One message on its way out. *resolve*: look it up before sending, for it may have arrived already.

    *leaves*: its Salesforce record was deleted; nothing may be open in NetSuite, and nothing can be written back.
    *doubted*: the ledger may have forgotten that its Account took such a record over in a merge.
    """

    row: Row[Any]
    lease: Lease
    sync: Push | Pull | None
    records: list[Record]
    link: Link | None = None
    fingerprint: str = ""
    resolve: bool = False
    leaves: bool = False
    doubted: bool = False
    sent_at: datetime | None = None
    after: frozenset[str] = frozenset()
    keys: list[str] = field(default_factory=list)
    rows: dict[str, str] = field(default_factory=dict)
    unled: str | None = None
    number: str | None = None
    parts: dict[str, Any] = field(default_factory=dict)
    dated: Mapping[str, Any] | None = None  # see `bridge.periods`
    shared: dict[str, list[Any]] | None = None  # see `bridge.sharing`

    @property
    def name(self) -> str:
        return f"{self.row.sync}:{self.row.source_id}"

    @property
    def system(self) -> str:
        return "netsuite" if isinstance(self.sync, Push) else "salesforce"

    @property
    def weight(self) -> float:
        """How much of one call it fills."""
        if goes_alone(self.row, is_pulled=not isinstance(self.sync, Push)):
            return 1
        if isinstance(self.sync, Push):
            return WEIGHTS.get(self.sync.target, LIGHT)
        return BALANCE if self.row.sync == totals.SYNC else len(self.records) / ROWS_A_BATCH


def goes_alone(row: Row[Any], *, is_pulled: bool) -> bool:
    """Say whether a message is sent by itself, for it may be what stops its worker: nobody else is blamed then.

    Of pulled records thousands may be on their way at once, so the first stop says nothing about any one of them.
    """
    return bool(row.crashes > is_pulled)


@dataclass
class Prepared:
    """What to send, and what must be read from Salesforce first.

    *missing* are records that others refer to: (sync, kind, id). *merged* are Accounts that were merged away, with the
    Account that they are part of now: its contacts and applications changed their owner, and no trigger told us.
    *leaving* are Accounts that were deleted, of whose orders one may be open; *returned* those that were merged away
    and were saved since. *unfinished* are bulk jobs for the sake of which lanes were given back.
    """

    work: list[Work] = field(default_factory=list)
    paused: set[str] = field(default_factory=set)
    missing: set[tuple[str, str, str]] = field(default_factory=set)
    merged: dict[str, str] = field(default_factory=dict)
    leaving: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)
    unfinished: list[Left] = field(default_factory=list)
