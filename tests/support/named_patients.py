"""A hospital with patient numbers in every place where they come from, and where they are found."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, text

from stence import cohort
from stence.angiography.indexing import index_angiograms
from stence.objects import ObjectStore
from stence.settings import Settings
from support.angiograms import run
from support.database import tampering
from support.ecgs import heartbeats, store_ecg
from support.identity import put_manifest, put_named
from support.models import ShapeScorer
from support.scoring import ScoreAll

PLANTED = "PLANTED"
"""Part of every patient number of these tests, and of nothing else."""
TABLES = """
SELECT CAST(c.oid::regclass AS text) FROM pg_class AS c
WHERE c.relkind = 'r' AND c.relnamespace::regnamespace::text NOT LIKE 'pg\\_%'
  AND c.relnamespace <> 'information_schema'::regnamespace
"""


def name_patients(engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll) -> None:
    """Make a hospital whose ECGs, manifests, reports, angiograms and merges name patients, in every way."""
    put_named(store, "1", f"{PLANTED}-1", 1)
    put_named(store, "2", f"{PLANTED}-2", 2)
    put_named(store, "3", f"{PLANTED}-3", 3)
    put_named(store, "wrong", f"{PLANTED}-4", 4)
    put_named(store, "twin", f"{PLANTED}-5", 1)
    store_ecg(store, "ecg/by-manifest.hea", heartbeats(6))
    put_manifest(store, (f"{PLANTED}-6", "by-manifest"), (f"{PLANTED}-7", "wrong"))
    rows = ("study_id,patient_id,performed_at,segment,degree", f"S1,{PLANTED}-2,2026-03-10T12:00:00,6,90", "")
    store.put("reports/r.csv", "\n".join(rows).encode())
    store.put("angio/a.dcm", run(f"{PLANTED}-2", 1, accession="S1"))
    store.put("patients/merges.csv", f"former_id,present_id\n{PLANTED}-3,{PLANTED}-2\n".encode())
    score_all(ShapeScorer(threshold=0))
    cohort.index_reports(engine, store, settings)
    index_angiograms(engine, store, settings)


def places_of(engine: Engine, planted: str) -> dict[str, int]:
    """Tables of every schema with rows that hold a text, in a column of any type, and the number of rows."""
    found = {}
    with tampering(engine) as connection:
        for table in connection.scalars(text(TABLES)).all():
            count = text(f"SELECT count(*) FROM {table} AS t WHERE CAST(to_jsonb(t) AS text) LIKE :planted")  # noqa: S608
            if rows := connection.scalar(count, {"planted": f"%{planted}%"}):
                found[table] = rows
    return found


def reads(engine: Engine) -> list[tuple[Any, ...]]:
    """Reason and patients of every recorded read of the map."""
    read = "FROM audit.entries WHERE action = 'patients.identified' ORDER BY id"
    return answers(engine, f"SELECT reason, detail -> 'patients' {read}")


def answers(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with tampering(engine) as connection:
        return [tuple(row) for row in connection.execute(text(query))]
