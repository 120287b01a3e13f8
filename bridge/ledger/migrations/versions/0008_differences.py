"""What a reconciliation found to differ between Salesforce, the ledger and NetSuite."""

import sqlalchemy as sa
from alembic import op

from bridge.ledger.models import Instant

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "difference",
        sa.Column("sync", sa.String(length=60), nullable=False),
        sa.Column("external_id", sa.String(length=80), nullable=False),
        sa.Column("source_id", sa.String(length=80), nullable=False),
        sa.Column("what", sa.String(length=10), nullable=False),
        sa.Column("target_id", sa.String(length=40), nullable=True),
        sa.Column("currency", sa.String(length=10), nullable=True),
        sa.Column("ours", sa.String(length=40), nullable=True),
        sa.Column("theirs", sa.String(length=40), nullable=True),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("who", sa.String(length=20), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("sync", "external_id"),
    )


def downgrade() -> None:
    op.drop_table("difference")
