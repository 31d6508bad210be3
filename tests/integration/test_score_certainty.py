"""The interval and the novelty of a score are stored with it, once, and shown where the score is."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, select

from stence import registry, scoring
from stence.database import queries
from stence.database.tables import ecgs, flags, objects, scores
from stence.ecg import decode
from stence.models import TARGET_NAMES, Certainty, clinical_values
from stence.objects import ObjectStore
from stence.settings import Settings
from support.artefacts import make_artefact, make_certainty
from support.ecgs import heartbeats, store_ecg
from support.models import ShapeScorer, register
from support.pseudonyms import pseudonym
from support.scoring import give_patients

ECGS = ("a", "b", "c")


def champion(
    engine: Engine, store: ObjectStore, settings: Settings, certainty: Certainty | None
) -> registry.RiskScorer:
    """Publish, register and promote a model; load it as a scoring does."""
    artefact = make_artefact(threshold=0.0, certainty=certainty)
    folder = registry.publish(store, settings.model_prefix, artefact)
    with engine.begin() as connection:
        registry.register(connection, folder, artefact, by="test", why="test")
        registry.promote(connection, artefact.manifest.model_version, by="test", why="test")
    return registry.load_champion(engine, store, settings)


@pytest.fixture
def archive(store: ObjectStore) -> None:
    for number, name in enumerate(ECGS):
        store_ecg(store, f"ecg/{name}.hea", heartbeats(number))
    give_patients(store, *((name, name) for name in ECGS))


def score(engine: Engine, store: ObjectStore, settings: Settings, scorer: scoring.Scorer) -> None:
    scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, scorer) as run:
        run.score()


def stored(engine: Engine) -> dict[str, tuple[object, ...]]:
    s = scores.c
    asked = select(objects.c.key, s.stenosis_70, s.lower, s.upper, s.novelty, s.unlike)
    with engine.connect() as connection:
        return {
            key: tuple(rest)
            for key, *rest in connection.execute(
                asked.join(ecgs, s.content_hash == ecgs.c.content_hash).join(
                    objects, ecgs.c.object_id == objects.c.id
                )
            )
        }


def test_a_score_is_stored_with_its_interval_and_novelty(
    engine: Engine, store: ObjectStore, settings: Settings, archive: None
) -> None:
    model = champion(engine, store, settings, make_certainty())
    score(engine, store, settings, model)
    found = stored(engine)
    assert found.keys() == {f"ecg/{name}.hea" for name in ECGS}
    for key, (_, lower, upper, novelty, unlike) in found.items():
        files = {key[4:].replace("hea", kind): store.get(key.replace("hea", kind)) for kind in ("hea", "dat")}
        windows = model.prepare(decode(key[4:], files))[None]
        expected = model.embed_and_score(windows, clinical_values([None], [None]))
        assert (lower, upper) == (expected.lower[0].tolist(), expected.upper[0].tolist())
        assert (novelty, unlike) == (expected.novelty[0], bool(expected.novelty[0] >= 99))
    with engine.connect() as connection:
        columns, rows = queries.run(connection, "patient_history", {"patient": pseudonym("a")})
        shown = dict(zip(columns, rows[0], strict=True))
        number = connection.scalar(
            select(flags.c.id).where(flags.c.patient_id == pseudonym("a"), flags.c.target == "stenosis_70")
        )
        columns, [row] = queries.run(connection, "trace_flag", {"flag": str(number)})
        traced = dict(zip(columns, row, strict=True))
    _, lower, upper, novelty, unlike = found["ecg/a.hea"]
    assert (shown["stenosis_70_lower"], shown["stenosis_70_upper"]) == (lower[1], upper[1])
    assert (shown["novelty"], shown["unlike"]) == (novelty, unlike)
    place = TARGET_NAMES.index("stenosis_70")
    assert (traced["probability_lower"], traced["probability_upper"]) == (lower[place], upper[place])
    assert traced["probability_lower"] <= traced["probability"] <= traced["probability_upper"]
    assert (traced["novelty"], traced["unlike"]) == (novelty, unlike)


def test_an_ecg_far_from_the_training_ecgs_is_said_to_be_unlike(
    engine: Engine, store: ObjectStore, settings: Settings, archive: None
) -> None:
    sure = make_certainty()
    narrow = Certainty(sure.mean, 1e6 * sure.whitening, sure.distances, sure.offsets, sure.draws)
    score(engine, store, settings, champion(engine, store, settings, narrow))
    assert [row[-2:] for row in stored(engine).values()] == [(100.0, True)] * 3


def test_a_model_that_cannot_tell_stores_nothing_about_it(
    engine: Engine, store: ObjectStore, settings: Settings, archive: None
) -> None:
    score(engine, store, settings, champion(engine, store, settings, None))
    assert all(row[0] is not None and row[1:] == (None,) * 4 for row in stored(engine).values())
    shape = ShapeScorer()
    register(engine, shape)
    score(engine, store, settings, shape)
    with engine.connect() as connection:
        told = select(scores.c.lower, scores.c.unlike).where(scores.c.model_version == "shape-1")
        assert connection.execute(told).all() == [(None, None)] * 3
