"""EchoNext's own files are read as they are, and each waveform meets the labels of its row."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stence.cohort import Split, split_of
from stence.ecg import resample
from stence.ecg.recipes import STENCE
from stence.errors import ConfigurationError
from stence.labels import load_config
from stence.labels.config import EchoNextSource
from stence.labels.echonext import read_echonext
from stence.labels.gathering import LabelledEcgs, gather
from stence.objects import LocalStore
from stence.progress import silent
from stence.settings import Settings

SOURCE = EchoNextSource(prefix="echonext/", labels=("lvef_lte_45_flag", "shd_moderate_or_greater_flag"))
ROWS = {"train": 30, "val": 3, "test": 4, "no_split": 2}
NOTHING_KNOWN = ("train", 5)


def waveforms(split: str) -> NDArray[np.float64]:
    """ECGs as the authors scale them; each has its own."""
    rng = np.random.default_rng(len(split))
    return rng.normal(0, 2, (ROWS[split], 1, 2500, 12)).cumsum(axis=2) / 20


def metadata() -> str:
    """The splits' rows in turn, as in the real table, with columns that nobody asks for."""
    lines = ["ecg_key,patient_key,split,age_at_ecg,lvef_lte_45_flag,shd_moderate_or_greater_flag"]
    for place in range(max(ROWS.values())):
        for split in sorted(ROWS):
            if place < ROWS[split]:
                answers = "," if (split, place) == NOTHING_KNOWN else f"{place % 2},{'' if place == 1 else 1}"
                lines.append(f"{split}{place},{patient(split, place)},{split},50,{answers}")
    return "\n".join(lines) + "\n"


def patient(split: str, place: int) -> str:
    return f"{7 * len(split)}{place:03d}"


def as_file(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path / "store")
    store.put("echonext/echonext_metadata_100k.csv", metadata().encode())
    for split in ("train", "val", "test"):
        store.put(f"echonext/EchoNext_{split}_waveforms.npy", as_file(waveforms(split)))
    return store


def gathered(store: LocalStore, folder: Path) -> LabelledEcgs:
    table = read_echonext(store, SOURCE)
    return gather(table, store, Settings(data_dir=folder), folder / "ecgs", silent, STENCE, SOURCE)


def test_every_waveform_meets_the_labels_of_its_row(store: LocalStore, tmp_path: Path) -> None:
    ecgs = gathered(store, tmp_path)
    assert {split: len(part) for split, part in ecgs.parts.items()} == {
        Split.TRAIN: 29 - calibrating(),
        Split.CALIBRATION: calibrating(),
        Split.VALIDATION: 3,
        Split.TEST: 4,
    }
    assert ecgs.left_out == {"row_without_split": 2, "record_without_known_label": 1}
    assert ecgs.without_patient == 0
    test = ecgs.parts[Split.TEST]
    np.testing.assert_array_equal(test.labels, [[0, 1], [1, np.nan], [0, 1], [1, 1]])
    for place, wanted in enumerate(waveforms("test")):
        prepared = STENCE.apply(resample(wanted[0].T.astype(np.float32), 250)[:, :1500])
        np.testing.assert_array_equal(test.signals[test.rows[place], 0], prepared)
    train = ecgs.parts[Split.TRAIN]
    places = [
        place
        for place in range(30)
        if place != NOTHING_KNOWN[1] and split_of(patient("train", place)) is not Split.CALIBRATION
    ]
    np.testing.assert_array_equal(train.labels[:, 0], [place % 2 for place in places])
    last = resample(waveforms("train")[places[-1], 0].T.astype(np.float32), 250)
    np.testing.assert_array_equal(train.signals[train.rows[-1]][:, : last.shape[1]], last)


def calibrating() -> int:
    return sum(
        split_of(patient("train", place)) is Split.CALIBRATION
        for place in range(30)
        if place != NOTHING_KNOWN[1]
    )


def test_the_preset_asks_for_no_conversion() -> None:
    config = load_config("echonext")
    assert config.echonext is not None
    assert config.echonext.prefix + config.echonext.metadata == "echonext/echonext_metadata_100k.csv"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (as_file(np.zeros((4, 2500, 12))), r"an array \(4, 2500, 12\) of float64, not \(n, 1, 2500, 12\)"),
        (as_file(np.zeros((4, 1, 2500, 12), dtype=int)), "of int64, not"),
        (as_file(np.zeros((3, 1, 2500, 12))), "3 waveforms, and row 3 has labels"),
        (as_file(np.zeros((4, 1, 2500, 12)))[:-8], "ends in row 3"),
        (as_file(np.full((4, 1), "code", dtype=object)), "of object, not"),
        (b"no array", "magic string"),
    ],
)
def test_other_waveforms_are_refused_and_nothing_is_unpickled(
    store: LocalStore, tmp_path: Path, content: bytes, said: str
) -> None:
    store.put("echonext/EchoNext_test_waveforms.npy", content)
    with pytest.raises(ConfigurationError, match=rf"EchoNext_test_waveforms.npy does not hold .*{said}"):
        gathered(store, tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (metadata().replace("patient_key", "patient"), "does not hold the metadata of EchoNext"),
        (metadata().replace("val2,", 'va"l2,'), "row_not_a_record; get the file again"),
    ],
)
def test_metadata_whose_rows_cannot_be_matched_are_refused(
    store: LocalStore, content: str, said: str
) -> None:
    store.put("echonext/echonext_metadata_100k.csv", content.encode())
    with pytest.raises(ConfigurationError, match=said):
        read_echonext(store, SOURCE)
