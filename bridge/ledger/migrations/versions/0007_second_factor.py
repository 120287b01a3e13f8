"""Second factors, when a password was asked for, and who people are: their names, and by which way they came in."""

import sqlalchemy as sa
from alembic import op

from bridge.ledger.models import Instant

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("console_account", sa.Column("factor", sa.String(length=200), nullable=True))
    op.add_column("console_account", sa.Column("factor_step", sa.BigInteger(), nullable=True))
    op.add_column("console_session", sa.Column("asked_at", Instant(), nullable=True))
    op.add_column("plan", sa.Column("asked_way", sa.String(length=10), nullable=True))
    op.create_table(
        "console_person",
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
        sa.UniqueConstraint("name"),
    )


def downgrade() -> None:
    op.drop_table("console_person")
    op.drop_column("plan", "asked_way")
    op.drop_column("console_session", "asked_at")
    op.drop_column("console_account", "factor_step")
    op.drop_column("console_account", "factor")
