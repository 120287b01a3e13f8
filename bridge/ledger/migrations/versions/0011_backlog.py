"""What waits, sync by sync, and how quickly it is done: reckoned ahead for pages and metrics."""

import sqlalchemy as sa
from alembic import op

from bridge.ledger.models import Instant

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backlog",
        sa.Column("sync", sa.String(length=60), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("within_s", sa.Integer(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("sync"),
    )


def downgrade() -> None:
    op.drop_table("backlog")
