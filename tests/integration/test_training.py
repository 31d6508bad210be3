"""From cath reports and ECGs in a store to a candidate in the registry, on a disease that is easy to see."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.data import get_testdata_file
from sqlalchemy import Engine, select

from stence import registry, scoring
from stence.cohort import Split
from stence.database.tables import models
from stence.ecg import decode
from stence.errors import StenceError
from stence.evaluation.evaluate import auroc
from stence.evaluation.pretest import NAME as PRETEST
from stence.models import RiskScorer, clinical_values
from stence.objects import ObjectStore
from stence.progress import Progress
from stence.registry.artefact import Artefact, read, scorer
from stence.registry.manifest import Manifest
from stence.settings import Settings
from stence.training import SupervisedConfig, TrainingConfig, train
from support.ecgs import heartbeats, store_ecg
from support.pseudonyms import split_of
from support.toy_hospital import LENIENT, PATIENTS, STUDY, ToyHospital, is_ill, toy_ecg

CONFIG = SupervisedConfig(
    finetuning=TrainingConfig(
        encoder_config={"width": 16, "depth": 1, "heads": 1},
        epochs=4,
        warmup_epochs=1,
        patience=4,
        batch_size=16,
        encoder_rate=5e-3,
        head_rate=5e-3,
    ),
    bootstrap_resamples=100,
    gate=LENIENT,
)


def registered(engine: Engine) -> list[tuple[str, str, str, str]]:
    """Version, state, folder and hash of every model."""
    with engine.connect() as connection:
        rows = connection.execute(select(models.c.version, models.c.state, models.c.folder, models.c.sha256))
        return [tuple(row) for row in rows]


def trained(engine: Engine, store: ObjectStore, settings: Settings) -> Artefact:
    """Index, train, and read the artefact back."""
    scoring.index(engine, store, settings)
    return artefact_of(engine, store, train(engine, store, settings, CONFIG))


def artefact_of(engine: Engine, store: ObjectStore, version: str) -> Artefact:
    """The artefact as the registry finds and verifies it."""
    folder, sha256 = next((f, h) for v, _, f, h in registered(engine) if v == version)
    return read(store, folder, sha256)


class KilledError(Exception):
    """Stands for the end of the process."""


def killed(*args: object, **options: object) -> None:
    raise KilledError


def killing_at(stage: str, done: int) -> Progress:
    """Ends the training when it tells of this."""

    def progress(at: str, count: int, total: int | None = None, note: str = "") -> None:
        if (at, count) == (stage, done):
            raise KilledError

    return progress


@pytest.mark.slow
def test_a_model_learns_from_reports_passes_the_gate_and_scores(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    ToyHospital(store).write()
    artefact = trained(engine, store, settings)

    assert [state for _, state, _, _ in registered(engine)] == ["shadow"]
    model = scorer(artefact, "cpu")
    unseen = range(1000, 1040)
    ecgs = np.stack([as_scored(store, toy_ecg(n, ill=is_ill(n)), model) for n in unseen])
    labels = np.array([[float(is_ill(n))] for n in unseen], np.float32)
    found = model.score(ecgs)
    assert auroc(found[:, 1:2], labels) > 0.95
    aged = model.score(ecgs, clinical_values([80.0] * 40, ["M"] * 40))
    np.testing.assert_array_equal(aged, found, err_msg="no ECG states age or sex: none was learned")
    check_manifest(artefact.manifest, settings)
    assert "Verdict: passed, compared with no champion" in card_of(engine, store, artefact)
    assert not list((settings.data_dir / "training").iterdir()), "the working copy of signals is still there"


def card_of(engine: Engine, store: ObjectStore, artefact: Artefact) -> str:
    with engine.connect() as connection:
        return registry.read_card(connection, store, artefact.manifest.model_version)["card.md"].decode()


@pytest.mark.slow
def test_a_model_that_fails_the_gate_is_rejected_and_its_card_says_why(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    ToyHospital(store).write()
    scoring.index(engine, store, settings)
    strict = CONFIG.model_copy(update={"gate": LENIENT.model_copy(update={"auroc_floor": 1.0})})
    artefact = artefact_of(engine, store, train(engine, store, settings, strict))
    assert [state for _, state, _, _ in registered(engine)] == ["rejected"]
    assert artefact.manifest.gate is not None
    assert artefact.manifest.gate["result"] == "failed"
    assert "Verdict: **failed**" in card_of(engine, store, artefact)


@pytest.mark.slow
def test_a_model_meets_the_champion_unless_that_is_damaged(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    ToyHospital(store).write()
    first = trained(engine, store, settings).manifest.model_version
    with engine.begin() as connection:
        registry.promote(connection, first, by="ada", why="first")
    second = trained(engine, store, settings).manifest.gate
    assert second is not None
    assert second["champion"] == first
    folder = next(folder for version, _, folder, _ in registered(engine) if version == first)
    store.delete(f"{folder}model.safetensors")
    third = trained(engine, store, settings).manifest
    assert third.gate is not None
    assert third.gate["result"] == "cannot tell"
    assert "The champion cannot be read" in str(third.gate["checks"])
    assert dict((version, state) for version, state, _, _ in registered(engine))[third.model_version] == (
        "candidate"
    )


def as_scored(store: ObjectStore, signal: NDArray[np.int16], model: RiskScorer) -> NDArray[np.float32]:
    store_ecg(store, "aside/x.hea", signal)
    files = {name: store.get(f"aside/{name}") for name in ("x.hea", "x.dat")}
    return model.prepare(decode("x.hea", files))


def check_manifest(manifest: Manifest, settings: Settings) -> None:
    splits = [split_of(f"P{number}") for number in range(PATIENTS)]
    assert manifest.training_data.patients == {split: splits.count(split) for split in Split}
    assert manifest.training_data.ecgs == manifest.training_data.patients
    assert manifest.training_data.left_out == {}
    assert manifest.preprocessing.windows == settings.windows_per_ecg
    assert SupervisedConfig.model_validate(manifest.training_config) == CONFIG
    assert manifest.architecture.clinical == "age and sex"
    gain = manifest.metrics["ablation"]["stenosis_70"]["others"]
    assert gain["age and sex alone"]["auroc"]["value"] == 0.5
    assert gain["ECG alone"]["gain"] == {"value": 0.0, "lower": 0.0, "upper": 0.0}
    published = manifest.metrics["pretest"]
    assert list(published["models"]) == ["this model", "age and sex alone", "ECG alone", PRETEST]
    assert published["models"]["this model"]["expected"] is None, "the ECGs state no age"
    assert (published["patients"], published["with_symptoms"]) == (0, 0)
    assert manifest.training_run["encoder_start"] == "random weights"
    history = manifest.training_run["stages"]["finetuning"]
    assert history["best_epoch"] <= history["epochs"] == CONFIG.finetuning.epochs
    figure = manifest.metrics["stenosis_70"]["auroc"]
    assert 0.8 < figure["lower"] <= figure["value"] <= figure["upper"] <= 1
    assert "at least 50 of each are needed" in manifest.metrics["screened"]["cannot_tell"]
    calibrating = sum(manifest.training_data.patients[split] for split in ("validation", "calibration"))
    chosen_on = f"{calibrating} referred patients, as nothing is known of the others"
    expected = f"at most 100 alerts per 1,000 ECGs, chosen on {chosen_on}"
    assert {threshold.rule for threshold in manifest.thresholds.values()} == {expected}


@pytest.mark.slow
def test_the_same_data_and_seed_give_the_same_weights_also_after_a_kill(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    ToyHospital(store).write()
    undisturbed = trained(engine, store, settings)
    with pytest.raises(KilledError):
        train(engine, store, settings, CONFIG, killing_at("finetuning", 2))
    assert len(registered(engine)) == 1
    store.delete("ecg/3.dat")  # an ECG that was read before the kill is not read again

    told: list[tuple[str, int]] = []
    version = train(engine, store, settings, CONFIG, lambda stage, done, *_, **__: told.append((stage, done)))
    assert [done for stage, done in told if stage == "finetuning"] == [2, 3, 4]
    assert artefact_of(engine, store, version).weights == undisturbed.weights


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["cohort", "evaluate"])
def test_a_training_killed_elsewhere_registers_nothing_and_ends_when_started_again(
    engine: Engine, store: ObjectStore, settings: Settings, stage: str
) -> None:
    ToyHospital(store).write()
    scoring.index(engine, store, settings)
    with pytest.raises(KilledError):
        train(engine, store, settings, CONFIG, killing_at(stage, 1))
    assert registered(engine) == []
    train(engine, store, settings, CONFIG)
    assert len(registered(engine)) == 1


@pytest.mark.slow
def test_killed_between_publishing_and_registering_leaves_no_model_behind(
    engine: Engine, store: ObjectStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ToyHospital(store).write()
    scoring.index(engine, store, settings)
    with monkeypatch.context() as patch:
        patch.setattr(registry, "register", killed)
        with pytest.raises(KilledError):
            train(engine, store, settings, CONFIG)
    assert registered(engine) == []
    scorer(artefact_of(engine, store, train(engine, store, settings, CONFIG)), "cpu")


@pytest.mark.slow
def test_what_cannot_be_used_is_counted_by_reason(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    hospital = ToyHospital(store)
    hospital.add_ecg("late", "P0", heartbeats(2001), days_before=-1)
    hospital.add_ecg("old", "P0", heartbeats(2002), days_before=31)
    hospital.add_ecg("again", "P2", toy_ecg(2, ill=False), days_before=5)
    hospital.add_ecg("flat", "P4", np.zeros((12, 5000), np.int16))
    hospital.add_ecg("swapped", "P6", toy_ecg(8, ill=False))
    hospital.ecgs.append(("P10", "", "timeless"))
    store_ecg(store, "ecg/timeless.hea", heartbeats(2003))
    store_ecg(store, "ecg/nobody.hea", heartbeats(2004))
    hospital.add_ecg("elsewhere", "patient without study", heartbeats(2005))
    hospital.add_study("alone", "patient without ECG", degree=50)
    hospital.reports.append("broken,P12,yesterday,6,70")
    hospital.write()

    assert trained(engine, store, settings).manifest.training_data.left_out == {
        "row_time_unreadable": 1,
        "study_row_unusable": 1,
        "study_without_ecg": 2,
        "ecg_not_before_study": 2,
        "ecg_duplicate": 1,
        "ecg_flat_lead": 1,
        "ecg_patient_conflict": 2,
        "ecg_time_unknown": 1,
        "ecg_unknown_patient": 1,
    }


@pytest.mark.slow
def test_ecgs_of_any_rate_and_of_three_seconds_or_more_are_trained_on(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    hospital = ToyHospital(store)
    before = len(hospital.ecgs)
    for number, (seconds, rate) in enumerate([(3.0, 500), (4.5, 1000), (30.0, 250)]):
        for patient in ("P1", "P20", "P22"):
            signal = heartbeats(3000 + 10 * number + int(patient[1:]), seconds, rate)
            hospital.add_ecg(f"odd/{number}{patient}", patient, signal, rate=rate)
    hospital.write()
    data = trained(engine, store, settings).manifest.training_data
    assert data.left_out == {}
    assert sum(data.ecgs.values()) == before + 9
    assert sum(data.patients.values()) == PATIENTS


@pytest.mark.slow
def test_a_file_that_names_its_patient_needs_no_manifest(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    hospital = ToyHospital(store)
    hospital.add_study("S-dicom", "P-dicom", degree=95)
    hospital.write()
    store.put("ecg/own.dcm", dicom(patient="P-dicom", taken_at=STUDY - timedelta(days=1)))
    store.put("ecg/routine.dcm", dicom(patient="P-other", taken_at=STUDY))
    data = trained(engine, store, settings).manifest.training_data
    assert data.left_out == {}
    assert sum(data.ecgs.values()) == PATIENTS + 1


def dicom(patient: str, taken_at: datetime) -> bytes:
    dataset = dcmread(get_testdata_file("waveform_ecg.dcm"))
    dataset.PatientID = patient
    dataset.AcquisitionDateTime = f"{taken_at:%Y%m%d%H%M%S}"
    file = BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def test_too_few_patients_are_refused_with_what_was_found(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    hospital = ToyHospital(store, patients=12)
    hospital.add_ecg("flat", "P4", np.zeros((12, 5000), np.int16))
    hospital.write()
    scoring.index(engine, store, settings)
    with pytest.raises(
        StenceError, match=r"at least 5 patients with .* found train \d \+ \d.*ecg_flat_lead 1"
    ):
        train(engine, store, settings, CONFIG)


@pytest.mark.slow
def test_the_same_training_is_not_run_twice_at_once(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    ToyHospital(store).write()
    scoring.index(engine, store, settings)

    def start_another(stage: str, done: int, total: int | None = None, note: str = "") -> None:
        if (stage, done) == ("finetuning", 1):
            with pytest.raises(StenceError, match="already at work"):
                train(engine, store, settings, CONFIG)

    train(engine, store, settings, CONFIG, start_another)
    assert len(registered(engine)) == 1
