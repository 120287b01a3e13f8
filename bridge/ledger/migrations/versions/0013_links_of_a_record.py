"""Links are found by their Salesforce record alone, whatever the sync: every save asks so."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("link_source", "link", ["source_id"], unique=False)


def downgrade() -> None:
    op.drop_index("link_source", table_name="link")
