"""The index of due lanes holds only those that have work: a look for work costs nothing for those that rest."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    has_work = sa.text("due_at IS NOT NULL")
    op.drop_index("lane_due", table_name="lane")
    columns = ["priority", "due_at"]
    op.create_index("lane_due", "lane", columns, unique=False, sqlite_where=has_work, postgresql_where=has_work)


def downgrade() -> None:
    op.drop_index("lane_due", table_name="lane")
    op.create_index("lane_due", "lane", ["priority", "due_at"], unique=False)
