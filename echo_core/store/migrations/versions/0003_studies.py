"""Studies, and runs that only a study has asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("background", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "studies",
        sa.Column("study_id", sa.String(16), primary_key=True),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("visitor", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("studies")
    op.drop_column("runs", "background")
