"""A stored score follows from the ECG and from the age and sex that the database holds of it."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Engine, select

from stence import registry, scoring
from stence.database.tables import ecgs, objects, scores
from stence.ecg import decode
from stence.models import TARGET_NAMES, clinical_values
from stence.objects import ObjectStore
from stence.settings import Settings
from support.artefacts import make_artefact
from support.ecgs import heartbeats, store_ecg
from support.scoring import give_patients

COMMENTS = {
    "both": ("Age: 81", "Sex: M"),
    "age": ("Age: 81",),
    "sex": ("Age: 250", "Sex: F"),
    "neither": (),
}


def test_a_score_is_that_of_the_ecg_with_the_age_and_sex_of_its_row(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    artefact = make_artefact(clinical=True)
    for number, (name, comments) in enumerate(COMMENTS.items()):
        store_ecg(store, f"ecg/{name}.hea", heartbeats(number), comments=comments)
    give_patients(store, *((name, name) for name in COMMENTS))
    folder = registry.publish(store, settings.model_prefix, artefact)
    with engine.begin() as connection:
        registry.register(connection, folder, artefact, by="test", why="test")
        registry.promote(connection, artefact.manifest.model_version, by="test", why="test")
    champion = registry.load_champion(engine, store, settings)
    scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, champion) as run:
        run.score()

    asked = (objects.c.key, ecgs.c.age, ecgs.c.sex, *(scores.c[name] for name in TARGET_NAMES))
    joined = select(*asked).join(ecgs, ecgs.c.content_hash == objects.c.content_hash)
    joined = joined.join(scores, scores.c.content_hash == objects.c.content_hash)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(joined)]
    assert {key: (age, sex) for key, age, sex, *_ in rows} == {
        "ecg/both.hea": (81, "M"),
        "ecg/age.hea": (81, None),
        "ecg/sex.hea": (None, "F"),
        "ecg/neither.hea": (None, None),
    }
    for key, age, sex, *stored in rows:
        files = {key[4:].replace("hea", kind): store.get(key.replace("hea", kind)) for kind in ("hea", "dat")}
        windows = champion.prepare(decode(key[4:], files))[None]
        expected = champion.score(windows, clinical_values([age], [sex]))[0]
        np.testing.assert_allclose(stored, expected, rtol=0, atol=2e-6)
        assert (age is None and sex is None) == np.allclose(expected, champion.score(windows)[0], atol=1e-4)
