"""Real recordings of many origins in one store: each is scored, or in quarantine for the right reason."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file
from sqlalchemy import Engine, select

from stence import scoring
from stence.database.tables import objects, quarantine, scores
from stence.objects import ObjectStore, open_store
from stence.settings import Settings
from support.database import forget_ecgs, tampering
from support.ecgs import manifest
from support.models import ShapeScorer, register

FOLDERS = (
    *("ludb", "cinc2021", "ptb", "ptbxl", "reduced_leads", "set_a"),
    *("muse", "sierra", "aecg", "scp"),
)
LAYOUTS = b"""
- prefix: set_a/
  suffix: .txt
  columns: [-, I, II, III, aVR, aVF, aVL, V1, V2, V3, V4, V5, V6]
  unit: 5 uV
  sampling_rate: 500
"""
WITHOUT_LEADS = ("ptb/100", *(f"reduced_leads/{name}_JS20000" for name in ("six", "four", "three", "two")))
TIME = "2026-03-01 08:30:00"


def real_files(shared: Path) -> dict[str, Path]:
    """Local files by key."""
    data = shared / "data"
    files = {f"ecg/{folder}/{path.name}": path for folder in FOLDERS for path in (data / folder).iterdir()}
    return files | {"ecg/dicom/waveform_ecg.dcm": Path(str(get_testdata_file("waveform_ecg.dcm")))}


def fill(store: ObjectStore, files: dict[str, Path]) -> None:
    """Put the files into the store, with a manifest that names a patient of each file without one."""
    for key, path in files.items():
        store.put(key, path.read_bytes())
    store.put("ecg/ecg_layouts.yaml", LAYOUTS)
    nameless = [key for key in files if key.endswith((".hea", ".txt")) or "braveheart" in key]
    records = sorted(key.removeprefix("ecg/").rpartition(".")[0] for key in nameless)
    named = {"muse/muse-sinus": "081486213"}  # a WFDB conversion beside an XML file that names the patient
    rows = [(named.get(record, f"p{number}"), TIME, record) for number, record in enumerate(records)]
    store.put("ecg/record_list.csv", manifest(rows))


def score_all(engine: Engine, settings: Settings) -> scoring.RunSummary:
    store = open_store(settings.resolved_store_url, settings)
    register(engine, ShapeScorer())
    scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, ShapeScorer()) as run:
        run.score()
    return run.summary()


def outcome(engine: Engine) -> dict[str, tuple[Any, ...]]:
    """By key: the six probabilities, or the reason."""
    scored = (
        select(objects.c.key, scores.c.stenosis_50, scores.c.stenosis_70, scores.c.stenosis_90,
               scores.c.stenosis_100, scores.c.rca_70, scores.c.lca_70)
        .join(scores, scores.c.content_hash == objects.c.content_hash)
    )  # fmt: skip
    refused = select(objects.c.key, quarantine.c.reason, quarantine.c.detail).join(quarantine)
    with engine.connect() as connection:
        rows = [*connection.execute(scored), *connection.execute(refused.where(quarantine.c.state == "open"))]
    assert len({row[0] for row in rows}) == len(rows), "an ECG ended in two places"
    return {row[0]: tuple(row[1:]) for row in rows}


@pytest.mark.slow
def test_every_real_ecg_is_scored_or_refused_for_the_right_reason(
    engine: Engine, settings: Settings, shared: Path
) -> None:
    store = open_store(settings.resolved_store_url, settings)
    fill(store, real_files(shared))
    summary = score_all(engine, settings)
    ended = outcome(engine)

    assert summary.pending == 0
    assert len(ended) == summary.indexed == 100 + 40 + 2 + 1 + 5 + 1 + 22 + 4 + 2 + 1 + 1
    for record in WITHOUT_LEADS:
        assert ended[f"ecg/{record}.hea"][0] == "missing_leads"
    assert ended["ecg/reduced_leads/bad-ecg.hea"][0] == "flat_lead"
    scored = [key for key, rest in ended.items() if len(rest) == 6]
    by_folder = Counter(key.split("/")[1] for key in scored)
    assert by_folder == {
        **{"ludb": 100, "cinc2021": 38, "ptb": 1, "ptbxl": 1, "dicom": 1, "set_a": 9},
        **{"muse": 4, "sierra": 2, "aecg": 1, "scp": 1},
    }
    refused = Counter(rest[0] for key, rest in ended.items() if len(rest) == 2 and "reduced" not in key)
    print(f"\n{summary.text()}\nrefused: {dict(refused)}")
    for key, rest in sorted(ended.items()):
        if len(rest) == 2:
            print(f"  {key}: {rest[0]}: {rest[1]}")


@pytest.mark.slow
@pytest.mark.s3
def test_the_same_files_on_s3_give_the_same_rows(
    engine: Engine, settings: Settings, s3_settings: dict[str, Any], shared: Path
) -> None:
    on_s3 = Settings(**settings.model_dump(include=settings.model_fields_set) | s3_settings)
    files = real_files(shared)
    for place in (settings, on_s3):
        fill(open_store(place.resolved_store_url, place), files)
    score_all(engine, settings)
    expected = outcome(engine)
    with tampering(engine) as connection:
        forget_ecgs(connection, with_files=True)
    score_all(engine, on_s3)
    assert outcome(engine) == expected
