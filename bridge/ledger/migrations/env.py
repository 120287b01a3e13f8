"""Alembic's entry: runs on the connection it is given."""

from alembic import context

from bridge.failpoints import reached
from bridge.ledger.models import metadata

connection = context.config.attributes["connection"]
# Alembic believes that SQLite cannot roll a table back; it can, for we begin every transaction ourselves.
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
    reached("in_migration")
