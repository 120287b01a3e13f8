"""The audit says before, after and by which mapping; its rows cannot be changed; incidents are kept."""

import sqlalchemy as sa
from alembic import op

from bridge.ledger.models import Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The application's own role cannot change what was said, nor can a mistake of ours. Whoever owns the database can drop
# this; the chain and the anchors are what tells of it.
_SQLITE = """
CREATE TRIGGER audit_{what} BEFORE {what} ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
"""
_POSTGRESQL = """
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit
FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
"""


def upgrade() -> None:
    op.add_column("audit", sa.Column("before", sa.String(length=40), nullable=True))
    op.add_column("audit", sa.Column("after", sa.String(length=40), nullable=True))
    op.add_column("audit", sa.Column("mapping", sa.String(length=16), nullable=True))
    op.create_index("audit_at", "audit", ["at"], unique=False)
    op.create_index("audit_actor", "audit", ["actor", "at"], unique=False)
    op.create_index("audit_target", "audit", ["target"], unique=False)
    op.create_index("attempt_finished", "attempt", ["finished_at"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        for what in ("update", "delete"):
            op.execute(_SQLITE.format(what=what))
    else:
        op.execute(_POSTGRESQL)
    op.create_table(
        "incident",
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("who", sa.String(length=20), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("told_at", Instant(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("end_told_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("key"),
    )


def downgrade() -> None:
    op.drop_table("incident")
    if op.get_bind().dialect.name == "sqlite":
        for what in ("update", "delete"):
            op.execute(f"DROP TRIGGER audit_{what}")
    else:
        op.execute("DROP TRIGGER audit_append_only ON audit; DROP FUNCTION audit_is_append_only()")
    op.drop_index("attempt_finished", table_name="attempt")
    for name in ("audit_target", "audit_actor", "audit_at"):
        op.drop_index(name, table_name="audit")
    for name in ("mapping", "after", "before"):
        op.drop_column("audit", name)
