"""Two patients with all that stence makes of them, and what is left when one is forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import Engine, text

from stence import cohort, forgetting, scoring
from stence.angiography.indexing import index_angiograms
from stence.angiography.views import prepare_views
from stence.database.tables import (
    ecgs,
)
from stence.objects import ObjectStore
from stence.progress import silent
from stence.settings import Settings
from support.angiograms import NOON, Blocks, run
from support.identity import put_ecgs, put_manifest, put_named
from support.models import ShapeScorer
from support.pseudonyms import pseudonym
from support.scoring import ScoreAll, all_rows

REPORT = """study_id,patient_id,performed_at,segment,degree
S1,{0},{2},6,90
S2,{1},2026-03-10T12:00:00,6,90
"""
PATIENT, FORMER, OTHER = "PT-4711", "PT-0815", "PT-9999"
NAMES = [PATIENT, FORMER, pseudonym(PATIENT), pseudonym(FORMER)]
TABLES = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND schemaname NOT LIKE 'pg_temp%'
"""


@pytest.fixture
def two_patients(engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll) -> None:
    """Two patients with ECGs, a study and an angiogram each; one had another number before."""
    put_named(store, "1", PATIENT, 1)
    put_named(store, "2", FORMER, 2)
    put_ecgs(store, "3", "4")
    put_named(store, "5", OTHER, 5)
    put_manifest(store, (PATIENT, "3"), (OTHER, "4"))
    store.put("patients/m.csv", f"former_id,present_id\n{FORMER},{PATIENT}\n".encode())
    store.put("reports/r.csv", REPORT.format(FORMER, OTHER, NOON.isoformat()).encode())
    store.put("angio/1.dcm", run(PATIENT, 1))
    score_all(ShapeScorer(threshold=0))
    ingest(engine, store, settings)
    prepare_views(engine, store, settings, Blocks(), 1, silent)


def ingest(engine: Engine, store: ObjectStore, settings: Settings) -> None:
    scoring.index(engine, store, settings)
    cohort.index_reports(engine, store, settings)
    index_angiograms(engine, store, settings)


def forget(engine: Engine, store: ObjectStore, settings: Settings, number: str = PATIENT) -> Any:
    return forgetting.forget(engine, store, settings, number, by="Dr A", why="asked by letter")


def hashes_of(engine: Engine, patient: str) -> list[str]:
    return [
        found.hex()
        for found, who in all_rows(engine, ecgs.c.content_hash, ecgs.c.patient_id)
        if who == patient
    ]


def found_in_tables(engine: Engine, needles: Iterable[str]) -> list[tuple[str, str]]:
    """Tables that hold one of the texts in any column."""
    with engine.connect() as connection:
        tables = list(connection.scalars(text(TABLES)))
        return [
            (table, needle)
            for table in tables
            for needle in needles
            if connection.scalar(
                text(f"SELECT EXISTS (SELECT FROM {table} AS t WHERE strpos(t::text, :needle) > 0)"),  # noqa: S608 - a name of the catalog
                {"needle": needle},
            )
        ]


def all_audit(engine: Engine, action: str) -> list[Any]:
    entries = text("SELECT * FROM audit.entries WHERE starts_with(action, :action) ORDER BY id")
    with engine.connect() as connection:
        return list(connection.execute(entries, {"action": action}))
