"""``pg_dump`` and ``pg_restore`` of the embedded Postgres, on any server that is not newer than they are.

Connection and password are passed in the environment: other accounts see the arguments of a process.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO

from psycopg.pq import Conninfo
from sqlalchemy import URL

from stence.archive import CHUNK_BYTES
from stence.database.embedded import programs
from stence.errors import ArchiveError

DUMP = ("pg_dump", "--format=custom", "--no-password")
RESTORE = ("pg_restore", "--single-transaction", "--exit-on-error", "--no-password", "--dbname=")
"""An empty ``--dbname``: that of the environment."""
MAX_LINE = 500


def dump(url: URL) -> Iterator[bytes]:
    """Yield the dump of a database in Postgres' custom format: one moment of it, while others write.

    Raises ArchiveError if ``pg_dump`` fails.
    """
    with _running(DUMP, url) as process:
        while piece := _pipe(process.stdout).read(CHUNK_BYTES):
            yield piece


def restore(url: URL, pieces: Iterable[bytes]) -> None:
    """Restore a dump into an empty database: all of it, or nothing. Raises ArchiveError if that fails."""
    with _running(RESTORE, url) as process:
        try:
            for piece in pieces:
                _pipe(process.stdin).write(piece)
            _pipe(process.stdin).close()
        except BrokenPipeError:
            return  # it has ended, and says why


@contextmanager
def _running(command: tuple[str, ...], url: URL) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until it ends; kill it if the context ends by an error."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - the wheel's own programs, no shell
            [programs() / command[0], *command[1:]],
            env=_environment(url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if command is DUMP else subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            yield process
            process.communicate()
        finally:
            process.kill()
            process.wait()
        _check(command[0], process.returncode, errors)


def _check(program: str, status: int, errors: IO[bytes]) -> None:
    """Raise ArchiveError with the program's first error; what follows it can quote rows."""
    if not status:
        return
    errors.seek(0)
    lines = errors.read(2**16).decode(errors="replace").splitlines()
    found = next((line for line in lines if "error:" in line), f"status {status}")
    raise ArchiveError(f"{program} failed: {found.partition('error:')[2].strip()[:MAX_LINE] or found}.")


def _environment(url: URL) -> dict[str, str]:
    """Return the environment of a program that connects to ``url``."""
    given = url.set(drivername="postgresql").render_as_string(hide_password=False)
    options = Conninfo.parse(given.encode())
    named = {option.envvar: option.val for option in options if option.envvar and option.val}
    return os.environ | {name.decode(): value.decode() for name, value in named.items()}


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "the process was started with it"  # noqa: S101
    return pipe
