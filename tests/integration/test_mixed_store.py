"""ECGs of all formats lie in one store; what becomes of them is the same in a folder and in S3."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from stence.objects import ObjectStore, open_store
from stence.settings import Settings
from support.database import forget_ecgs, tampering
from support.ecgs import heartbeats, manifest
from support.models import ShapeScorer
from support.samples import samples
from support.scoring import run_scorer

TABLE = b"\n".join(b",".join(b"%d" % value for value in row) for row in heartbeats(5).T)
LAYOUT = b"""
- prefix: cart/
  suffix: .csv
  columns: [I, II, III, aVR, aVL, aVF, V1, V2, V3, V4, V5, V6]
  unit: uV
  sampling_rate: 500
"""
TIME = "2026-03-01 08:30:00"
ENDED = """
    SELECT objects.key, objects.format, ecgs.patient_id, ecgs.acquired_at, ecgs.device, ecgs.device_serial,
           ecgs.sex, ecgs.age, ecgs.filters, ecgs.measurements, ecgs.statements, ecgs.sampling_rate,
           ecgs.seconds, scores.stenosis_50, scores.stenosis_70, scores.lca_70, quarantine.reason
    FROM objects
    LEFT JOIN ecgs USING (content_hash)
    LEFT JOIN scores USING (content_hash)
    LEFT JOIN quarantine ON quarantine.object_id = objects.id AND quarantine.state = 'open'
    WHERE objects.kind = 'ecg'
    ORDER BY objects.key
"""


def fill(store: ObjectStore) -> None:
    for sample in samples():
        for name, content in sample.files.items():
            store.put(f"ecg/{sample.format}/{name}", content)
    store.put("ecg/cart/1.csv", TABLE)
    store.put("ecg/ecg_layouts.yaml", LAYOUT)
    store.put("ecg/broken/a.scp", samples()[5].files["ecg.scp"][:900])
    store.put("ecg/broken/picture.bin", b"GIF89a" + bytes(100))
    given = [("T1", TIME, "cart/1"), ("M1", TIME, "MFER/ecg")]
    store.put("ecg/record_list.csv", manifest(given))


def ended(engine: Engine, settings: Settings) -> list[tuple[Any, ...]]:
    store = open_store(settings.resolved_store_url, settings)
    fill(store)
    run_scorer(engine, store, settings, ShapeScorer())
    with tampering(engine) as connection:
        rows = [tuple(row) for row in connection.execute(text(ENDED))]
        forget_ecgs(connection, with_files=True)
    return rows


@pytest.mark.slow
def test_every_format_is_scored_or_refused(engine: Engine, settings: Settings) -> None:
    rows = {row[0]: row for row in ended(engine, settings)}
    refused = {key.removeprefix("ecg/"): row[-1] for key, row in rows.items() if row[-1]}
    assert refused == {"broken/a.scp": "truncated", "broken/picture.bin": "unsupported_format"}
    assert len(rows) == len(samples()) + 3
    told = rows["ecg/Sierra/sierra.xml"]
    assert told[1] == "Philips Sierra XML"
    assert told[9]["heart_rate"] > 0
    assert told[10]


@pytest.mark.slow
@pytest.mark.s3
def test_rows_in_s3_equal_those_of_a_folder(
    engine: Engine, settings: Settings, s3_settings: dict[str, Any]
) -> None:
    on_s3 = Settings(**settings.model_dump(include=settings.model_fields_set) | s3_settings)
    assert ended(engine, settings) == ended(engine, on_s3)
