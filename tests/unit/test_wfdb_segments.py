"""WFDB records of several segments equal those of ``wfdb``; what they contradict or lack is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import wfdb
from numpy.typing import NDArray

from stence import ecg
from stence.ecg import LEADS, Reason, UnusableEcgError

RNG = np.random.default_rng(11)
LONG, SHORT = RNG.integers(-900, 900, (700, 12)), RNG.integers(-900, 900, (300, 12))
UNSTORED = "".join(f"~ 0 1000/mV 16 0 0 0 0 {lead}\n" for lead in LEADS)
LAYOUT = {"rec_layout.hea": f"rec_layout 12 250 0\n{UNSTORED}"}


def segment(
    name: str, samples: NDArray[np.int_], leads: tuple[str, ...] = LEADS, gain: int = 1000
) -> dict[str, bytes]:
    """The files of a record at 250 Hz; ``samples`` (n, leads)."""
    lines = [f"{name} {len(leads)} 250 {len(samples)}"]
    for lead, channel in zip(leads, samples.T, strict=True):
        total = (int(channel.sum()) + 2**15) % 2**16 - 2**15
        lines.append(f"{name}.dat 16 {gain}/mV 16 0 {channel[0]} {total} 0 {lead}")
    return {f"{name}.hea": "\n".join([*lines, ""]).encode(), f"{name}.dat": samples.astype("<i2").tobytes()}


def fixed(master: str = "rec/3 12 250 1200\nrec_1 700\n~ 200\nrec_2 300\n") -> dict[str, bytes]:
    return {"rec.hea": master.encode(), **segment("rec_1", LONG), **segment("rec_2", SHORT)}


def variable() -> dict[str, bytes]:
    """The second segment has other leads, in another order, and another gain."""
    leads, columns = ("V1", "II", "Pleth"), [6, 1, 0]
    return {
        "rec.hea": b"rec/4 12 250 1200\nrec_layout 0\nrec_1 700\n~ 200\nrec_2 300\n# subject_id: 7\n",
        **{name: text.encode() for name, text in LAYOUT.items()},
        **segment("rec_1", LONG),
        **segment("rec_2", SHORT[:, columns], leads, gain=500),
    }


def reason_of(files: Mapping[str, bytes]) -> Reason:
    with pytest.raises(UnusableEcgError) as caught:
        ecg.decode("rec.hea", files)
    return caught.value.finding.reason


WITHOUT_GAP = fixed("rec/3 12 250 1300\nrec_2 300\nrec_1 700\nrec_2 300\n")
"""``wfdb`` does not read a fixed layout with a gap."""


@pytest.mark.parametrize("files", [WITHOUT_GAP, variable()], ids=["fixed", "variable"])
def test_a_record_of_several_segments_equals_wfdb(files: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    theirs = wfdb.rdrecord(str(tmp_path / "rec"), m2s=True)
    recording = ecg.read(tmp_path / "rec")
    expected = np.full((12, theirs.sig_len), np.nan, dtype=np.float32)
    for row, lead in enumerate(LEADS):
        expected[row] = theirs.p_signal[:, theirs.sig_name.index(lead)]
    np.testing.assert_array_equal(recording.signal, expected)
    assert recording.sampling_rate == 250


def test_a_segment_without_a_lead_leaves_it_out() -> None:
    signal = ecg.decode("rec.hea", variable()).signal
    assert not np.isnan(signal[:, :700]).any()
    assert np.isnan(signal[0, 900:]).all()
    np.testing.assert_allclose(signal[6, 900:], SHORT[:, 6] / 500, rtol=1e-6)


def test_a_gap_is_no_signal() -> None:
    signal = ecg.decode("rec.hea", fixed()).signal
    assert np.isnan(signal).all(axis=0).nonzero()[0].tolist() == list(range(700, 900))
    np.testing.assert_allclose(signal[:, 900:], SHORT.T / 1000, rtol=1e-6)


def test_files_are_named_as_they_become_known() -> None:
    files = variable()
    first = {"rec.hea": files["rec.hea"]}
    assert ecg.companions("rec.hea", first) == ("rec_layout.hea", "rec_1.hea", "rec_2.hea")
    headers = {name: content for name, content in files.items() if name.endswith(".hea")}
    assert set(ecg.companions("rec.hea", headers)) == set(files) - {"rec.hea"}
    assert set(ecg.parts("rec.hea", headers) or ()) == set(files) - {"rec.hea"}


@pytest.mark.parametrize("name", ["rec_1.hea", "rec_1.dat", "rec_2.hea"])
def test_a_missing_file_is_named(name: str) -> None:
    files = fixed()
    del files[name]
    with pytest.raises(UnusableEcgError, match=name) as caught:
        ecg.decode("rec.hea", files)
    assert caught.value.finding.reason is Reason.OBJECT_MISSING


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("rec/3", "rec/0", Reason.IMPLAUSIBLE_SIZE),
        ("rec/3", "rec/257", Reason.IMPLAUSIBLE_SIZE),
        ("rec/3", "rec/x", Reason.BROKEN_HEADER),
        ("rec/3", "rec/9", Reason.BROKEN_HEADER),
        ("250 1200", "250 1300", Reason.BROKEN_HEADER),
        ("250 1200", "500 1200", Reason.BROKEN_HEADER),
        ("rec_2 300\n", "rec_2 -300\n", Reason.BROKEN_HEADER),
        ("1200\nrec_1 700", "1201\nrec_1 701", Reason.BROKEN_HEADER),
        ("1200\nrec_1 700\n~ 200", "9999999999\nrec_1 700\n~ 9999998999", Reason.IMPLAUSIBLE_SIZE),
        ("rec_1 700\n~ 200\nrec_2 300", "~ 700\n~ 200\n~ 300", Reason.BROKEN_HEADER),
        ("rec_1 700", "../rec_1 700", Reason.BROKEN_HEADER),
        ("rec_1 700", "/etc/rec_1 700", Reason.BROKEN_HEADER),
        ("rec_1 700", "a\\rec_1 700", Reason.BROKEN_HEADER),
        ("rec_1 700", "rec 700", Reason.BROKEN_HEADER),
    ],
)
def test_masters_that_contradict_themselves(old: str, new: str, reason: Reason) -> None:
    files = fixed()
    master = files["rec.hea"].decode()
    assert old in master
    assert reason_of(files | {"rec.hea": master.replace(old, new).encode()}) is reason


def test_a_segment_shorter_than_it_says() -> None:
    """Its own header leaves the length to its signal file."""
    files = fixed()
    lines = ["rec_2 12 250", *(f"rec_2.dat 16 1000/mV 16 0 0 0 0 {lead}" for lead in LEADS)]
    files["rec_2.hea"] = "\n".join(lines).encode()
    assert ecg.decode("rec.hea", files).signal.shape == (12, 1200)
    assert reason_of(files | {"rec_2.dat": files["rec_2.dat"][:-24]}) is Reason.TRUNCATED


def test_a_segment_with_a_lead_twice() -> None:
    files = fixed() | segment("rec_2", SHORT, ("I", *LEADS[1:11], "I"))
    assert reason_of(files) is Reason.DOUBLED_LEAD


def test_patients_of_segments() -> None:
    files = fixed()
    named = {**files, "rec_2.hea": files["rec_2.hea"] + b"# subject_id: 8\n"}
    assert ecg.decode("rec.hea", named).patient_id == "8"
    named["rec.hea"] += b"# subject_id: 7\n"
    assert reason_of(named) is Reason.UNREADABLE_PATIENT


def test_a_layout_alone_is_no_ecg() -> None:
    with pytest.raises(UnusableEcgError, match="layout") as caught:
        ecg.decode("rec_layout.hea", {name: text.encode() for name, text in LAYOUT.items()})
    assert caught.value.finding.reason is Reason.UNSUPPORTED_FORMAT


def test_few_leads_are_refused_before_samples_are_read() -> None:
    files = {"rec.hea": b"rec/1 3 250 300\nrec_1 300\n", **segment("rec_1", SHORT[:, :3], LEADS[:3])}
    assert reason_of(files) is Reason.MISSING_LEADS
