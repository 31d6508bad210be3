"""Seconds to give all patients other pseudonyms, by another key.

python tests/benchmarks/pseudonyms.py [--ecgs 1000000]

Patients have five ECGs each.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).parents[1]))  # for support

from stence import database
from stence.database.rekey import rekey
from stence.domain.pseudonyms import Pseudonyms
from stence.settings import Settings
from support import synthetic
from support.database import server_folder

NUMBERS = """
INSERT INTO identity.patients (patient_id, number) SELECT DISTINCT patient_id, patient_id FROM ecgs
"""
SAME_LIST = "SELECT count(*), round(CAST(sum(probability) AS numeric), 6) FROM flagged_patients"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ecgs", type=int, default=1_000_000)
    ecgs = parser.parse_args().ecgs
    with server_folder() as folder:
        settings = Settings(data_dir=folder)
        with database.connect_as_owner(settings) as engine:
            synthetic.load(engine, ecgs=ecgs, patients=ecgs // 5)
            with engine.begin() as connection:
                connection.execute(text(NUMBERS))
                connection.execute(text("ANALYZE"))
                before = connection.execute(text(SAME_LIST)).one()
                start = time.monotonic()
                rekey(connection, settings, Pseudonyms(b"new"), by="benchmark", why="benchmark")
                rekeyed = time.monotonic() - start
            with engine.connect() as connection:
                same = connection.execute(text(SAME_LIST)).one() == before
    print(f"{ecgs:,} ECGs of {ecgs // 5:,} patients; the list is {'the same' if same else 'ANOTHER ONE'}")
    print(f"rekey {rekeyed:8.1f} s")


if __name__ == "__main__":
    main()
