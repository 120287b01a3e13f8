"""The ledger's first tables."""

import sqlalchemy as sa
from alembic import op

from bridge.ledger.models import Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("code", sa.String(length=80), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("attempt_message", "attempt", ["message_id"], unique=False)
    op.create_table(
        "audit",
        sa.Column("chain", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("sync", sa.String(length=60), nullable=True),
        sa.Column("source_id", sa.String(length=40), nullable=True),
        sa.Column("target", sa.String(length=140), nullable=True),
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("correlation", sa.String(length=40), nullable=True),
        sa.Column("code", sa.String(length=80), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("chain", "seq"),
    )
    op.create_index("audit_message", "audit", ["message_id"], unique=False)
    op.create_index("audit_source", "audit", ["source_id"], unique=False)
    op.create_table(
        "audit_head",
        sa.Column("chain", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("chain"),
    )
    op.create_table(
        "call",
        sa.Column("org", sa.String(length=18), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("correlation", sa.String(length=40), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("org", "id"),
    )
    op.create_table(
        "lane",
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("owner", sa.String(length=60), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("lane_due", "lane", ["priority", "due_at"], unique=False)
    op.create_table(
        "link",
        sa.Column("sync", sa.String(length=60), nullable=False),
        sa.Column("source_id", sa.String(length=40), nullable=False),
        sa.Column("target_kind", sa.String(length=60), nullable=False),
        sa.Column("target_id", sa.String(length=80), nullable=False),
        sa.Column("external_id", sa.String(length=80), nullable=True),
        sa.Column("number", sa.String(length=80), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", Instant(), nullable=False),
        sa.Column("fingerprint", sa.String(length=40), nullable=False),
        sa.Column("parts", sa.Text(), nullable=True),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("sync", "source_id"),
    )
    op.create_index("link_target", "link", ["target_id", "sync"], unique=False)
    op.create_table(
        "message",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("sync", sa.String(length=60), nullable=False),
        sa.Column("source_kind", sa.String(length=60), nullable=False),
        sa.Column("source_id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", Instant(), nullable=False),
        sa.Column("lane", sa.String(length=60), nullable=False),
        sa.Column("queue", sa.String(length=60), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("source_hash", sa.String(length=40), nullable=False),
        sa.Column("origin", sa.String(length=12), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=True),
        sa.Column("correlation", sa.String(length=40), nullable=False),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.Column("write_back", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("waits_for", sa.String(length=120), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("settled_at", Instant(), nullable=True),
        sa.Column("code", sa.String(length=80), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("who", sa.String(length=20), nullable=True),
        sa.Column("field", sa.String(length=80), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("target_kind", sa.String(length=60), nullable=True),
        sa.Column("target_id", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sync", "source_id", "version", "modified_at", name="message_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("message_correlation", "message", ["correlation"], unique=False)
    op.create_index("message_queue", "message", ["queue", "id"], unique=False)
    op.create_index("message_source", "message", ["source_id"], unique=False)
    op.create_index("message_state", "message", ["state", "id"], unique=False)
    op.create_index("message_waits", "message", ["waits_for"], unique=False)
    op.create_table(
        "occurrence",
        sa.Column("job", sa.String(length=60), nullable=False),
        sa.Column("scheduled_at", Instant(), nullable=False),
        sa.Column("instance", sa.String(length=60), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("report", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("job", "scheduled_at"),
    )
    op.create_table(
        "pause",
        sa.Column("scope", sa.String(length=60), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("probe_at", Instant(), nullable=True),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("scope"),
    )
    op.create_table(
        "slot",
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=60), nullable=True),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("wanted_until", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("n"),
    )
    op.create_table(
        "watermark",
        sa.Column("job", sa.String(length=60), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("job"),
    )


def downgrade() -> None:
    op.drop_table("watermark")
    op.drop_table("slot")
    op.drop_table("pause")
    op.drop_table("occurrence")
    op.drop_index("message_waits", table_name="message")
    op.drop_index("message_state", table_name="message")
    op.drop_index("message_source", table_name="message")
    op.drop_index("message_queue", table_name="message")
    op.drop_index("message_correlation", table_name="message")
    op.drop_table("message")
    op.drop_index("link_target", table_name="link")
    op.drop_table("link")
    op.drop_index("lane_due", table_name="lane")
    op.drop_table("lane")
    op.drop_table("call")
    op.drop_table("audit_head")
    op.drop_index("audit_source", table_name="audit")
    op.drop_index("audit_message", table_name="audit")
    op.drop_table("audit")
    op.drop_index("attempt_message", table_name="attempt")
    op.drop_table("attempt")
