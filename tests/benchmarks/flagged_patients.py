"""How long psql takes for sql/queries/flagged_patients.sql with a million scores in the embedded Postgres.

python tests/benchmarks/flagged_patients.py [ECGS]
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import Engine, text

sys.path.insert(0, str(Path(__file__).parents[1]))  # for support

from stence import database
from stence.database.embedded import programs
from stence.resources import sql_folder
from stence.settings import Settings
from support.database import server_folder
from support.synthetic import load

ROUNDS = 7
QUERY = sql_folder() / "queries" / "flagged_patients.sql"
CALLS = ([], ["-v", "limit=1000"], ["-v", "include_known=yes"], ["-v", "since=2025-01-01"])


def main() -> None:
    ecgs = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with server_folder() as folder, database.connect(Settings(data_dir=folder)) as engine:
        start = time.monotonic()
        load(engine, ecgs=ecgs, patients=ecgs // 5)
        print(f"loaded in {time.monotonic() - start:.0f} s: {describe(engine)}")
        socket_folder = engine.url.query["host"]
        psql = [programs() / "psql", "-X", "-q", "-h", socket_folder, "-U", "postgres"]
        print(f"\n{'psql -f flagged_patients.sql':<34} median ms   slowest ms   (of {ROUNDS} psql runs)")
        for options in CALLS:
            times = [milliseconds(psql, options) for _ in range(ROUNDS)]
            print(
                f"{' '.join(options) or '(defaults)':<34} {statistics.median(times):9.1f} {max(times):12.1f}"
            )
        print(f"\n{plan(psql)}")


def describe(engine: Engine) -> str:
    """What was loaded."""
    with engine.connect() as connection:
        scores, flags, listed, patients = connection.execute(
            text(
                "SELECT (SELECT count(*) FROM scores), count(*), count(*) FILTER (WHERE listed), "
                "count(DISTINCT patient_id) FILTER (WHERE listed) "
                "FROM (SELECT *, state IN ('open', 'confirmed') AS listed FROM flags) AS f"
            )
        ).one()
    return f"{scores:,} scores, {flags:,} flags, {listed:,} of them listed, of {patients:,} patients"


def milliseconds(psql: list[str | Path], options: list[str]) -> float:
    r"""What psql's \timing says of a run of the file in a new connection."""
    command = [*psql, *options, "-c", r"\timing on", "-f", QUERY]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(re.findall(r"Time: ([\d.]+) ms", output)[-1])


def plan(psql: list[str | Path]) -> str:
    """How Postgres answers with the defaults."""
    explained = QUERY.read_text().replace(
        "SELECT patient_id", "EXPLAIN (ANALYZE, BUFFERS OFF) SELECT patient_id", 1
    )
    return subprocess.run(
        [*psql, "-A", "-t"], input=explained, capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    main()
