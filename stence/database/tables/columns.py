"""What all tables have in common: their metadata, and columns and constraints of a kind."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Column, DateTime, MetaData, Text, func

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)


def is_one_of(column: str, values: tuple[str, ...]) -> str:
    """SQL that is true where ``column`` holds one of ``values``."""
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    """A constraint of ``column`` to ``values``."""
    return CheckConstraint(is_one_of(column, values), name=column)


def moment(name: str, comment: str, *, nullable: bool = True, **options: Any) -> Column[Any]:
    """A column of times, with their zone."""
    return Column(name, DateTime(timezone=True), nullable=nullable, comment=comment, **options)


def now(name: str, comment: str) -> Column[Any]:
    """A time that is the transaction's where none is given."""
    return moment(name, comment, nullable=False, server_default=func.now())


def lease() -> Column[Any]:
    """Until when a run is alive; see ``stence.database.leases``."""
    comment = "End of the lease, after which the run counts as dead; renewed during the run."
    return moment("lease_expires_at", comment)


def login() -> Column[Any]:
    """The login that did it, beside the name that a person gives."""
    return Column(
        "login", Text, comment="Login that Postgres checked; empty: an earlier version did not keep it."
    )
