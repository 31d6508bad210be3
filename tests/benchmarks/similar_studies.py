"""Nearest of 100,000 studies by pgvector: time of a query, and recall of HNSW against the exact search.

The places are unit vectors of 256 values: drawn around clusters in few dimensions, as learnt embeddings lie,
or independent of each other, which is the hardest case.

    python tests/benchmarks/similar_studies.py [--studies 100000] [--queries 200]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text

sys.path.insert(0, str(Path(__file__).parents[1]))

from stence import database, registry
from stence.database import queries
from stence.settings import Settings
from stence.similar import enable
from support.artefacts import make_artefact
from support.database import server_folder

DIMENSIONS, INNER, CLUSTERS, COUNT = 256, 16, 50, 5
STUDIES = """
INSERT INTO cath_studies (study_id, patient_id, performed_at, split, max_degree, report_key, fingerprint)
SELECT 'S' || n, 'P' || n, '2026-03-01', 'train', n % 100, 'r.csv', '' FROM generate_series(1, :studies) AS n
"""


def clustered(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Clusters in 16 dimensions, embedded in 256 with a little noise."""
    plan = np.random.default_rng(7)
    centres, map_ = plan.normal(size=(CLUSTERS, INNER)), plan.normal(size=(INNER, DIMENSIONS))
    inner = centres[rng.integers(CLUSTERS, size=count)] + 0.5 * rng.normal(size=(count, INNER))
    return unit(inner @ map_ + 0.3 * rng.normal(size=(count, DIMENSIONS)))


def independent(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Nothing is near anything."""
    return unit(rng.normal(size=(count, DIMENSIONS)))


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


WORLDS = {"clustered": clustered, "independent": independent}


@contextmanager
def filled(world: str, studies: int) -> Iterator[tuple[Engine, float]]:
    """A database with embeddings of this many studies, and the seconds that their index took."""
    with server_folder() as folder, database.connect(Settings(data_dir=folder)) as engine:
        places = WORLDS[world](np.random.default_rng(1), studies)
        rows = (
            {"model_version": "tiny-1", "study_id": f"S{number}", "embedding": place.tolist()}
            for number, place in enumerate(places, start=1)
        )
        with engine.begin() as connection:
            connection.execute(text(STUDIES), {"studies": studies})
            registry.register(connection, "models/tiny-1/", make_artefact(), by="benchmark", why="benchmark")
            connection.execute(queries.statement("similar_store"), list(rows))
        started = time.perf_counter()
        with engine.begin() as connection:
            enable(connection)
        seconds = time.perf_counter() - started
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
        yield engine, seconds


def ask(connection: Connection, places: NDArray[np.float32]) -> tuple[list[set[int]], NDArray[np.float64]]:
    """The studies nearest to each place, and the milliseconds of each query."""
    statement, found, took = queries.statement("similar_studies"), [], []
    for number, place in enumerate(places, start=1):
        about = {
            "place": place.tolist(),
            "model_version": "tiny-1",
            "patient_id": f"P{number}",
            "count": COUNT,
        }
        started = time.perf_counter()
        rows = connection.execute(statement, about).all()
        took.append(1000 * (time.perf_counter() - started))
        found.append({row.number for row in rows})
    return found, np.array(took)


def measure(world: str, studies: int, asked: int) -> str:
    """A row of the table."""
    places = WORLDS[world](np.random.default_rng(2), asked)
    with filled(world, studies) as (engine, seconds), engine.begin() as connection:
        connection.execute(queries.statement("similar_session"))
        ask(connection, places[:5])
        found, took = ask(connection, places)
        connection.execute(text("SET LOCAL enable_indexscan = off"))
        exact, exactly = ask(connection, places[: asked // 4])
    recall = np.mean([len(one & other) / COUNT for one, other in zip(found, exact, strict=False)])
    low, high = np.percentile(took, [50, 95])
    return (
        f"| {world} | {studies:,} | {seconds:.0f} s | {low:.1f} ms | {high:.1f} ms | "
        f"{np.median(exactly):.0f} ms | {recall:.3f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args()
    print("| places | studies | index built | query, median | 95 % | exact, median | recall@5 |")
    print("|---|---|---|---|---|---|---|")
    for world in WORLDS:
        print(measure(world, options.studies, options.queries), flush=True)


if __name__ == "__main__":
    main()
