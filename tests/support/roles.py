"""Logins of each role on the test's server, and what they may do by trying it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from stence.settings import Settings

ROLES = ("writer", "reader", "clinician", "approver")
RELATIONS = """
SELECT n.nspname || '.' || c.relname AS name, c.relkind IN ('r', 'p') AS is_table,
       (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum LIMIT 1) AS first_column
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1
"""
FUNCTIONS = """
SELECT n.nspname || '.' || p.proname || '()',
       ARRAY(SELECT role FROM unnest(CAST(:roles AS text[])) AS role
             WHERE has_schema_privilege('stence_' || role, n.oid, 'USAGE')
               AND has_function_privilege('stence_' || role, p.oid, 'EXECUTE'))
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND p.prorettype <> 'trigger'::regtype
  AND NOT EXISTS (SELECT FROM pg_depend
                  WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
ORDER BY 1
"""
TRIALS = {
    "s": "EXPLAIN SELECT * FROM {name}",
    "c": "EXPLAIN SELECT {column} FROM {name}",
    "i": "EXPLAIN INSERT INTO {name} DEFAULT VALUES",
    "u": "EXPLAIN UPDATE {name} SET {column} = DEFAULT",
    "d": "EXPLAIN DELETE FROM {name}",
    "t": "TRUNCATE {name} CASCADE",
}
"""What is tried on a relation. EXPLAIN checks the rights, and does nothing."""


def make_logins(connection: Connection, **roles: str) -> None:
    """Make logins, each a member of its role alone; one that is there stays."""
    for login, role in roles.items():
        if not connection.scalar(text("SELECT to_regrole(:login)"), {"login": login}):
            connection.exec_driver_sql(f"CREATE ROLE {login} LOGIN IN ROLE stence_{role}")


@contextmanager
def logged_in(settings: Settings, login: str) -> Iterator[Connection]:
    """A connection of a login, as a person would open it in psql."""
    assert settings.database_url is not None
    url = make_url(settings.database_url.get_secret_value()).set(
        username=login, drivername="postgresql+psycopg"
    )
    engine: Engine = create_engine(url)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def rights(connection: Connection, name: str, column: str, *, is_table: bool) -> str:
    """The letters of the trials that succeed: s all columns, c the first one alone, i, u, d, t."""
    trials = TRIALS if is_table else {"s": TRIALS["s"]}
    found = "".join(
        letter
        for letter, trial in trials.items()
        if allowed(connection, trial.format(name=name, column=column))
    )
    return found.replace("sc", "s") or "-"


def allowed(connection: Connection, statement: str) -> bool:
    """True if the login has the right to it; it is taken back."""
    try:
        connection.exec_driver_sql(statement)
    except ProgrammingError as error:
        if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            return False
        raise
    finally:
        connection.rollback()
    return True
