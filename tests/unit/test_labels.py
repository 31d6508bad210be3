"""Other labels than stenosis: where they come from, what is learned from them, how they are measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from stence.cohort import Part, Split
from stence.domain.thresholds import Sensitivity
from stence.errors import ConfigurationError
from stence.fitting.losses import label_loss
from stence.fitting.tasks import LabelTask
from stence.labels import LabelsConfig, load_config
from stence.labels.diagnoses import read_diagnoses
from stence.labels.measuring import Measured, measure
from stence.labels.table import LabelTable, read_labels
from stence.objects import LocalStore
from stence.progress import silent
from stence.settings import Settings

NAN = float("nan")
FINETUNING = {"epochs": 1, "patience": 1, "encoder_rate": 1e-3, "head_rate": 1e-3}
SETTINGS = Settings(device="cpu")

CINC = b"A1 12 500 5000\n#Age: 80\n# Dx: 164889003, 39732003\n#Rx: Unknown\n"
LUDB = (
    b"1 12 500 5000\n#<age>: 51\n#<diagnoses>:\n#Rhythm: Sinus bradycardia.\n"
    b"#Ischemia: inferior wall. \n#STEMI: apical. #Atrial extrasystole, type: single PAC.\n"
)

# --- diagnoses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "terms", "answer"),
    [
        (CINC, ["164889003"], 1),
        (CINC, ["426783006", "39732003"], 1),
        (CINC, ["426783006"], 0),
        (CINC, ["3973200"], 0),
        (LUDB, ["Rhythm: Sinus bradycardia"], 1),
        (LUDB, ["rhythm: sinus rhythm"], 0),
        (LUDB, ["Ischemia"], 1),
        (LUDB, ["Isch"], 0),
        (LUDB, ["Atrial extrasystole"], 1),
        (LUDB, ["STEMI: apical"], 1),
    ],
)
def test_a_diagnosis_stands_in_the_header_or_not(header: bytes, terms: list[str], answer: float) -> None:
    diagnoses = read_diagnoses(header)
    assert diagnoses is not None
    assert diagnoses.answer(terms) == answer


def test_what_a_header_has_no_words_for_is_unknown() -> None:
    codes, words = read_diagnoses(CINC), read_diagnoses(LUDB)
    assert codes is not None
    assert words is not None
    assert np.isnan(codes.answer(["Ischemia"]))
    assert np.isnan(words.answer(["164889003"]))
    assert codes.answer(["164889003", "Rhythm: Atrial fibrillation"]) == 1
    assert words.answer(["164889003", "Rhythm: Atrial fibrillation"]) == 0


@pytest.mark.parametrize(
    "header", [b"1 12 500 5000\n#Age: 51\n", b"#Dx: Unknown\n", b"#<diagnoses>:\n", b"\xff\x00"]
)
def test_a_header_without_diagnoses_says_nothing(header: bytes) -> None:
    assert read_diagnoses(header) is None


LUDB_COLUMNS = {
    "sinus_bradycardia": ("Rhythms", "Sinus bradycardia"),
    "atrial_fibrillation": ("Rhythms", "Atrial fibrillation"),
    "left_axis_deviation": ("Electric axis of the heart", "left axis deviation"),
    "right_bundle_branch_block": ("Conduction abnormalities", "right bundle branch block"),
    "repolarization": ("Non-specific repolarization abnormalities", "repolarization"),
    "left_ventricular_hypertrophy": ("Hypertrophies", "Left ventricular hypertrophy"),
}


def answers_of(shared: Path, collection: str) -> dict[str, list[float]]:
    """The answers of the preset ``rhythms`` by record, without its folder."""
    preset = load_config("rhythms").model_dump()
    headers = preset["headers"] | {"prefix": f"{collection}/"}
    table = labels_of(LocalStore(shared / "data"), preset | {"headers": headers})
    assert list(table.names) == list(LUDB_COLUMNS)
    return {row.record.partition("/")[2]: list(row.answers) for row in table.rows}


def test_headers_of_ludb_say_what_its_own_table_does(shared: Path) -> None:
    own = pd.read_csv(shared / "data/ludb/ludb.csv", dtype=str).fillna("")
    expected = {
        row["ID"]: [float(words in row[column]) for column, words in LUDB_COLUMNS.values()]
        for _, row in own.iterrows()
    }
    assert answers_of(shared, "ludb") == expected


def test_headers_of_the_challenge_know_nothing_of_a_label_without_codes(shared: Path) -> None:
    answers = np.array(list(answers_of(shared, "cinc2021").values()))
    assert (answers == 1).sum(axis=0).tolist() == [11, 2, 4, 3, 3, 0]
    assert np.isnan(answers).sum(axis=0).tolist() == [0, 0, 0, 0, 0, len(answers)]


# --- tables -------------------------------------------------------------------------------------------------

ROWS = """record,patient_id,low_ef,stenosis,age
ecg/1,P1,1,0,70
ecg/2,P2,,true,71
ecg/3,,0,False,72
"""


def labels_of(store: LocalStore, config: Mapping[str, object]) -> LabelTable:
    return read_labels(store, SETTINGS, LabelsConfig.model_validate(config), silent)


def table_config(key: str = "labels.csv") -> dict[str, object]:
    source = {"key": key, "labels": ["low_ef", "stenosis"]}
    return {"name": "echo", "table": source, "finetuning": FINETUNING}


def read_table(folder: Path, content: bytes, key: str = "labels.csv") -> LabelTable:
    store = LocalStore(folder)
    store.put(key, content)
    return labels_of(store, table_config(key))


def parquet(rows: str) -> bytes:
    buffer = BytesIO()
    pd.read_csv(BytesIO(rows.replace("true", "1").replace("False", "0").encode())).to_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(("key", "write"), [("labels.csv", str.encode), ("labels.parquet", parquet)])
def test_a_table_says_yes_no_or_nothing(tmp_path: Path, key: str, write: Callable[[str], bytes]) -> None:
    table = read_table(tmp_path, write(ROWS), key)
    assert [(row.record, row.patient_id) for row in table.rows] == [
        ("ecg/1", "P1"),
        ("ecg/2", "P2"),
        ("ecg/3", None),
    ]
    np.testing.assert_array_equal([row.answers for row in table.rows], [[1, 0], [NAN, 1], [0, 0]])
    assert table.left_out == {}


def test_rows_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    bad = "ecg/4,P4,maybe,0,1\n,P5,1,0,1\necg/6,P6\necg/7,P7,,,60\necg/1,P1,0,0,70\necg/2,P2,,1,71\n"
    table = read_table(tmp_path, (ROWS + bad).encode())
    assert [row.record for row in table.rows] == ["ecg/2", "ecg/3"]
    assert table.left_out == {
        "row_label_unreadable": 1,
        "row_id_missing": 1,
        "row_not_a_record": 1,
        "record_without_known_label": 1,
        "record_contradicted": 1,
    }


@pytest.mark.parametrize(
    ("key", "content"), [("labels.csv", b"record,low_ef\necg/1,1\n"), ("labels.parquet", b"PAR1 and no more")]
)
def test_a_file_that_is_no_such_table_is_refused(tmp_path: Path, key: str, content: bytes) -> None:
    with pytest.raises(ConfigurationError, match=f"{key} is no table of labels"):
        read_table(tmp_path, content, key)


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"labels\.csv is no table of labels"):
        labels_of(LocalStore(tmp_path), table_config())


# --- configurations -----------------------------------------------------------------------------------------


def test_ready_configurations_can_be_read() -> None:
    assert len(load_config("echonext").labels) == 12
    assert "atrial_fibrillation" in load_config("rhythms").labels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"table": None}, "name one of the three"),
        ({"headers": {"prefix": "ecg/", "labels": {"af": ["1"]}}}, "name one of the three"),
        ({"table": {"key": "x", "labels": ["record"]}}, "record cannot be a label"),
        ({"table": {"key": "x", "labels": ["a", "a"]}}, "a label is named twice"),
        ({"table": None, "headers": {"prefix": "ecg/", "labels": {"af": []}}}, "af: name at least one"),
        ({"name": "../models"}, "String should match"),
    ],
)
def test_configurations_that_mean_nothing_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LabelsConfig.model_validate(table_config() | change)


# --- learning -----------------------------------------------------------------------------------------------


def test_unknown_labels_teach_nothing() -> None:
    answers = torch.tensor([[1.0, NAN], [0.0, 1.0], [NAN, NAN]])
    logits = torch.zeros(3, 2, requires_grad=True)
    loss = label_loss(logits, answers, torch.ones(3, 2), smoothing=0)
    loss.backward()
    assert loss.item() == pytest.approx(np.log(2))
    assert logits.grad is not None
    np.testing.assert_array_equal((logits.grad != 0).numpy(), ~answers.isnan().numpy())

    nothing = label_loss(logits, torch.full((3, 2), NAN), torch.zeros(3, 2), smoothing=0.1)
    assert nothing.item() == 0


def test_each_label_has_its_own_classes_and_its_own_ecgs() -> None:
    answers = np.array([[1, NAN], [1, 0], [0, NAN], [0, 1], [0, 0]], np.float32)
    patients = np.array([1, 1, 2, 3, 4])
    weights = LabelTask(("first", "second")).weights(answers, patients)
    ill, well = np.sqrt(4 / 1) / 2, np.sqrt(4 / 3)
    np.testing.assert_allclose(weights[:, 0], [ill, ill, well, well, well])
    np.testing.assert_allclose(weights[:, 1], [0, np.sqrt(3 / 2), 0, np.sqrt(3), np.sqrt(3 / 2)])


def test_the_figure_is_the_mean_of_the_labels_that_have_both_answers() -> None:
    part = part_of(np.array([[1, 1, NAN], [0, 1, NAN], [1, 1, 0], [0, NAN, 1]], np.float32))
    logits = np.array([[2, 0, 5], [1, 0, 5], [3, 0, 1], [0, 0, 0]], float)
    assert LabelTask(("good", "always", "wrong")).figure(logits, part) == pytest.approx((1 + 0) / 2)


# --- measuring ----------------------------------------------------------------------------------------------


def part_of(labels: NDArray[np.float32]) -> Part:
    n = len(labels)
    return Part(
        contents=tuple(map(str, range(n))),
        patients=np.arange(n) // 2,
        studies=np.arange(n),
        labels=labels,
        degrees=np.full((n, 16), NAN, np.float32),
        sex=np.full(n, ""),
        age=np.full(n, NAN),
        samples=np.full(n, 1500),
        rows=np.arange(n),
        signals=np.zeros((n, 1, 12, 1500), np.float32),
    )


def test_what_is_measured_of_a_label_does_not_depend_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=(80, 2)).astype(np.float32)
    labels[::3, 0] = NAN
    logits = rng.normal(size=(80, 2)) + np.nan_to_num(labels)
    alone = measured(labels[:, :1], logits[:, :1], monkeypatch)
    beside = measured(labels, logits, monkeypatch)
    other = measured(np.stack([labels[:, 0], np.full(80, NAN)], 1).astype(np.float32), logits, monkeypatch)

    assert alone.metrics["label 0"] == beside.metrics["label 0"] == other.metrics["label 0"]
    assert alone.thresholds["label 0"] == beside.thresholds["label 0"] == other.thresholds["label 0"]
    found = alone.metrics["label 0"]
    assert found["ecgs"] == (~np.isnan(labels[:, 0])).sum()
    assert found["cases"] == (labels[:, 0] == 1).sum()
    assert found["auroc"]["lower"] < found["auroc"]["value"] < found["auroc"]["upper"]
    unknown = other.metrics["label 1"]
    assert unknown["ecgs"] == 0
    assert unknown["auroc"] == unknown["brier"] == {"value": None, "lower": None, "upper": None}


def test_a_label_with_few_patients_to_calibrate_on_keeps_its_probabilities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = np.zeros((80, 2), np.float32)
    labels[::2, 0] = labels[:8, 1] = 1
    result = measured(labels, np.random.default_rng(0).normal(size=(80, 2)), monkeypatch)
    assert [result.metrics[f"label {number}"]["calibrated"] for number in (0, 1)] == [True, False]
    assert result.calibration.slopes[1] == 1
    assert result.calibration.intercepts[1] == 0


def measured(
    labels: NDArray[np.float32], logits: NDArray[np.float64], monkeypatch: pytest.MonkeyPatch
) -> Measured:
    """Measured in three splits that are alike, of a model that says ``logits``."""
    monkeypatch.setattr("stence.labels.measuring.ecg_logits", lambda model, part, device: logits)
    parts = dict.fromkeys((Split.VALIDATION, Split.CALIBRATION, Split.TEST), part_of(labels))
    names = tuple(f"label {number}" for number in range(labels.shape[1]))
    return measure(None, parts, names, Sensitivity(0.8), 100, "cpu")
