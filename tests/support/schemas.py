"""Dumps of databases as each revision of the schema left them, in ``tests/data/schemas.tar.xz``.

``python -m support.schemas`` (in ``tests``) adds that of the newest revision, filled by ``synthetic.sql``: do
so before a release. The dumps of earlier revisions were made in the same way by the code of their time.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from sqlalchemy import Engine

from stence import database
from stence.database import migrate
from stence.database.embedded import programs
from stence.settings import Settings
from support.database import server_folder
from support.synthetic import load

FILE = Path(__file__).parents[1] / "data" / "schemas.tar.xz"
"""One archive, since the dumps are much alike: each adds 3 kB to it."""
ECGS, PATIENTS = 60, 40
LAST_RELEASED = "0021"
"""Revision of the last released schema. A release raises it, and adds the dump."""


@cache
def dumps() -> dict[str, bytes]:
    """Dumps as SQL, by revision."""
    with tarfile.open(FILE) as members:
        return {name.removesuffix(".sql"): members.extractfile(name).read() for name in members.getnames()}


def write(found: Mapping[str, bytes]) -> None:
    """Write the archive; the same dumps make the same file."""
    with tarfile.open(FILE, "w:xz", preset=9) as members:
        for revision, script in sorted(found.items()):
            about = tarfile.TarInfo(f"{revision}.sql")
            about.size = len(script)
            members.addfile(about, io.BytesIO(script))


def dump(engine: Engine) -> bytes:
    """A database as SQL."""
    command = [programs() / "pg_dump", "--no-owner", *_connection(engine)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def restore(engine: Engine, script: bytes) -> None:
    """Restore a dump into an empty database."""
    command = [programs() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *_connection(engine)]
    done = subprocess.run(command, input=script, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def _connection(engine: Engine) -> list[str]:
    url = engine.url
    return ["-h", str(url.query["host"]), "-U", str(url.username), "-d", str(url.database)]


def main() -> None:
    """Add the dump of the newest revision."""
    with server_folder() as folder, database.connect(Settings(data_dir=folder)) as engine:
        load(engine, ecgs=ECGS, patients=PATIENTS)
        write(dumps() | {str(migrate.current_revision(engine)): dump(engine)})


if __name__ == "__main__":
    main()
