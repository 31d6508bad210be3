"""Time to forget a patient, in a small and in a large archive of the same run.

    python tests/benchmarks/forgetting.py [--ecgs 1000000] [--small 100000] [--patients 7]

Each patient has five ECGs with scores, embeddings and measurements, a review and an exported flag.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Engine, text, update

sys.path.insert(0, str(Path(__file__).parents[1]))  # for support
sys.path.insert(0, str(Path(__file__).parent))

from ten_million import archive

from stence import database, forgetting, scoring
from stence.database import tables
from stence.database.identity import remember, settle_key
from stence.objects import open_store
from stence.settings import Settings
from support.database import server_folder

FLAGGED = """
SELECT patient_id, min(e.id) FROM flags AS f JOIN ecgs AS e USING (content_hash, patient_id)
WHERE f.state = 'open' GROUP BY patient_id ORDER BY patient_id LIMIT :patients
"""
SENT = """
INSERT INTO flag_exports (flag_id, format, destination, status, patient_id, sent_at, resource)
SELECT id, 'csv', :destination, 'final', patient_id, now(), 'export/csv/000000000001.csv' FROM flags
"""
COUNTS = """
SELECT indexed = scored + quarantined + pending FROM worklist_counts WHERE model_version = 'champion'
"""
BOUND_SECONDS = 5.0
NAMED = (tables.objects, tables.ecgs, tables.flags, tables.flag_exports)
"""Tables of the archive that name patients."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ecgs", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=100_000)
    parser.add_argument("--patients", type=int, default=7)
    options = parser.parse_args()
    print(f"{'ECGs':>12}{'dry run, s':>12}{'forget, s':>12}{'longest, s':>12}{'rows':>8}   counts add up")
    for ecgs in (options.small, options.ecgs):
        with server_folder() as folder, archive(ecgs, folder):
            settings = Settings(data_dir=folder)
            with database.connect_as_owner(settings) as engine:
                measure(engine, settings, ecgs, options.patients)
    print(f"bound: {BOUND_SECONDS:g} s")


def measure(engine: Engine, settings: Settings, ecgs: int, patients: int) -> None:
    store = open_store(settings.resolved_store_url, settings)
    with engine.begin() as connection:
        connection.execute(text(SENT), {"destination": f"{store.url}/export/csv/"})
        chosen = connection.execute(text(FLAGGED), {"patients": patients}).all()
        for _, ecg in chosen:
            scoring.reviews.review(connection, ecg, outcome="confirmed", by="benchmark")
        give_pseudonyms(connection, settings, [patient for patient, _ in chosen])
    dry, real, rows = [], [], []
    for patient, _ in chosen:
        seconds, _ = timed(lambda patient=patient: forgetting.try_forgetting(engine, settings, patient))
        dry.append(seconds)
        seconds, done = timed(
            lambda patient=patient: forgetting.forget(
                engine, store, settings, patient, by="benchmark", why="benchmark"
            )
        )
        real.append(seconds)
        rows.append(sum(done.rows.values()))
    with engine.connect() as connection:
        adds_up = connection.scalar(text(COUNTS))
    medians = f"{statistics.median(dry):>12.2f}{statistics.median(real):>12.2f}{max(real):>12.2f}"
    print(f"{ecgs:>12,}{medians}{statistics.median(rows):>8.0f}   {'yes' if adds_up else 'NO'}", flush=True)


def give_pseudonyms(connection: Connection, settings: Settings, patients: list[str]) -> None:
    """Patients of the archive as an index would have read them; SQL could not make their pseudonyms."""
    numbers = {settle_key(connection, settings).of(patient): patient for patient in patients}
    remember(connection, numbers)
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    for table in NAMED:
        for new, old in numbers.items():
            connection.execute(update(table).filter_by(patient_id=old).values(patient_id=new))


def timed(action: Callable[[], forgetting.Forgotten]) -> tuple[float, forgetting.Forgotten]:
    start = time.monotonic()
    done = action()
    return time.monotonic() - start, done


if __name__ == "__main__":
    main()
