"""NetSuite's exchange rates, the only ones the bridge uses: asked for once a day and currency pair, kept for an hour.

Must not know: what is converted.

Source: SuiteTalk 2025_2 ``getCurrencyRate`` (NetSuite Help section_N3492280): one unit of ``fromCurrency`` is worth
``exchangeRate`` units of ``baseCurrency`` on ``effectiveDate``. The direction is inferred from its samples.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from bridge.errors import Misconfigured, Rejected
from bridge.netsuite.names import Call, Names
from bridge.netsuite.reading import child, text

KEPT = timedelta(hours=1)
PLACES = Decimal("0.00000001")  # of a rate that is worked out from two others
PACIFIC = ZoneInfo("America/Los_Angeles")  # dates are midnight there (NetSuite Help section_1521451348)
ONE = Decimal(1)
NOT_PERMITTED = ("INSUFFICIENT_PERMISSION", "PERMISSION_VIOLATION", "WS_PERMISSION_REQD", "WS_FEATURE_REQD")


class Rates:
    """Rates by day. Safe to share between threads."""

    def __init__(self, call: Call, names: Names, clock: Callable[[], datetime]) -> None:
        self._call, self._names, self._clock = call, names, clock
        self._days: dict[date, tuple[datetime, dict[tuple[str, str], Decimal]]] = {}

    def rate(self, source: str, target: str, on: date) -> Decimal | None:
        """Return what one unit of *source* was worth in *target* on that day; None where NetSuite has no rate.

        Where neither is a base currency, it is worked out by way of one. Raises Rejected where the role may not read
        rates: that concerns what needs one, and must not stop what does not.
        """
        if source == target:
            return ONE
        try:
            known = self._of(on)
        except Misconfigured as error:
            if error.code not in NOT_PERMITTED:
                raise
            raise Rejected(
                f"The bridge may not read NetSuite's exchange rates, so {source} cannot be converted to {target}.",
                code="RATE_NOT_PERMITTED",
                who="administrator",
                detail=error.detail,
            ) from error
        if (source, target) in known:
            return known[source, target]
        for base in sorted({it[1] for it in known}):
            there = ONE if source == base else known.get((source, base))
            back = ONE if target == base else known.get((target, base))
            if there is not None and back:
                return (there / back).quantize(PLACES, ROUND_HALF_UP)
        return None

    def _of(self, on: date) -> dict[tuple[str, str], Decimal]:
        kept = self._days.get(on)
        if kept is not None and kept[0] > self._clock():
            return kept[1]
        symbols = self._names.symbols()
        day = datetime.combine(on, time(), PACIFIC)
        answer = self._call("getCurrencyRate", interactive=False, currencyRateFilter={"effectiveDate": day})
        found: dict[tuple[str, str], Decimal] = {}
        for one in answer.iter("{*}currencyRate"):
            sides = [child(one, name) for name in ("fromCurrency", "baseCurrency")]
            ids = [(it.get("internalId") or "") if it is not None else "" for it in sides]
            worth = text(child(one, "exchangeRate"))
            if worth and all(it in symbols for it in ids):
                found[symbols[ids[0]], symbols[ids[1]]] = Decimal(worth)
        if len(self._days) > 1000:
            self._days.clear()
        self._days[on] = (self._clock() + KEPT, found)
        return found
