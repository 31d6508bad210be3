"""Seconds to put the patients of an earlier release under pseudonyms, and to change the key.

python tests/benchmarks/pseudonyms.py [--ecgs 1000000]

Patients have five ECGs each.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).parents[1]))  # for support

from stence import database
from stence.database import migrate
from stence.database.rekey import rekey
from stence.domain.pseudonyms import Pseudonyms
from stence.resources import sql_folder
from stence.settings import Settings
from support import synthetic
from support.database import server_folder

UNDER_PSEUDONYMS = ("versions/0024", "functions/identity_")
SAME_LIST = "SELECT count(*), round(CAST(sum(probability) AS numeric), 6) FROM flagged_patients"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ecgs", type=int, default=1_000_000)
    ecgs = parser.parse_args().ecgs
    with server_folder() as folder:
        settings = Settings(data_dir=folder)
        with earlier_release(), database.connect(settings) as engine:
            synthetic.load(engine, ecgs=ecgs, patients=ecgs // 5)
            with engine.begin() as connection:
                connection.execute(text("DELETE FROM installation"))
                before = connection.execute(text(SAME_LIST)).one()
        start = time.monotonic()
        with database.connect(settings) as engine:
            migrated = time.monotonic() - start
            with engine.begin() as connection:
                start = time.monotonic()
                rekey(connection, settings, Pseudonyms(b"new"), by="benchmark", why="benchmark")
                rekeyed = time.monotonic() - start
            with engine.connect() as connection:
                same = connection.execute(text(SAME_LIST)).one() == before
    print(f"{ecgs:,} ECGs of {ecgs // 5:,} patients; the list is {'the same' if same else 'ANOTHER ONE'}")
    print(f"migration 0024  {migrated:8.1f} s\nrekey           {rekeyed:8.1f} s")


@contextmanager
def earlier_release() -> Iterator[None]:
    """Within the context, migrations end before pseudonyms."""
    with TemporaryDirectory() as folder:
        sql = shutil.copytree(sql_folder(), Path(folder) / "sql")
        for path in sql.rglob("*.*"):
            if any(part in str(path) for part in UNDER_PSEUDONYMS):
                path.unlink()
        with mock.patch.object(migrate, "sql_folder", return_value=sql):
            yield


if __name__ == "__main__":
    main()
