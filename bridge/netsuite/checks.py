"""What ``bridge doctor`` says about NetSuite, in plain words.

``run`` asks for the time, then for one small page of every kind, what was deleted, the currencies and the custom record
types. What the role may write is not among it: only a write tells, and looking must not make one. It stops asking after
a refused login: five of them lock the user for half an hour.

Must not know: SOAP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bridge.errors import BridgeError, Misconfigured
from bridge.netsuite.kinds import is_custom
from bridge.ports import Check

if TYPE_CHECKING:
    from bridge.netsuite.names import Names
    from bridge.netsuite.soap import SoapNetSuite

SKEW = timedelta(minutes=2)  # NetSuite refuses a passport that is five minutes off


def run(netsuite: SoapNetSuite, names: Names, kinds: Sequence[str], clock: Callable[[], datetime]) -> Iterator[Check]:
    """Yield one finding for the login, the clock, every kind, the deletions and the currencies."""
    try:
        theirs = netsuite.now()
    except BridgeError as error:
        yield Check("NetSuite login", False, _why(error))
        yield from (Check(f"NetSuite {kind}", None, "Not tried, because the login failed.") for kind in kinds)
        return
    yield Check("NetSuite login", True, "NetSuite accepts the bridge's credentials.")
    apart = abs(theirs - clock())
    yield Check("NetSuite clock", apart <= SKEW, f"The clocks are {apart.total_seconds():.0f} s apart.")
    for kind in kinds:
        yield _custom_type(names, kind) if is_custom(kind) else _readable(netsuite, kind, theirs)
    yield _deletions(netsuite, kinds, theirs)
    yield _periods(netsuite)
    try:
        found = names.currencies(interactive=False)
        yield Check("NetSuite currencies", bool(found), f"NetSuite knows {len(set(found.values()))} currencies.")
    except BridgeError as error:
        yield Check("NetSuite currencies", False, _why(error))


def _custom_type(names: Names, kind: str) -> Check:
    try:
        type_id = names.custom_type(kind, interactive=False)
    except BridgeError as error:
        return Check(f"NetSuite {kind}", False if isinstance(error, Misconfigured) else None, _why(error))
    return Check(f"NetSuite {kind}", True, f"The custom record type {kind} is number {type_id}.")


def _readable(netsuite: SoapNetSuite, kind: str, now: datetime) -> Check:
    try:
        with closing(netsuite.search_page(kind, now - timedelta(minutes=1), now, size=5)) as page:
            for _ in page:
                pass
    except BridgeError as error:
        return Check(f"NetSuite {kind}", False if isinstance(error, Misconfigured) else None, _why(error))
    return Check(f"NetSuite {kind}", True, f"The bridge's role may read {kind} records.")


def _deletions(netsuite: SoapNetSuite, kinds: Sequence[str], now: datetime) -> Check:
    kind = next((it for it in kinds if not is_custom(it)), "customer")
    try:
        for _ in netsuite.deleted(kind, now - timedelta(minutes=1), now):
            pass
    except BridgeError as error:
        return Check("NetSuite deletions", False if isinstance(error, Misconfigured) else None, _why(error))
    return Check("NetSuite deletions", True, "The bridge's role may read which records were deleted.")


def _periods(netsuite: SoapNetSuite) -> Check:
    try:
        known = netsuite.periods(fresh=True)
    except BridgeError as error:
        return Check("NetSuite accounting periods", None, f"{_why(error)} Closed months are tried again hour by hour.")
    return Check("NetSuite accounting periods", True, f"The bridge's role may read {len(known)} accounting periods.")


def _why(error: BridgeError) -> str:
    return f"{error.message} ({error.code})"
