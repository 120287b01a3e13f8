"""Refuse to work between two other systems than the database was made for, or for production by mistake.

Must not know: how anything connects.
"""

from __future__ import annotations

from bridge.ledger import Ledger, pins
from bridge.settings import NotConfigured, Settings

PRODUCTION, OTHER = "production", "sandbox or test"
_WORDS = {
    "organisation": ("the Salesforce organisation {kept}", "BRIDGE_SALESFORCE_ORG_ID is {now}"),
    "account": ("the NetSuite account {kept}", "BRIDGE_NETSUITE_ACCOUNT is {now}"),
    "environment": ("{kept}", "BRIDGE_ENVIRONMENT is {now}"),
}


def hold(ledger: Ledger, settings: Settings) -> None:
    """Note at the first start what this database is for. Raises NotConfigured when it is for something else."""
    now = {
        "organisation": settings.salesforce_org_id or "",
        "account": (settings.netsuite_account or "").upper().replace("-", "_"),
        "environment": PRODUCTION if settings.environment == PRODUCTION else OTHER,
    }
    wanted = {name: value for name, value in now.items() if value}
    other = ledger.commit(lambda writing: pins.hold(writing, wanted))
    if other:
        raise NotConfigured(
            f"The database {settings.database} belongs to {_WORDS[name][0].format(kept=kept)}, but "
            f"{_WORDS[name][1].format(now=now[name])}. Use the right setting, or another database."
            for name, kept in other.items()
        )
