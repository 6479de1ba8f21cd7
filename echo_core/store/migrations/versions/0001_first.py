"""Runs, their progress, snapshots and checkpoints, who watches them, and the queue."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("training_version", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("session", sa.Text, nullable=False),
        sa.Column("urgent", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("queued_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("heartbeat_at", sa.Double),
        sa.Column("stop_requested", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("threads", sa.Integer),
        sa.Column("worker", sa.Text),
        sa.Column("restarts", sa.Integer, nullable=False),
        sa.Column("fruitless", sa.Integer, nullable=False),
        sa.Column("furthest", sa.Integer, nullable=False),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("evaluation", sa.Text),
    )
    op.create_index("runs_by_state", "runs", ["state"])
    op.create_index("runs_by_age", "runs", ["created_at"])
    op.create_table(
        "progress", _run_id(),
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("loss", sa.Double),
        sa.Column("accuracy", sa.Double),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("points", sa.Text, nullable=False),
    )
    op.create_table(
        "snapshots", _run_id(),
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("predicted", sa.LargeBinary, nullable=False),
        sa.Column("confidence", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "checkpoints", _run_id(),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "watchers", _run_id(),
        sa.Column("holder", sa.Text, primary_key=True),
        sa.Column("seen_at", sa.Double, nullable=False),
    )
    op.create_index("watchers_by_holder", "watchers", ["holder"])
    op.create_table(
        "sessions",
        sa.Column("session", sa.Text, primary_key=True),
        sa.Column("served", sa.Integer, nullable=False),
    )
    op.create_table(
        "handshakes",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("made_at", sa.Double, nullable=False),
    )


def downgrade() -> None:
    for table in ("handshakes", "sessions", "watchers", "checkpoints", "snapshots", "progress", "runs"):
        op.drop_table(table)


def _run_id() -> sa.Column[str]:
    return sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True)
