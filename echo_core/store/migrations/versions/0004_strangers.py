"""What visitors asked for within the last hour, and studies that several visitors have asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OLD = ("asked_at", "holder", "visitor")


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("request", sa.Integer, primary_key=True),
        sa.Column("visitor", sa.Text, nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
    )
    op.create_index("requests_by_age", "requests", ["asked_at"])
    op.create_index("runs_by_session", "runs", ["session"])
    op.create_table(
        "study_askers",
        sa.Column("study_id", sa.String(16), sa.ForeignKey("studies.study_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("visitor", sa.Text, primary_key=True),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.Column("wants", sa.Boolean, nullable=False),
    )
    connection = op.get_bind()
    into = "INSERT INTO study_askers (study_id, visitor, asked_at, wants) SELECT study_id, "
    connection.execute(sa.text(into + "visitor, asked_at, (holder IS NOT NULL AND holder = visitor) FROM studies"))
    connection.execute(sa.text(into + "holder, asked_at, true FROM studies WHERE holder IS NOT NULL "
                               "AND holder != visitor"))
    for name in OLD:
        op.drop_column("studies", name)


def downgrade() -> None:
    for column in (sa.Column("asked_at", sa.Double, nullable=False, server_default="0"), sa.Column("holder", sa.Text),
                   sa.Column("visitor", sa.Text, nullable=False, server_default="")):
        op.add_column("studies", column)
    op.drop_table("study_askers")
    op.drop_index("runs_by_session", "runs")
    op.drop_table("requests")
