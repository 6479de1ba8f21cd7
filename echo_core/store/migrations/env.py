"""Runs migrations on the connection that `echo_core.store.database` hands over, within its transaction.

Logging is left as the application set it.
"""

from alembic import context

from echo_core.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
