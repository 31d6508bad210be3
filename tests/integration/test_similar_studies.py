"""Similar studies in Postgres: what is found, what never is, and a database without pgvector."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text

from stence import registry
from stence.cli import main
from stence.models import RiskScorer
from stence.objects import ObjectStore
from stence.registry.artefact import Artefact, scorer
from stence.settings import Settings
from stence.similar import html, similar_studies, store_studies
from support.artefacts import INFORMATIVE, make_artefact
from support.database import tampering
from support.ecgs import heartbeats, manifest, store_ecg
from support.environment import set_environment
from support.models import ShapeScorer
from support.pseudonyms import pseudonym
from support.roles import logged_in, make_logins
from support.scoring import run_scorer

SHARED = 8
ECG = np.random.default_rng(0).normal(size=(2, 12, 1500)).astype(np.float32)
STUDIES = """
INSERT INTO cath_studies (study_id, patient_id, performed_at, split, max_degree, intervention_at, report_key,
                          fingerprint)
SELECT 'S' || n, 'P' || n, '2026-03-01', CASE n WHEN 4 THEN 'test' ELSE 'train' END, 90 - n,
       CASE n WHEN 1 THEN timestamptz '2026-03-02' END, 'r.csv', ''
FROM generate_series(0, 9) AS n;
INSERT INTO segment_stenoses (study_id, segment, degree) VALUES ('S1', 6, 89), ('S1', 2, 60), ('S1', 7, 50);
INSERT INTO objects (key, record_key, etag, size_bytes) VALUES ('a.hea', 'a', '', 1);
INSERT INTO ecgs (content_hash, patient_id, sampling_rate, seconds, object_id, sex, age)
SELECT CAST('x' AS bytea), 'P1', 500, 10, id, 'F', 64 FROM objects;
INSERT INTO ecg_study_pairs (content_hash, study_id, object_id, patient_id, split, days_before, weight)
SELECT pair.content_hash, 'S1', id, 'P1', 'train', days, 0.5
FROM objects, (VALUES (CAST('x' AS bytea), 3.2), (CAST('y' AS bytea), 20)) AS pair (content_hash, days)
"""


@pytest.fixture
def model() -> RiskScorer:
    return scorer(make_artefact(shared=SHARED), "cpu")


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """With ten studies, S0 to S9, and a registered model that shares a space with angiograms."""
    with engine.connect() as connection:
        connection.execute(text(STUDIES))
        register(connection, make_artefact(shared=SHARED))
        yield connection


def register(connection: Connection, artefact: Artefact) -> None:
    version = artefact.manifest.model_version
    registry.register(connection, f"models/{version}/", artefact, by="test", why="test")


def around(model: RiskScorer) -> NDArray[np.float32]:
    """Places of ten studies, each a little farther from the ECG's than the one before."""
    here = model.embed_in_shared_space(ECG[None])[0]
    aside = np.roll(here, 1) - here * float(np.roll(here, 1) @ here)
    aside /= np.linalg.norm(aside)
    angles = np.linspace(0.1, 1.5, 10)[:, None]
    return (np.cos(angles) * here + np.sin(angles) * aside).astype(np.float32)


def keep(connection: Connection, model: RiskScorer, version: str = "tiny-1") -> None:
    store_studies(connection, version, [f"S{number}" for number in range(10)], around(model))


def degrees(connection: Connection, model: RiskScorer, patient: str = "nobody", count: int = 5) -> list[int]:
    """Worst degrees of what is found, which are 90 less the study's number."""
    found = similar_studies(connection, model, ECG, count=count, leave_out_patient=patient)
    assert found.reason is None
    return [90 - round(study.worst_degree) for study in found.studies]


def test_the_nearest_come_first_and_only_of_training_patients(
    connection: Connection, model: RiskScorer
) -> None:
    keep(connection, model)
    assert degrees(connection, model) == [0, 1, 2, 3, 5], "S4 is a test patient's"
    assert degrees(connection, model, count=50) == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_the_patients_own_studies_are_never_found(connection: Connection, model: RiskScorer) -> None:
    keep(connection, model)
    assert degrees(connection, model, patient="P0") == [1, 2, 3, 5, 6]


def test_the_index_finds_them_too_past_another_models_and_the_patients_own(
    connection: Connection, model: RiskScorer
) -> None:
    register(connection, make_artefact("tiny-2", shared=SHARED))
    keep(connection, model)
    keep(connection, model, "tiny-2")
    connection.execute(text("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"))
    assert degrees(connection, model, patient="P0", count=50) == [1, 2, 3, 5, 6, 7, 8, 9]
    connection.execute(text("SET LOCAL hnsw.ef_search = 100"))
    plan = connection.execute(
        text(
            "EXPLAIN SELECT FROM study_embeddings ORDER BY embedding::halfvec(256) <=> "
            "CAST(array_fill(1.0, ARRAY[256]) AS halfvec(256)) LIMIT 5"
        )
    )
    assert "study_embeddings_nearest_idx" in "".join(plan.scalars())


def test_a_study_tells_what_was_found_and_no_identifier(connection: Connection, model: RiskScorer) -> None:
    keep(connection, model)
    found = similar_studies(connection, model, ECG, count=2, leave_out_patient="P0")
    study, other = found.studies
    number = connection.scalar(text("SELECT number FROM study_embeddings WHERE study_id = 'S1'"))
    assert study.label == f"study {number}"
    assert study.stenoses == (
        "left anterior descending 89 % (segments 6, 7), right coronary artery 60 % (segment 2)"
    )
    assert (study.intervention, other.intervention) == (True, False)
    assert (study.days_before, study.sex, study.age_band) == (3.2, "F", "60 to 69")
    assert (other.days_before, other.sex, other.age_band) == (None, None, None)
    assert study.similarity == pytest.approx(np.cos(0.1 + 1.4 / 9), abs=0.002)
    assert "60% had a stenosis" in (found.usefulness or "")

    page = html(found)
    assert "left anterior descending 89 %" in page
    for identifier in ("S1", "P1", "S2", "P2"):
        assert identifier not in page + repr(found)


@pytest.mark.parametrize("age", ["-1", "NaN", "300"])
def test_an_impossible_age_is_unknown(connection: Connection, model: RiskScorer, age: str) -> None:
    keep(connection, model)
    connection.execute(text("UPDATE ecgs SET age = CAST(:age AS double precision)"), {"age": age})
    found = similar_studies(connection, model, ECG, count=1, leave_out_patient="P0")
    assert found.studies[0].age_band is None


def test_studies_go_with_their_reports(connection: Connection, model: RiskScorer) -> None:
    keep(connection, model)
    connection.execute(text("DELETE FROM cath_studies WHERE study_id = 'S1'"))
    assert degrees(connection, model) == [0, 2, 3, 5, 6]


def test_a_study_that_left_the_reports_during_the_training_is_not_stored(
    connection: Connection, model: RiskScorer
) -> None:
    connection.execute(text("DELETE FROM cath_studies WHERE study_id IN ('S0', 'S2')"))
    keep(connection, model)
    assert degrees(connection, model) == [1, 3, 5, 6, 7]


def test_a_model_without_angiograms_says_so(connection: Connection) -> None:
    artefact = make_artefact("alone")
    register(connection, artefact)
    found = similar_studies(connection, scorer(artefact, "cpu"), ECG, count=5, leave_out_patient="nobody")
    assert (found.studies, found.reason) == ((), "no angiograms were part of this model's training")


def test_a_model_that_is_not_better_than_chance_shows_none(connection: Connection, model: RiskScorer) -> None:
    untold = make_artefact("untold", shared=SHARED)
    measured = {"shared_space": {"neighbours": {**INFORMATIVE, "informative": False}}}
    untold = Artefact(untold.manifest.model_copy(update={"metrics": measured}), untold.weights)
    register(connection, untold)
    keep(connection, model, "untold")
    found = similar_studies(connection, scorer(untold, "cpu"), ECG, count=5, leave_out_patient="nobody")
    assert found.studies == ()
    assert "cannot tell" in (found.reason or "")
    assert "Similar studies are not shown: cannot tell" in html(found)


def test_without_pgvector_they_are_unavailable_and_nothing_else_fails(
    settings: Settings, owner_engine: Engine, model: RiskScorer
) -> None:
    with owner_engine.begin() as connection:
        make_logins(connection, flows_only="writer")
    with logged_in(settings, "flows_only") as connection:  # which may not create the extension
        connection.execute(text(STUDIES))
        register(connection, make_artefact(shared=SHARED))
        keep(connection, model)
        assert connection.scalar(text("SELECT count(*) FROM study_embeddings")) == 10
        found = similar_studies(connection, model, ECG, count=5, leave_out_patient="nobody")
        assert found.studies == ()
        assert "CREATE EXTENSION vector" in (found.reason or "")
        connection.commit()
        with owner_engine.begin() as owner:
            owner.execute(text("CREATE EXTENSION vector"))
        assert degrees(connection, model) == [0, 1, 2, 3, 5], "without an index, after the extension came"


@pytest.mark.parametrize("version", ["0.7.4", "0.10.0"])
def test_a_version_without_iterative_scans_is_too_old(
    connection: Connection, model: RiskScorer, version: str
) -> None:
    keep(connection, model)
    old = text("UPDATE pg_extension SET extversion = :version WHERE extname = 'vector'")
    connection.execute(text("SET LOCAL ROLE NONE"))
    connection.execute(old, {"version": version})
    found = similar_studies(connection, model, ECG, count=5, leave_out_patient="nobody")
    assert ("ALTER EXTENSION vector UPDATE" in (found.reason or "")) == (version == "0.7.4")


def test_the_command_shows_them_without_identifiers(
    engine: Engine, store: ObjectStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, settings)
    store_ecg(store, "ecg/mine.hea", heartbeats(1))
    store.put("ecg/record_list.csv", manifest([("P0", "2026-03-01 08:30:00", "mine")]))
    run_scorer(engine, store, settings, ShapeScorer())
    artefact = make_artefact(shared=SHARED)
    folder = registry.publish(store, settings.model_prefix, artefact)
    with tampering(engine) as connection:
        connection.execute(text(STUDIES.partition("INSERT INTO objects")[0]))
        own = text("UPDATE cath_studies SET patient_id = :patient WHERE patient_id = 'P0'")
        connection.execute(own, {"patient": pseudonym("P0")})
        registry.register(connection, folder, artefact, by="test", why="test")
        keep(connection, scorer(artefact, "cpu"))
        registry.promote(connection, "tiny-1", by="test", why="test")
        number = connection.scalar(text("SELECT id FROM ecgs"))

    result = CliRunner().invoke(main, ["similar", str(number), "--count", "9"])
    assert result.exit_code == 0, result.output
    assert len(re.findall(r"study \d", result.output)) == 8, (
        "nine training studies, of which one is the patient's own"
    )
    assert "they say nothing certain about this patient" in result.output
    assert "P1" not in result.output

    unknown = CliRunner().invoke(main, ["similar", "999"])
    assert unknown.exit_code == 1
    assert "There is no ECG 999" in unknown.output
