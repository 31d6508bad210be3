"""Trainings that hold out the newest patients, or those of a site: no patient is in two splits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from sqlalchemy import Engine, text

from stence import scoring
from stence.cohort import Cohort, Plan, Split, gather, hold_out, plan_cohort
from stence.cohort.held_out import PatientSplit, SiteSplit, SplitConfig, TemporalSplit
from stence.errors import StenceError
from stence.objects import ObjectStore
from stence.progress import silent
from stence.settings import Settings
from stence.training import SupervisedConfig, TrainingConfig, train
from stence.validation import ValidationConfig, validate
from support.pseudonyms import numbers, split_of
from support.validated import NEW, OLD, Hospital

CUT = date(2026, 4, 15)


def planned(engine: Engine, store: ObjectStore, settings: Settings, option: SplitConfig) -> Plan:
    scoring.index(engine, store, settings)
    return hold_out(plan_cohort(engine, store, settings, 30, silent), option, engine, settings)


def splits_of(engine: Engine) -> dict[str, set[str]]:
    """Splits of each patient's pairs, by the patient's number."""
    found: dict[str, set[str]] = {}
    known = numbers(engine)
    with engine.connect() as connection:
        for patient, split in connection.execute(text("SELECT patient_id, split FROM ecg_study_pairs")):
            found.setdefault(known[patient], set()).add(split)
    return found


@pytest.fixture
def hospital(store: ObjectStore) -> Hospital:
    """Patients in the north before the cut, in the south after it, and two with both."""
    found = Hospital(store)
    found.fill("n", OLD, 8, "north")
    found.fill("s", NEW, 4, "south")
    for patient in ("s0", "s1"):
        found.add(patient, OLD, ill=True, site="north")
    found.write()
    return found


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (TemporalSplit(kind="temporal", cut=CUT), {"kind": "temporal", "cut": "2026-04-15T00:00:00+00:00"}),
        (TemporalSplit(kind="temporal", newest=0.3), {"kind": "temporal", "cut": NEW.isoformat() + "+00:00"}),
        (SiteSplit(kind="site", sites=("south", "west")), {"kind": "site", "sites": ["south", "west"]}),
    ],
    ids=["cut", "share", "site"],
)
def test_held_out_patients_are_in_test_with_everything(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    hospital: Hospital,
    tmp_path: Path,
    option: SplitConfig,
    expected: Mapping[str, Any],
) -> None:
    plan = planned(engine, store, settings, option)
    cohort = gather(plan, engine, store, settings, tmp_path / "cohort", silent)
    south = {f"s{number}" for number in range(4)}
    for patient, splits in splits_of(engine).items():
        assert splits == {"test" if patient in south else str(split_of(patient))}
    assert_no_patient_twice(cohort)
    moved = sum(split_of(patient) is not Split.TEST for patient in south)
    assert moved > 0
    assert cohort.held_out == {**expected, "moved": moved}
    assert plan.fingerprint != planned(engine, store, settings, PatientSplit()).fingerprint


def assert_no_patient_twice(cohort: Cohort) -> None:
    seen = [np.unique(part.patients) for part in cohort.parts.values()]
    assert len(np.unique(np.concatenate(seen))) == sum(map(len, seen))
    table = cohort.studies
    assert len({*zip(table.patients.tolist(), table.splits, strict=True)}) == len(
        set(table.patients.tolist())
    )


def test_an_ecg_whose_file_alone_names_a_held_out_site_is_left_out(
    engine: Engine, store: ObjectStore, settings: Settings, tmp_path: Path
) -> None:
    found = Hospital(store)
    found.fill("n", OLD, 6, "north")
    found.add("s0", OLD, ill=False, site="south")
    found.write()
    assert split_of("n0") is not Split.TEST
    dataset = dcmread(get_testdata_file("waveform_ecg.dcm"))
    dataset.PatientID, dataset.InstitutionName = "n0", "south"
    dataset.AcquisitionDateTime = f"{OLD - timedelta(days=1):%Y%m%d%H%M%S}"
    file = BytesIO()
    dataset.save_as(file)
    store.put("ecg/own.dcm", file.getvalue())
    plan = planned(engine, store, settings, SiteSplit(kind="site", sites=("south",)))
    cohort = gather(plan, engine, store, settings, tmp_path / "cohort", silent)
    assert cohort.left_out["ecg_at_held_out_site"] == 1
    assert splits_of(engine)["n0"] == {str(split_of("n0"))}
    assert_no_patient_twice(cohort)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (
            TemporalSplit(kind="temporal", cut=date(2027, 1, 1)),
            "no study is of 2027-01-01 or later, the newest is of",
        ),
        (SiteSplit(kind="site", sites=("east",)), "no patient with a cath study has an ECG at east"),
    ],
    ids=["cut", "site"],
)
def test_an_option_that_holds_nobody_out_is_refused(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    hospital: Hospital,
    option: SplitConfig,
    words: str,
) -> None:
    with pytest.raises(StenceError, match=words):
        planned(engine, store, settings, option)


@pytest.mark.parametrize("given", [{}, {"cut": "2026-01-01", "newest": 0.2}, {"newest": 1.5}])
def test_a_temporal_split_takes_a_date_or_a_share(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="newest"):
        TemporalSplit(kind="temporal", **given)


@pytest.mark.slow
def test_a_model_trained_before_a_cut_is_validated_after_it(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    hospital = Hospital(store)
    hospital.fill("a", OLD, 120, "north")
    hospital.fill("b", NEW, 40, "south")
    hospital.write()
    scoring.index(engine, store, settings)
    tuning = TrainingConfig(
        encoder_config={"width": 16, "depth": 1, "heads": 1},
        epochs=2,
        warmup_epochs=1,
        patience=2,
        batch_size=16,
        encoder_rate=5e-3,
        head_rate=5e-3,
    )
    config = SupervisedConfig(
        finetuning=tuning, bootstrap_resamples=100, split=TemporalSplit(kind="temporal", cut=CUT)
    )
    version = train(engine, store, settings, config)
    with engine.connect() as connection:
        manifest = connection.scalar(text("SELECT manifest FROM models"))
    tested = sum(split_of(f"a{number}") is Split.TEST for number in range(120))
    assert manifest["training_data"]["patients"]["test"] == tested + 40
    moved = sum(split_of(f"b{number}") is not Split.TEST for number in range(40))
    cut = datetime.combine(CUT, datetime.min.time()).isoformat() + "+00:00"
    assert manifest["training_run"]["split"] == {"kind": "temporal", "cut": cut, "moved": moved}

    done = validate(engine, store, settings, version, ValidationConfig(bootstrap_resamples=100))
    assert done.figures["flow"]["patients"]["used"] == tested + 40
    later = ValidationConfig(bootstrap_resamples=100, since=CUT)
    found = validate(engine, store, settings, version, later).figures["targets"]["stenosis_70"]
    assert (found["patients_with"], found["patients_without"]) == (20, 20)
    assert found["auroc"]["value"] is not None

    early = TemporalSplit(kind="temporal", cut=OLD.date() - timedelta(days=30))
    with pytest.raises(StenceError, match=r"found train 0 \+ 0.*split moved \d+ patients into test"):
        train(engine, store, settings, config.model_copy(update={"split": early}))
