"""The guide to two roles of PostgreSQL: the bridge works as the lesser one, which cannot change what the audit says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from bridge import playground
from bridge.ledger import Ledger
from bridge.watching import verify

GUIDE = Path(__file__).parents[1] / "docs" / "postgresql.md"


@pytest.fixture
def lesser(new_postgres_database: Callable[..., URL], postgres_server: URL) -> Iterator[URL]:
    """A database with the bridge's tables, for the lesser role of the guide."""
    url = new_postgres_database()
    ledger = Ledger(url.render_as_string(hide_password=False))
    ledger.create()
    ledger.close()
    role = f"app_of_{url.database}"
    statements = re.findall(r"```sql\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)[0]
    with create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as connection:
        connection.exec_driver_sql(statements.replace("bridge_app", role))
    yield url.set(username=role, password="another one", drivername="postgresql")
    with create_engine(postgres_server, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as connection:
        connection.exec_driver_sql(f'DROP DATABASE "{url.database}" WITH (FORCE)')
        connection.exec_driver_sql(f"DROP ROLE {role}")


def test_the_bridge_works_as_a_role_that_cannot_change_the_audit(lesser: URL, tmp_path: Path) -> None:
    house = playground.start(
        tmp_path / "unused.sqlite3", settings={"database_url": lesser.render_as_string(hide_password=False)}
    )
    try:
        house.salesforce.insert("Account", Name="Harbor Lane Bakery")
        house.salesforce.drain()
        ledger = house.bridge.ledger
        assert [it.fields["companyName"] for it in house.netsuite.store.records["customer"].values()] == [
            "Harbor Lane Bakery"
        ]
        for statement in (
            "UPDATE audit SET actor = 'nobody'",
            "DELETE FROM audit",
            "TRUNCATE audit",
            "ALTER TABLE audit DISABLE TRIGGER ALL",
            "DROP TRIGGER audit_append_only ON audit",
            "DROP TABLE audit",
            "UPDATE alembic_version SET version_num = '0001'",
        ):
            with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), ledger.write() as writing:
                writing.connection.exec_driver_sql(statement)
        assert verify(ledger, None) == "the audit trail holds"
    finally:
        house.stop()
