"""What a record refers to, said by NetSuite's own ids.

Must not know: any system, HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bridge.ledger.links import Link
from bridge.mapping import Syncs, external_id
from bridge.ports import Record, Ref


def by_own_ids(record: Record, linked: Mapping[tuple[str, str], Link], syncs: Syncs) -> Record:
    """Return *record* with the records it refers to, (sync, Salesforce id), by the ids that survive any external id."""
    ids = {
        external_id(syncs.pushes[to].external_id, salesforce_id): found.target_id
        for (to, salesforce_id), found in linked.items()
        if found.external_id
    }

    def own(value: Any) -> Any:
        if isinstance(value, Ref) and value.external_id in ids:
            return Ref(value.kind, id=ids[value.external_id])
        if isinstance(value, list):
            return [{name: own(part) for name, part in row.items()} for row in value]
        return value

    return replace(record, fields={name: own(value) for name, value in record.fields.items()})
