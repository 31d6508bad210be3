"""Run by Alembic: apply the migrations on the connection that ``stence.database.migrate`` passes in."""

from __future__ import annotations

from alembic import context

from stence.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
