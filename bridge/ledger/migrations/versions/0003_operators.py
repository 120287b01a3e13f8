"""The operators' tables, and indexes for what they look at."""

import sqlalchemy as sa
from alembic import op

from bridge.ledger.models import Instant

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NEEDS = "state IN ('rejected', 'dead')"
WAITS = "state IN ('pending', 'sending', 'deferred', 'uncertain', 'rejected', 'dead')"
IS_DONE = "settled_at IS NOT NULL"


def upgrade() -> None:
    for name, columns, condition in (
        ("message_cause", ["code", "who", "id"], NEEDS),
        ("message_waiting", ["sync", "id"], WAITS),
        ("message_done", ["sync", "state", "id"], IS_DONE),
    ):
        where = sa.text(condition)
        op.create_index(name, "message", columns, unique=False, sqlite_where=where, postgresql_where=where)
    op.create_index("link_number", "link", ["number"], unique=False)
    op.create_table(
        "console_account",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("password", sa.String(length=200), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", Instant(), nullable=True),
        sa.Column("used_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "console_session",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("way", sa.String(length=10), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("data", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("console_session_until", "console_session", ["until"], unique=False)
    op.create_table(
        "triage",
        sa.Column(
            "message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("assignee", sa.String(length=40), nullable=True),
        sa.Column("tags", sa.String(length=200), nullable=True),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_table(
        "edit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.Column("field", sa.String(length=140), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("edit_message", "edit", ["message_id"], unique=False)
    op.create_table(
        "plan",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("messages", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("sums", sa.Text(), nullable=False),
        sa.Column("is_guarded", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("asked_by", sa.String(length=40), nullable=False),
        sa.Column("asked_at", Instant(), nullable=False),
        sa.Column("decided_by", sa.String(length=40), nullable=True),
        sa.Column("decided_at", Instant(), nullable=True),
        sa.Column("done", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("plan_state", "plan", ["state", "id"], unique=False)
    op.create_table(
        "exchange",
        sa.Column(
            "message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_index("exchange_at", "exchange", ["at"], unique=False)
    op.create_table(
        "cadence",
        sa.Column("job", sa.String(length=60), nullable=False),
        sa.Column("chosen", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("job"),
    )
    op.create_table(
        "named",
        sa.Column("source_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("folded", sa.String(length=80), nullable=False),
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("source_id"),
    )
    op.create_index("named_folded", "named", ["folded"], unique=False)
    op.create_index("named_kind", "named", ["kind", "message_id"], unique=False)
    op.create_table(
        "remitted",
        sa.Column("row_key", sa.String(length=120), nullable=False),
        sa.Column("application_id", sa.String(length=18), nullable=True),
        sa.Column("payment_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=80), nullable=True),
        sa.Column("day", sa.String(length=10), nullable=True),
        sa.Column("amount", sa.String(length=30), nullable=False),
        sa.Column("hundredths", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("row_key"),
    )
    op.create_index("remitted_application", "remitted", ["application_id"], unique=False)
    op.create_index("remitted_day", "remitted", ["day"], unique=False)
    op.create_table(
        "tally",
        sa.Column("hour", sa.String(length=13), nullable=False),
        sa.Column("sync", sa.String(length=60), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "sync", "outcome", "bucket"),
    )
    op.create_table(
        "sample",
        sa.Column("at", sa.String(length=16), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("person", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("at"),
    )


def downgrade() -> None:
    op.drop_table("sample")
    op.drop_table("tally")
    op.drop_index("remitted_application", table_name="remitted")
    op.drop_index("remitted_day", table_name="remitted")
    op.drop_table("remitted")
    op.drop_index("named_folded", table_name="named")
    op.drop_index("named_kind", table_name="named")
    op.drop_table("named")
    op.drop_table("cadence")
    op.drop_index("exchange_at", table_name="exchange")
    op.drop_table("exchange")
    op.drop_index("plan_state", table_name="plan")
    op.drop_table("plan")
    op.drop_index("edit_message", table_name="edit")
    op.drop_table("edit")
    op.drop_table("triage")
    op.drop_index("console_session_until", table_name="console_session")
    op.drop_table("console_session")
    op.drop_table("console_account")
    op.drop_index("link_number", table_name="link")
    for name in ("message_done", "message_waiting", "message_cause"):
        op.drop_index(name, table_name="message")
