"""A stored score follows from the ECG and from the age and sex that the database holds of it.

A training reads both, and the indication, where a file or a manifest states them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sqlalchemy import Engine, select

from stence import registry, scoring
from stence.cohort import gather, plan_cohort
from stence.cohort.entries import indication_code
from stence.database.tables import ecgs, objects, scores
from stence.ecg import decode
from stence.models import TARGET_NAMES, clinical_values
from stence.objects import ObjectStore
from stence.progress import silent
from stence.settings import Settings
from support.artefacts import make_artefact
from support.ecgs import heartbeats, store_ecg
from support.scoring import give_patients
from support.toy_hospital import ToyHospital, toy_ecg

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


def test_a_training_knows_what_files_and_manifests_state(
    engine: Engine, store: ObjectStore, settings: Settings, tmp_path: Path
) -> None:
    hospital = ToyHospital(store, patients=6)
    hospital.write()
    stated = ("Age: 70", "Sex: F", "Indication: Chest pain")
    store_ecg(store, "ecg/0.hea", toy_ecg(0, ill=False), comments=stated)
    lines = [
        f"{patient},{time},{path},{'chest pain' if path == '1' else ''}"
        for patient, time, path in hospital.ecgs
    ]
    content = "\n".join(["subject_id,ecg_time,path,indication", *lines, ""])
    store.put("ecg/record_list.csv", content.encode())
    scoring.index(engine, store, settings)
    plan = plan_cohort(engine, store, settings, 30, silent)
    cohort = gather(plan, engine, store, settings, tmp_path / "cohort", silent)
    found = {
        (str(code), str(sex), float(age))
        for part in cohort.parts.values()
        for code, sex, age in zip(part.indication, part.sex, np.nan_to_num(part.age), strict=True)
    }
    complaint = indication_code("CHEST PAIN")
    assert found == {(complaint, "F", 70.0), (complaint, "", 0.0), ("", "", 0.0)}
    assert b"hest pain" not in (tmp_path / "cohort" / "cohort.json").read_bytes()
