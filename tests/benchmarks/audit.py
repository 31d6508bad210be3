"""What the audit costs a batch of scores, and how long verifying takes.

python tests/benchmarks/audit.py [ENTRIES]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import Connection, Engine, text

sys.path.insert(0, str(Path(__file__).parents[1]))  # for support

from stence import database
from stence.database import audit
from stence.settings import Settings
from support import synthetic

BATCH, FLAGS, ROUNDS = 512, 26, 60
RUN = """
INSERT INTO runs (id, model_version, preprocessing_version, state, code_version, device, host)
SELECT gen_random_uuid(), model_version, preprocessing_version, 'running', '', '', '' FROM runs LIMIT 1
RETURNING id
"""
SCORES = """
INSERT INTO scores (content_hash, model_version, preprocessing_version, stenosis_50, stenosis_70, stenosis_90,
                    stenosis_100, rca_70, lca_70, run_id)
SELECT content_hash, (SELECT max(version) FROM models), :batch, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, :run
FROM ecgs LIMIT :size
"""
RAISED = """
INSERT INTO flags (content_hash, model_version, target, patient_id, probability, threshold, rule, state)
SELECT content_hash, (SELECT max(version) FROM models), :batch, patient_id, 0.9, 0.5, '', 'open'
FROM ecgs LIMIT :size
"""


def main() -> None:
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with (
        tempfile.TemporaryDirectory() as folder,
        database.connect_as_owner(Settings(data_dir=Path(folder))) as engine,
    ):
        synthetic.load(engine, ecgs=2000, patients=500)
        seconds: dict[str, list[float]] = {"DISABLE": [], "ENABLE": []}
        for number in range(ROUNDS):
            for audited, times in seconds.items():
                times.append(batch(engine, f"{audited} {number}", audited))
        without, with_it = (1000 * statistics.median(times) for times in seconds.values())
        print(
            f"{BATCH} scores and {FLAGS} flags: {without:.1f} ms without the audit, {with_it:.1f} ms with it"
        )
        print(f"  {1000 * (with_it - without) / BATCH:.1f} µs an ECG")
        with engine.begin() as connection:
            fill(connection, entries)
        began = time.perf_counter()
        found = audit.verify(engine)
        print(f"{found.head.position} links verified in {time.perf_counter() - began:.1f} s")
        print(f"  found of the batches without it: {'; '.join(found.faults)}")


def batch(engine: Engine, name: str, audited: str) -> float:
    """Write a batch, with its commit; return the seconds."""
    with engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE scores {audited} TRIGGER scores_log_late")
        connection.exec_driver_sql(f"ALTER TABLE flags {audited} TRIGGER flags_log_raised")
        run = connection.scalar(text(RUN))
    began = time.perf_counter()
    with engine.begin() as connection:
        connection.execute(text(SCORES), {"batch": name, "run": run, "size": BATCH})
        connection.execute(text(RAISED), {"batch": name, "size": FLAGS})
    return time.perf_counter() - began


def fill(connection: Connection, entries: int) -> None:
    connection.execute(
        text(
            "SELECT audit.record('test', 'test', 'test', 'a benchmark', jsonb_build_object('number', i))"
            " FROM generate_series(1, :entries) AS i"
        ),
        {"entries": entries},
    )


if __name__ == "__main__":
    main()
