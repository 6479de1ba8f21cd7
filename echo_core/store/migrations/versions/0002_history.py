"""What the history page sorts and filters by, names and hiding, deletion with undo, and moments kept for extending."""

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: As `config.FIELDS_ADDED_LATER` was at this revision.
LATER = {"task": "echo", "text": "", "cell": "lstm", "representation": "one_hot", "missing": "drop", "echo_start": 0,
         "schedule": "constant", "clip_norm": 0.0}


def upgrade() -> None:
    for column in (
        sa.Column("family", sa.String(16)),
        sa.Column("variant", sa.String(32)),
        sa.Column("task", sa.String(16)),
        sa.Column("loss", sa.Double),
        sa.Column("token_accuracy", sa.Double),
        sa.Column("window_accuracy", sa.Double),
        sa.Column("size", sa.Integer, nullable=False, server_default="0"),
        sa.Column("deleted_at", sa.Double),
    ):
        op.add_column("runs", column)
    op.create_index("runs_by_family", "runs", ["family"])
    op.create_table(
        "moments", _run_id(),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "marks", _run_id(),
        sa.Column("visitor", sa.Text, primary_key=True),
        sa.Column("name", sa.Text),
        sa.Column("hidden", sa.Boolean, nullable=False),
    )
    op.create_index("marks_by_visitor", "marks", ["visitor"])
    _fill(op.get_bind())


def downgrade() -> None:
    op.drop_table("marks")
    op.drop_table("moments")
    op.drop_index("runs_by_family", "runs")
    for column in ("family", "variant", "task", "loss", "token_accuracy", "window_accuracy", "size", "deleted_at"):
        op.drop_column("runs", column)


def _fill(connection: Any) -> None:
    """Read off what earlier runs have in their JSON, and give each who held it as its visitor."""
    runs = sa.table("runs", *map(sa.column, ("run_id", "config", "training_version", "evaluation", "family", "variant",
                                             "task", "token_accuracy", "window_accuracy", "loss", "size")))
    progress = sa.table("progress", *map(sa.column, ("run_id", "epoch", "loss", "points")))
    last = sa.select(progress.c.loss).where(progress.c.run_id == runs.c.run_id).order_by(
        progress.c.epoch.desc()).limit(1).scalar_subquery()
    size = sa.select(sa.func.sum(sa.func.length(progress.c.points))).where(
        progress.c.run_id == runs.c.run_id).scalar_subquery()
    connection.execute(sa.update(runs).values(loss=last, size=sa.func.coalesce(size, 0)))
    wanted = sa.select(runs.c.run_id, runs.c.config, runs.c.training_version, runs.c.evaluation)
    for row in connection.execute(wanted).all():
        config, judged = json.loads(row.config), json.loads(row.evaluation or "{}")
        connection.execute(sa.update(runs).where(runs.c.run_id == row.run_id).values(
            family=_family(config, row.training_version), variant=config.get("variant", "whole"),
            task=config.get("task", "echo"), token_accuracy=judged.get("token_accuracy"),
            window_accuracy=judged.get("window_accuracy")))
    connection.execute(sa.text("INSERT INTO marks (run_id, visitor, hidden) "
                               "SELECT run_id, holder, false FROM watchers"))


def _family(config: dict[str, Any], training_version: int) -> str:
    """As `RunConfig.family` was at this revision."""
    canonical = {name: value for name, value in config.items()
                 if name != "epochs" and (name not in LATER or value != LATER[name])}
    text = json.dumps([training_version, canonical], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _run_id() -> sa.Column[str]:
    return sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True)
