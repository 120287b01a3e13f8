"""Which items may stand on a transaction: NetSuite offers those of its customer's or vendor's subsidiary.

`Offered.missing` names the items of an order that are not among them. The list is asked for once an hour for each kind
of transaction and subsidiary, and anew before anything is called missing, so that what accounting mends holds at once.

Must not know: HTTP, what is said to people.

Source: NetSuite Help section_N3504236 (select values that depend on a transaction's entity). Where NetSuite does not
say, or offers nothing at all, nothing is called missing: then its own refusal must do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from bridge.errors import Misconfigured, Rejected
from bridge.netsuite.names import KEPT, MISSED, Names


@dataclass(frozen=True, slots=True)
class _List:
    asked_at: datetime
    entity_id: str
    ids: frozenset[str]  # empty: not known


class Offered:
    """The items of each subsidiary, remembered for an hour. Safe to share between threads."""

    def __init__(self, names: Names, clock: Callable[[], datetime]) -> None:
        self._names, self._clock = names, clock
        self._lists: dict[tuple[str, str], _List] = {}

    def missing(
        self, kind: str, entity_id: str, subsidiary_id: str, item_ids: Collection[str], *, interactive: bool
    ) -> set[str]:
        """Return those of *item_ids* that a *kind* of this customer or vendor cannot have."""
        key = (kind, subsidiary_id)
        known = self._lists.get(key)
        now = self._clock()
        if known is None or known.asked_at + KEPT < now:
            known = self._lists[key] = self._ask(kind, entity_id, interactive)
        if known.ids and not known.ids.issuperset(item_ids):
            # Perhaps it was mended since, or the customer by whom was asked belongs to another subsidiary.
            if known.entity_id != entity_id or known.asked_at + MISSED < now:
                known = self._lists[key] = self._ask(kind, entity_id, interactive)
            return set(item_ids) - known.ids if known.ids else set()
        return set()

    def forget(self) -> None:
        """Ask anew the next time: NetSuite has refused an item."""
        self._lists.clear()

    def _ask(self, kind: str, entity_id: str, interactive: bool) -> _List:
        try:
            ids = self._names.offered(kind, "itemList", "item", entity_id, interactive=interactive)
        except (Rejected, Misconfigured):
            # This account does not let items depend on the customer; a login that failed shows at the next call.
            ids = frozenset()
        return _List(self._clock(), entity_id, ids)
