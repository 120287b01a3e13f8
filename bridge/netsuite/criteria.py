"""What a search asks for: a kind, a closed window of time, sometimes a range of ids or a start of external ids.

Must not know: what is done with the answer.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from bridge.errors import Misconfigured
from bridge.netsuite import codec
from bridge.netsuite.kinds import CUSTOM_RECORD, Kind
from bridge.netsuite.wsdl import Bindings

SECOND = timedelta(seconds=1)


def criteria(
    bindings: Bindings,
    name: str,
    kind: Kind,
    since: datetime,
    until: datetime,
    *,
    type_id: str | None = None,
    ids: tuple[int, int] | None = None,
    prefix: str | None = None,
) -> Any:
    """Return the search for every *kind* modified in ``[since, until]``, *ids* being the first and last internal id.

    With *prefix*, only those whose external id begins so.
    """
    if kind.search is None:
        raise Misconfigured(f"{name} cannot be searched for.", code="KIND_UNKNOWN", detail=name)
    values: dict[str, Any] = {kind.modified: within(since, until)}
    if kind.filter:
        values["type"] = {"operator": "anyOf", "searchValue": [kind.filter]}
    if kind is CUSTOM_RECORD:
        values["recType"] = {"internalId": type_id}
    if ids is not None:
        # That both ends are included is not documented; were it otherwise, the counts would not tie.
        values["internalIdNumber"] = {"operator": "between", "searchValue": ids[0], "searchValue2": ids[1]}
    if prefix is not None:
        values["externalIdString"] = {"operator": "startsWith", "searchValue": prefix}
    return bindings.type("common", kind.search)(**values)


def within(since: datetime, until: datetime) -> dict[str, str]:
    """Return the criterion for ``[since, until]``: *since* rounded down to the second, *until* up."""
    upper = until.replace(microsecond=0)
    if upper < until:
        upper += SECOND
    return {"operator": "within", "searchValue": codec.instant(since), "searchValue2": codec.instant(upper)}
