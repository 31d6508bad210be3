"""Other labels, end to end: a table or headers and ECGs in the store -> a model and its report there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import load

from stence import encoders
from stence.cli import main
from stence.cohort import Split
from stence.ecg.recipes import PUBLISHED
from stence.errors import StenceError
from stence.fitting.finetuning import first_encoder
from stence.labels import LabelsConfig, LabelsReport, fit_labels
from stence.models import RiskModel
from stence.objects import ObjectStore
from stence.settings import Settings
from support.ecgs import heartbeats, store_ecg
from support.encoders import SMALL
from support.environment import set_environment
from support.pseudonyms import split_of
from support.published import NAMES, import_small
from support.toy_hospital import is_ill, toy_ecg

PATIENTS = 120
FINETUNING = {
    "encoder_config": {"width": 16, "depth": 1, "heads": 1},
    "epochs": 6,
    "warmup_epochs": 1,
    "patience": 6,
    "batch_size": 16,
    "encoder_rate": 5e-3,
    "head_rate": 5e-3,
}
TABLE = {
    "name": "toy",
    "table": {"key": "labels/toy.csv", "labels": ["upside_down", "in_part_known"]},
    "finetuning": FINETUNING,
    "bootstrap_resamples": 100,
}
HEADERS = TABLE | {
    "table": None,
    "headers": {"prefix": "ecg/", "labels": {"ill": ["164889003"], "words_only": ["Ischemia", "427084000"]}},
}


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Without a database: none is needed."""
    return Settings(data_dir=tmp_path, device="cpu")


def write_hospital(store: ObjectStore) -> None:
    """A label that is easy to see, another that is known of every third, and rows of ECGs that are not there,
    come twice, or are broken.
    """
    rows = ["record,patient_id,upside_down,in_part_known"]
    for number in range(PATIENTS):
        ill = is_ill(number)
        code = "164889003" if ill else "426783006,427084000"
        store_ecg(store, f"ecg/{number}.hea", toy_ecg(number, ill=ill), comments=(f"Dx: {code}",))
        rows.append(f"ecg/{number},P{number},{int(ill)},{int(ill) if number % 3 == 0 else ''}")
    store.put("ecg/copy.hea", store.get("ecg/3.hea"))
    store_ecg(store, "ecg/flat.hea", np.zeros((12, 5000), np.int16), comments=("Dx: 164889003",))
    rows += ["ecg/copy,P3,1,1", "ecg/nowhere,P1,1,1", "ecg/flat,P2,0,1", "ecg/5,P5,perhaps,1"]
    store.put("labels/toy.csv", "\n".join(rows).encode())


def config(**changes: object) -> LabelsConfig:
    return LabelsConfig.model_validate(TABLE | changes)


@pytest.mark.slow
def test_a_model_learns_a_table_of_labels_and_is_measured_on_each(
    store: ObjectStore, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_hospital(store)
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(config().model_dump(mode="json")))
    set_environment(monkeypatch, settings)
    result = CliRunner().invoke(main, ["labels", str(tmp_path / "toy.yaml")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "Not for scoring" in result.output

    report = stored_report(store)
    splits = [split_of(f"P{number}") for number in range(PATIENTS)]
    assert report.data.patients == {split: splits.count(split) for split in Split}
    assert report.data.left_out == {
        "ecg_duplicate": 1,
        "ecg_object_missing": 1,
        "ecg_flat_lead": 1,
        "row_label_unreadable": 1,
    }
    assert report.without_patient == 0
    figure = report.metrics["upside_down"]["auroc"]
    assert 0.6 < figure["lower"] <= figure["value"] <= figure["upper"] <= 1
    assert figure["value"] > 0.9
    known = [number for number in range(0, PATIENTS, 3) if splits[number] is Split.TEST]
    assert report.metrics["in_part_known"]["ecgs"] == len(known)
    assert report.metrics["in_part_known"]["cases"] == sum(map(is_ill, known))
    check_files(store, settings, report)


def stored_report(store: ObjectStore) -> LabelsReport:
    key = next(found.key for found in store.list("tasks/toy/") if found.key.endswith("report.json"))
    return LabelsReport.model_validate_json(store.get(key))


def check_files(store: ObjectStore, settings: Settings, report: LabelsReport) -> None:
    folder = f"tasks/{report.folder}"
    names = sorted(found.key.removeprefix(folder) for found in store.list(folder))
    assert names == ["model.safetensors", "report.json", "report.md"]
    model = RiskModel(encoders.build(report.architecture.encoder, **report.architecture.config), 2)
    model.load_state_dict(load(store.get(f"{folder}model.safetensors")), strict=True)
    text = store.get(f"{folder}report.md").decode()
    assert "not in the registry" in text
    assert "| upside_down |" in text
    assert LabelsConfig.model_validate(report.config) == config()
    assert "P17" not in text + json.dumps(report.model_dump(mode="json")), "it names a patient"
    assert not list((settings.data_dir / "training").iterdir()), "the working copy of signals is still there"


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["ecgfounder", "xecg"])
def test_a_linear_probe_of_published_weights_on_their_authors_input(
    store: ObjectStore, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: str
) -> None:
    write_hospital(store)
    store_ecg(store, "ecg/7.hea", heartbeats(7, seconds=8))
    published = import_small(encoder, store, settings, tmp_path, monkeypatch)
    sizes = {name: size for name, size in SMALL[encoder].items() if name != "window_samples"}
    chosen = {"encoder": encoder, "encoder_config": sizes, "recipe": "published", "weights": NAMES[encoder]}
    report = fit_labels(
        store, settings, config(finetuning=FINETUNING | chosen | {"frozen": True, "epochs": 30})
    )
    own = PUBLISHED[encoder]
    assert (report.preprocessing.version, report.preprocessing.windows) == (own.version, 1)
    assert report.architecture.config["window_samples"] == own.samples
    assert report.data.left_out["ecg_too_short"] == 1
    kept = load(store.get(f"tasks/{report.folder}model.safetensors"))
    assert all(torch.equal(kept[f"encoder.{name}"], tensor) for name, tensor in published.items())
    assert report.metrics["upside_down"]["auroc"]["value"] > 0.7


@pytest.mark.slow
def test_headers_are_a_source_and_their_ecgs_their_own_patients(
    store: ObjectStore, settings: Settings
) -> None:
    write_hospital(store)
    report = fit_labels(store, settings, LabelsConfig.model_validate(HEADERS))
    assert report.without_patient == sum(report.data.ecgs.values()) == PATIENTS
    assert report.metrics["ill"]["auroc"]["value"] > 0.9
    text = store.get(f"tasks/{report.folder}report.md").decode()
    assert f"{PATIENTS} ECGs name no patient" in text


@pytest.mark.slow
def test_a_linear_probe_is_published_with_the_encoder_it_began_with(
    store: ObjectStore, settings: Settings
) -> None:
    write_hospital(store)
    probe = config(finetuning=FINETUNING | {"frozen": True})
    report = fit_labels(store, settings, probe)
    published = load(store.get(f"tasks/{report.folder}model.safetensors"))
    for name, tensor in first_encoder(probe.finetuning).state_dict().items():
        assert torch.equal(published[f"encoder.{name}"], tensor), name


@pytest.mark.slow
def test_a_killed_fitting_ends_with_the_weights_it_would_have_had(
    store: ObjectStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_hospital(store)
    undisturbed = fit_labels(store, settings, config())

    def progress(stage: str, done: int, total: int | None = None, note: str = "") -> None:
        if (stage, done) == ("finetuning", 3):
            raise KilledError

    with pytest.raises(KilledError):
        fit_labels(store, settings, config(), progress)
    monkeypatch.setattr("stence.labels.gathering.take_in", None)  # ECGs are not opened a second time
    again = fit_labels(store, settings, config())
    assert again.files == undisturbed.files
    assert again.metrics == undisturbed.metrics


def test_a_label_nobody_has_is_named_with_what_was_found(store: ObjectStore, settings: Settings) -> None:
    write_hospital(store)
    labels = {"ill": ["164889003"], "unheard_of": ["1"]}
    with pytest.raises(StenceError, match=r"(?s)unheard_of: train 0 \+ \d+.*ecg_flat_lead 1"):
        fit_labels(store, settings, config(table=None, headers={"prefix": "ecg/", "labels": labels}))
