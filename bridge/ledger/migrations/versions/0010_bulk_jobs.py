"""Which bulk jobs of Salesforce may still write."""

import sqlalchemy as sa
from alembic import op

from bridge.ledger.models import Instant

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bulk_job",
        sa.Column("job_id", sa.String(length=18), nullable=False),
        sa.Column("lane", sa.String(length=60), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "lane"),
    )
    op.create_index("bulk_job_lane", "bulk_job", ["lane"])


def downgrade() -> None:
    op.drop_table("bulk_job")
