"""What is live, changed by one person at a time: the configuration and the bindings are checked against each other.

Must not know: what either of them means.
"""

from __future__ import annotations

from sqlalchemy import func, select, text

from bridge.errors import Misconfigured
from bridge.ledger import Writing
from bridge.ledger.models import configuration as applied
from bridge.ledger.models import wsdl_live


def hold(writing: Writing, *, configuration: int | None = None, deployment: int | None = None) -> None:
    """Let nobody else change what is live until this transaction ends. What is None is not compared.

    Raises Misconfigured when another configuration or deployment is live than the one that was decided upon.
    """
    connection = writing.connection
    if connection.dialect.name == "postgresql":  # SQLite has one writer
        connection.execute(text("SELECT pg_advisory_xact_lock(7204)"))
    if configuration is not None:
        row = connection.execute(select(applied).order_by(applied.c.id.desc()).limit(1)).first()
        if (row.id if row else 0) != configuration:
            by = f"{row.author} ({row.reason})" if row else "somebody"
            raise Misconfigured(
                f"Another configuration was applied meanwhile, by {by}; look at bridge mapping diff and decide again.",
                code="APPLIED_MEANWHILE",
            )
    if deployment is not None and deployment != (connection.execute(select(func.max(wsdl_live.c.n))).scalar() or 0):
        raise Misconfigured(
            "Somebody else deployed bindings meanwhile; look at bridge wsdl status and decide again.",
            code="DEPLOYED_MEANWHILE",
        )
