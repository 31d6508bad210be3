"""Writing scores: a scorer's whole transaction (COPY, fence, ECGs, scores, flags) beside plain upserts.

python tests/benchmarks/upsert.py [SCORES]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from sqlalchemy import Engine, insert, text
from sqlalchemy.dialects.postgresql import insert as upsert

sys.path.insert(0, str(Path(__file__).parents[1]))

from stence import database
from stence.database.tables import runs, scores
from stence.preparation.job import Measured, array_text
from stence.preparation.reading import EcgFacts
from stence.scoring.work import Claim, Worklist
from stence.scoring.writing import Scored, Writer
from stence.settings import Settings
from support.models import ShapeScorer, register
from support.tampering import tampering

ROWS_TOGETHER = 5000
OBJECTS = text(
    "INSERT INTO objects (key, record_key, listed_etag, etag, size_bytes) "
    "SELECT 'ecg/' || n || '.dcm', 'ecg/' || n, 'v1', 'v1', 1 FROM generate_series(1, :count) AS n"
)


def begin(engine: Engine, count: int) -> tuple[Worklist, Writer, uuid.UUID]:
    """A run with ``count`` ECGs on its worklist."""
    scorer, run_id, settings = ShapeScorer(threshold=0.9), uuid.uuid4(), Settings()
    register(engine, scorer)
    run = {
        "id": run_id, "model_version": scorer.model_version, "state": "running", "code_version": "0",
        "preprocessing_version": scorer.preprocessing_version, "device": "cpu", "host": "here",
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(OBJECTS, {"count": count})
        connection.execute(insert(runs).values(run))
    worklist = Worklist(engine, settings, scorer.model_version, run_id)
    worklist.enqueue()
    return worklist, Writer(engine, settings, scorer, run_id), run_id


def results_of(worklist: Worklist, count: int) -> list[Scored]:
    """Made-up results of ``count`` claimed ECGs; one in ten of each target is flagged."""
    probabilities = np.random.default_rng(1).uniform(size=(count, 6))
    figures = np.random.default_rng(2).uniform(size=12)
    measured, sketch = Measured(72.3, *map(array_text, [figures] * 3)), np.zeros(32, np.float32)
    now, claims = datetime.now(UTC), list[Claim]()
    while more := worklist.claim(count):  # a claim gives what one statement can fence
        claims += more
    return [
        Scored(claim, _facts(f"p{claim.object_id}", now), measured, row, sketch, row / 2, (1 + row) / 2, 12.5)
        for claim, row in zip(claims, probabilities, strict=True)
    ]


def _facts(patient: str, now: datetime) -> EcgFacts:
    return EcgFacts(
        os.urandom(32), patient, None, now, None, "Cardiograph 1", "F", 61.0, 500.0, 10.0, [], None, None,
        "wfdb", None, None, "{}", [], list(range(16)),
    )  # fmt: skip


def plain_rows(results: list[Scored], run_id: uuid.UUID) -> list[dict[str, object]]:
    """The same scores, for another model, as rows for a statement."""
    targets = [column.name for column in scores.c if column.name.startswith(("stenosis", "rca", "lca"))]
    about = {"model_version": "plain", "preprocessing_version": "1", "run_id": run_id}
    return [
        {
            "content_hash": r.facts.content_hash,
            **about,
            **dict(zip(targets, r.probabilities.tolist(), strict=True)),
        }
        for r in results
    ]


def main() -> None:
    """Print rows a second of each way."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder, database.connect(Settings(data_dir=Path(folder))) as engine:
        worklist, writer, run_id = begin(engine, count)
        results = results_of(worklist, count)
        start = time.perf_counter()
        for first in range(0, count, ROWS_TOGETHER):
            writer.write(results[first : first + ROWS_TOGETHER])
        print(f"whole transactions of {ROWS_TOGETHER}   {count / (time.perf_counter() - start):9.0f} ECGs/s")

        register(engine, ShapeScorer("plain"))
        rows = plain_rows(results, run_id)
        for way in (by_copy, by_executemany):
            with tampering(engine) as connection:
                connection.execute(text("DELETE FROM scores WHERE model_version = 'plain'"))
            start = time.perf_counter()
            way(engine, rows)
            print(f"scores alone, {way.__name__[3:]:12} {count / (time.perf_counter() - start):9.0f} rows/s")


def by_copy(engine: Engine, rows: list[dict[str, object]]) -> None:
    """COPY into a staging table, then upsert."""
    names = list(rows[0])
    with engine.begin() as connection:
        connection.execute(text("CREATE TEMP TABLE staged (LIKE scores INCLUDING DEFAULTS) ON COMMIT DROP"))
        database.copy.copy_rows(connection, "staged", names, (tuple(row.values()) for row in rows))
        connection.execute(text("INSERT INTO scores SELECT * FROM staged ON CONFLICT DO NOTHING"))


def by_executemany(engine: Engine, rows: list[dict[str, object]]) -> None:
    """SQLAlchemy's bulk insert."""
    with engine.begin() as connection:
        connection.execute(upsert(scores).on_conflict_do_nothing(), rows)


if __name__ == "__main__":
    main()
