"""Nothing is taken up of a patient who has opted out, wherever it comes from; after an opt-in all is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from stence import forgetting, registry, scoring
from stence.database import queries
from stence.database.rekey import rekey
from stence.database.tables import (
    angiogram_views,
    cath_studies,
    flags,
    objects,
    patient_merges,
    quarantine,
    scores,
)
from stence.domain.pseudonyms import Pseudonyms
from stence.errors import PatientMergeError, StenceError
from stence.ingest import merges
from stence.objects import ObjectStore
from stence.settings import Settings
from support.forgetting import (
    FORMER,
    NAMES,
    OTHER,
    PATIENT,
    all_audit,
    forget,
    found_in_tables,
    hashes_of,
    ingest,
)
from support.identity import listed, patients_by_key, put_ecgs, put_manifest, put_named
from support.models import ShapeScorer
from support.pseudonyms import PSEUDONYMS
from support.scoring import ScoreAll, all_rows, in_quarantine


@pytest.fixture
def engine(owner_engine: Engine) -> Engine:
    """The owner's: stence patients forget and opt-out act with it."""
    return owner_engine


@pytest.fixture
def score(score_all: ScoreAll) -> ScoreAll:
    """Score with a model that flags every ECG."""
    return lambda version="shape-1": score_all(ShapeScorer(version, threshold=0))


class Retold(ShapeScorer):
    """A scorer during whose work something happens."""

    def __init__(self, happens: Callable[[], object]) -> None:
        super().__init__(threshold=0)
        self._happens = happens

    def embed_and_score(self, *inputs: Any) -> Any:
        self._happens()
        return super().embed_and_score(*inputs)


def test_a_run_that_has_read_the_ecgs_already_does_not_write_them(
    engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll
) -> None:
    put_named(store, "1", PATIENT, 1)
    put_named(store, "2", OTHER, 2)
    summary = score_all(Retold(lambda: forget(engine, store, settings)))
    assert (summary.scored, summary.quarantined, summary.pending) == (1, 1, 0)
    assert patients_by_key(engine) == {"ecg/2.hea": OTHER}
    assert found_in_tables(engine, NAMES) == []


def test_an_opted_out_patient_comes_back_whole(
    two_patients: None, engine: Engine, store: ObjectStore, settings: Settings, score: ScoreAll, stence: Any
) -> None:
    about = (PATIENT, "--by", "Dr A", "--why", "asked by letter")
    result = stence("patients", "opt-out", *about)
    assert result.output == "Opted out, by 2 numbers. 3 flags were withdrawn.\n"
    assert listed(engine) == {OTHER}
    assert set(all_rows(engine, flags.c.withdrawn_for)) == {("opted_out",), (None,)}
    put_named(store, "6", FORMER, 6)
    score()
    ingest(engine, store, settings)
    assert in_quarantine(engine) == {f"ecg/{number}.hea": "opted_out" for number in (1, 2, 3, 6)}
    assert len(all_rows(engine, scores.c.content_hash)) == 5  # what was there stays
    assert all_rows(engine, cath_studies.c.patient_id) == [(OTHER,)]

    assert stence("patients", "opt-in", *about).exit_code == 0
    score()
    ingest(engine, store, settings)
    assert in_quarantine(engine) == {}
    assert patients_by_key(engine)["ecg/6.hea"] == PATIENT
    assert listed(engine) == {PATIENT, OTHER}
    assert {found for (found,) in all_rows(engine, cath_studies.c.patient_id)} == {PATIENT, OTHER}
    assert stence("patients", "opt-in", *about).exit_code == 1
    assert [entry.action for entry in all_audit(engine, "patient.")] == [
        "patient.opted_out",
        "patient.opted_in",
    ]


def test_a_forgotten_patient_may_opt_in_again(
    two_patients: None, engine: Engine, store: ObjectStore, settings: Settings, score: ScoreAll
) -> None:
    before = patients_by_key(engine)
    forget(engine, store, settings)
    with engine.begin() as connection:
        for number in (PATIENT, FORMER):
            forgetting.opt_in(connection, PSEUDONYMS, number, by="Dr A", why="changed their mind")
    score()
    ingest(engine, store, settings)
    assert patients_by_key(engine) == before
    assert all_rows(engine, angiogram_views.c.patient_id) == [(PATIENT,)]


def test_a_row_of_another_patient_for_the_same_ecg_stays_a_contradiction(
    engine: Engine, store: ObjectStore, settings: Settings, score: ScoreAll
) -> None:
    put_ecgs(store, "1")
    put_manifest(store, (PATIENT, "1"), (OTHER, "1"))
    score()
    forget(engine, store, settings)
    put_manifest(store, (PATIENT, "1"), (OTHER, "1"), (OTHER, "2"))
    score()
    assert in_quarantine(engine) == {"ecg/1.hea": "patient_mismatch"}
    assert found_in_tables(engine, NAMES) == []


def test_an_ecg_that_lay_under_two_patients_is_the_others_now(
    engine: Engine, store: ObjectStore, settings: Settings, score: ScoreAll
) -> None:
    put_named(store, "1", PATIENT, 1)
    put_named(store, "2", OTHER, 1)
    score()
    assert set(in_quarantine(engine).values()) == {"patient_conflict"}
    forget(engine, store, settings)
    score()
    assert in_quarantine(engine) == {"ecg/1.hea": "opted_out"}
    assert patients_by_key(engine) == {"ecg/2.hea": OTHER}


def test_a_file_that_was_dismissed_stays_dismissed(
    engine: Engine, store: ObjectStore, settings: Settings, score: ScoreAll
) -> None:
    put_named(store, "1", PATIENT, 1)
    put_named(store, "2", OTHER, 1)
    score()
    wrong = next(number for number, key in all_rows_of_quarantine(engine) if key == "ecg/2.hea")
    with engine.begin() as connection:
        scoring.quarantine.dismiss(connection, ids=[wrong], by="Dr A")
        scoring.quarantine.retry(connection)
    score()
    hashes = hashes_of(engine, PATIENT)
    forget(engine, store, settings)
    score()
    score("shape-2")  # another model reads the whole archive
    assert patients_by_key(engine) == {}
    assert found_in_tables(engine, [*NAMES, *hashes]) == []


def all_rows_of_quarantine(engine: Engine) -> list[tuple[int, str]]:
    statement = select(quarantine.c.id, objects.c.key).join(objects).where(quarantine.c.state == "open")
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(statement)]


def test_a_number_is_not_merged_with_one_that_has_opted_out(
    two_patients: None, engine: Engine, store: ObjectStore, settings: Settings, score: ScoreAll, stence: Any
) -> None:
    forget(engine, store, settings)
    store.put("patients/later.csv", f"former_id,present_id\n{OTHER},{PATIENT}\n".encode())
    scoring.index(engine, store, settings)
    assert all_rows(engine, patient_merges.c.id) == []
    with engine.connect() as connection:
        columns, rows = queries.run(connection, "unusable_rows", {})
    assert "row_merge_opted_out" in {row[list(columns).index("reason")] for row in rows}
    with pytest.raises(PatientMergeError, match="opted out"), engine.begin() as connection:
        merges.merge(connection, PSEUDONYMS, PATIENT, OTHER, by="archivist", why="one person")


def test_the_key_does_not_change_while_somebody_has_opted_out(
    two_patients: None, engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    forget(engine, store, settings)
    with pytest.raises(StenceError, match="opted out"), engine.begin() as connection:
        rekey(connection, settings, Pseudonyms.by("another key"), by="Dr A", why="it leaked")


def test_a_promotion_brings_no_patient_back_who_has_opted_out(
    two_patients: None, engine: Engine, stence: Any, score: ScoreAll
) -> None:
    """What the next champion scored in shadow waits for its flags."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE models SET state = 'retired'"))
        connection.execute(text(NEXT))
        connection.execute(text(SCORED_BY_NEXT))
    stence("patients", "opt-out", PATIENT, "--by", "Dr A", "--why", "asked by letter")
    with engine.begin() as connection:
        registry.promote(connection, "next", by="Dr B", why="better", ungated=True)
    assert listed(engine) == {OTHER}


NEXT = """
INSERT INTO models SELECT 'next', 'shadow', folder, sha256, preprocessing_version,
    manifest || '{"thresholds": {"stenosis_70": {"value": 0, "rule": "all"}}}' FROM models
"""
SCORED_BY_NEXT = """
INSERT INTO worklist (object_id, model_version, etag, state)
SELECT object_id, 'next', etag, state FROM worklist;
INSERT INTO scores SELECT content_hash, 'next', preprocessing_version, stenosis_50, stenosis_70, stenosis_90,
    stenosis_100, rca_70, lca_70, run_id FROM scores
"""


def test_a_forgotten_patient_is_not_converted_either(
    two_patients: None, engine: Engine, store: ObjectStore, settings: Settings, stence: Any, tmp_path: Path
) -> None:
    forget(engine, store, settings)
    said = stence("convert", "ecg/1.hea", "ecg/5.hea", "--to", "wfdb", "--output", str(tmp_path / "research"))
    assert said.exit_code == 1
    assert "opted_out" in said.output
    assert len(list((tmp_path / "research").glob("**/*.hea"))) == 1


@pytest.mark.parametrize("command", [["opt-out"], ["opt-in"], ["forget"], ["forget", "--yes"]], ids=" ".join)
def test_a_host_with_another_key_forgets_nobody(
    two_patients: None, engine: Engine, stence: Any, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """It would take the patient for somebody else, and say that it was done."""
    monkeypatch.setenv("STENCE_PSEUDONYM_KEY", "of another hospital")
    said = stence("patients", *command, PATIENT, "--by", "Dr A", "--why", "asked by letter")
    assert said.exit_code == 1
    assert "is another one" in said.output
    assert listed(engine) == {PATIENT, OTHER}
