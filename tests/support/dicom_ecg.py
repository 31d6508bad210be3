"""pydicom's ECG, to be changed, and what becomes of it."""

from __future__ import annotations

import copy
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from stence import ecg
from stence.ecg import Reason, Recording, UnusableEcgError

ORIGINAL = Path(str(get_testdata_file("waveform_ecg.dcm")))


@pytest.fixture
def dataset() -> Dataset:
    return copy.deepcopy(pydicom.dcmread(ORIGINAL))


def decode(dataset: Dataset) -> Recording:
    content = BytesIO()
    dataset.save_as(content)
    return ecg.decode("ecg.dcm", {"ecg.dcm": content.getvalue()})


def decode_bytes(content: bytes) -> Recording:
    return ecg.decode("ecg.dcm", {"ecg.dcm": content})


def assert_same(recording: Recording, expected: Recording) -> None:
    assert recording.content_hash == expected.content_hash
    assert (recording.patient_id, recording.acquired_at) == (expected.patient_id, expected.acquired_at)
    assert (recording.measurements, recording.statements) == (expected.measurements, expected.statements)


def assert_refused(content: bytes, reason: Reason) -> None:
    with pytest.raises(UnusableEcgError) as caught:
        decode_bytes(content)
    assert caught.value.finding.reason is reason


def reason_of(dataset: Dataset) -> Reason:
    with pytest.raises(UnusableEcgError) as caught:
        decode(dataset)
    return caught.value.finding.reason


def rhythm(dataset: Dataset) -> Dataset:
    return dataset.WaveformSequence[0]


def channel(dataset: Dataset, index: int) -> Dataset:
    return rhythm(dataset).ChannelDefinitionSequence[index]
