"""WFDB records: equal to ``wfdb`` to the last bit, and refused for a reason where they are broken."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import wfdb

from stence import ecg
from stence.ecg import Reason, UnusableEcgError
from stence.ecg.formats import wfdb_header, wfdb_samples
from stence.ecg.formats.kinds import is_hidden, suffix_of
from stence.ecg.formats.limits import DEFAULT_LIMITS

DATA = Path(__file__).parents[1] / "data" / "wfdb"
LEAD_NAMES = list(ecg.LEADS)
STORED = [0, 1, 6, 7, 8, 9, 10, 11]


def files_of(header: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in header.parent.glob(f"{header.stem}.*")}


def reference(header: Path, folder: Path) -> wfdb.Record:
    """What ``wfdb`` reads, after mending a record line that names a file (``E00271.mat``)."""
    for path in header.parent.glob(f"{header.stem}.*"):
        shutil.copy(path, folder)
    mended = folder / header.name
    mended.chmod(0o644)
    mended.write_bytes(
        mended.read_bytes().replace(f"{header.stem}.mat 12".encode(), f"{header.stem} 12".encode(), 1)
    )
    return wfdb.rdrecord(str(mended.with_suffix("")))


def assert_equals_wfdb(header: Path, folder: Path) -> None:
    parsed = wfdb_header.parse(header.read_bytes(), DEFAULT_LIMITS)
    ours = wfdb_samples.read(parsed, range(len(parsed.channels)), files_of(header), DEFAULT_LIMITS)
    theirs = reference(header, folder)
    assert ours.tobytes() == theirs.p_signal.T.astype(np.float32).tobytes()
    assert parsed.sampling_rate == theirs.fs


SAMPLES = np.random.default_rng(5).integers(-900, 900, (1000, 12)).astype("<i2")


def record(samples: np.ndarray = SAMPLES, names: Sequence[str] = ecg.LEADS) -> dict[str, bytes]:
    """The files of a small record at 250 Hz, from samples (n, channels)."""
    lines = [f"small {len(names)} 250 {len(samples)}"]
    for name, total in zip(names, samples.sum(axis=0, dtype=int), strict=True):
        lines.append(f"small.dat 16 1000/mV 16 0 0 {total} 0 {name}")
    return {"small.hea": "\n".join(lines).encode(), "small.dat": samples.tobytes()}


def edited(old: str, new: str, count: int = -1) -> dict[str, bytes]:
    files = record()
    return files | {"small.hea": files["small.hea"].replace(old.encode(), new.encode(), count)}


def reason_of(files: dict[str, bytes]) -> Reason:
    with pytest.raises(UnusableEcgError) as caught:
        ecg.decode("small.hea", files)
    return caught.value.finding.reason


@pytest.mark.parametrize("name", ["1", "E00271", "00001_lr"])
def test_shipped_records_equal_wfdb(name: str, tmp_path: Path):
    assert_equals_wfdb(DATA / f"{name}.hea", tmp_path)


@pytest.mark.shared
@pytest.mark.parametrize("folder", ["ludb", "cinc2021", "ptb", "ptbxl", "muse"])
def test_every_record_equals_wfdb(shared: Path, folder: str, tmp_path: Path):
    headers = sorted((shared / "data" / folder).glob("*.hea"))
    assert headers
    for header in headers:
        assert_equals_wfdb(header, tmp_path)


def write(folder: Path, fmt: str) -> tuple[Path, wfdb.Record]:
    """A record in another format as ``wfdb`` writes and reads it: 8 leads, with invalid samples in V1."""
    digital = np.random.default_rng(7).integers(-100, 100, (1001, 8))
    digital[40:50, 2] = {"80": -(2**7), "508": -(2**7), "212": -(2**11)}.get(fmt, -(2 ** (int(fmt[-2:]) - 1)))
    record = wfdb.Record(
        record_name="other", fs=250, n_sig=8, sig_len=1001, sig_name=[LEAD_NAMES[row] for row in STORED],
        fmt=[fmt] * 8, adc_gain=[200.0 + row for row in range(8)], baseline=list(range(8)), units=["mV"] * 8,
        file_name=["other.dat"] * 8, d_signal=digital, adc_res=[8] * 8, adc_zero=[0] * 8,
        init_value=digital[0].tolist(), block_size=[0] * 8,
    )  # fmt: skip
    record.checksum = record.calc_checksum()
    record.wrsamp(write_dir=str(folder))
    return folder / "other.hea", wfdb.rdrecord(str(folder / "other"))


@pytest.mark.parametrize("fmt", ["16", "24", "32", "80", "212", "508", "516", "524"])
def test_every_format_equals_wfdb(fmt: str, tmp_path: Path):
    header, theirs = write(tmp_path, fmt)
    signal = ecg.read(header).signal
    np.testing.assert_array_equal(signal[STORED], theirs.p_signal.T.astype(np.float32))
    assert np.flatnonzero(np.isnan(signal[6])).tolist() == list(range(40, 50))
    assert not np.isnan(signal[:6]).any()


def test_skewed_channels_are_brought_in_line(tmp_path: Path):
    header, _ = write(tmp_path, "16")
    header.write_text(header.read_text().replace("other.dat 16 ", "other.dat 16:3 ", 1))
    theirs = wfdb.rdrecord(str(header.with_suffix("")))
    np.testing.assert_array_equal(ecg.read(header).signal[STORED], theirs.p_signal.T.astype(np.float32))


def test_several_samples_a_frame_are_averaged():
    frames = SAMPLES.reshape(500, 2, 12)
    files = record(np.ascontiguousarray(frames.transpose(0, 2, 1)).reshape(1000, 12))
    header = record()["small.hea"].replace(b" 250 1000", b" 250 500").replace(b".dat 16 ", b".dat 16x2 ")
    signal = ecg.decode("small.hea", files | {"small.hea": header}).signal
    np.testing.assert_allclose(signal, frames.mean(axis=1).T / 1000, atol=1e-6)


def test_invalid_sample_codes_are_nan():
    samples = SAMPLES.copy()
    samples[3, 2] = -32768
    assert np.argwhere(np.isnan(ecg.decode("small.hea", record(samples)).signal)).tolist() == [[2, 3]]


@pytest.mark.parametrize(
    ("unit", "millivolts"), [("mv", 1), ("uV", 1e-3), ("µV", 1e-3), ("μV", 1e-3), ("V", 1e3)]
)
def test_units_are_honoured(unit: str, millivolts: float):
    expected = ecg.decode("small.hea", record()).signal.astype(float) * millivolts
    signal = ecg.decode("small.hea", edited("/mV", f"/{unit}")).signal
    np.testing.assert_allclose(signal, expected, rtol=1e-6)


def test_latin_1_micro_sign_is_understood():
    files = record()
    files["small.hea"] = files["small.hea"].replace(b"/mV", b"/\xb5V")
    assert np.nanmax(ecg.decode("small.hea", files).signal) < 0.001


def test_default_of_the_baseline():
    plain = ecg.decode("small.hea", record()).signal
    adc_zero = ecg.decode("small.hea", edited("/mV 16 0", "/mV 16 100")).signal
    np.testing.assert_allclose(adc_zero, plain - 0.1, atol=1e-6)


def test_length_may_be_left_to_the_file():
    assert ecg.decode("small.hea", edited("250 1000", "250")).signal.shape == (12, 1000)


def test_extra_leads_are_dropped_and_order_is_restored():
    order = [11, 3, 0, 1, 2, 10, 9, 8, 7, 6, 5, 4]
    names = [LEAD_NAMES[lead].lower() for lead in order]
    files = record(np.hstack([SAMPLES[:, :1], SAMPLES[:, order]]), ["vx", *names])
    np.testing.assert_array_equal(
        ecg.decode("small.hea", files).signal, ecg.decode("small.hea", record()).signal
    )


@pytest.mark.shared
def test_needed_files_only(shared: Path):
    header = (shared / "data/ptb/s0010_re.hea").read_bytes()
    assert ecg.companions("s0010_re.hea", {"s0010_re.hea": header}) == (
        "s0010_re.dat",
    )  # the vectorcardiogram stays away


def test_record_without_extension_is_read():
    recording = ecg.read(DATA / "E00271")
    assert recording.signal.shape == (12, 5000)
    assert recording.sampling_rate == 500


def test_missing_files_are_named(tmp_path: Path):
    with pytest.raises(UnusableEcgError, match="nowhere"):
        ecg.read(tmp_path / "nowhere")
    shutil.copy(DATA / "1.hea", tmp_path)
    with pytest.raises(UnusableEcgError, match=r"1\.dat is missing") as caught:
        ecg.read(tmp_path / "1.hea")
    assert caught.value.finding.reason is Reason.OBJECT_MISSING


def test_patient_time_sex_and_age_are_taken_from_the_header():
    files = edited(" 250 1000", " 250 1000 10:16:05.25 23/05/2017")
    files["small.hea"] += b"\n# <subject_id>: 10000032\n#<age>: 52\n#<sex>: F\n"
    recording = ecg.decode("small.hea", files)
    assert recording.patient_id == "10000032"
    assert recording.acquired_at == datetime(2017, 5, 23, 10, 16, 5, 250000)
    assert (recording.sex, recording.age) == ("F", 52)
    assert "10000032" not in repr(recording)


def test_device_site_and_indication_are_taken_from_the_header():
    files = record()
    files["small.hea"] += (
        b"\n# Device: Cardio 200\n#<site>:  Ward\x00 4\tNorth \n# Indication: chest pain\r\n"
    )
    recording = ecg.decode("small.hea", files)
    assert (recording.device, recording.site, recording.indication) == (
        "Cardio 200",
        "Ward 4 North",
        "chest pain",
    )
    assert recording.content_hash == ecg.decode("small.hea", record()).content_hash
    for remark in (b"", b"# Site:", b"# Site: \x00\x07", b"# Website: a", b"# site visit on Monday"):
        assert (
            ecg.decode("small.hea", record() | {"small.hea": record()["small.hea"] + b"\n" + remark}).site
            is None
        )


def test_an_endless_site_is_cut_short():
    files = record()
    files["small.hea"] += b"\n# Site: " + 1000 * b"ward "
    assert len(ecg.decode("small.hea", files).site or "") <= 200


def test_other_ways_to_write_sex_age_and_time():
    georgia = ecg.read(DATA / "E00271.hea")
    assert (georgia.sex, georgia.age) == ("F", 83)
    assert georgia.acquired_at == datetime(2020, 5, 5, 14, 50, 55)
    ptb = record()
    ptb["small.hea"] += b"\r\n# age: 81\r\n# sex: male\r\n"
    assert (ecg.decode("small.hea", ptb).sex, ecg.decode("small.hea", ptb).age) == ("M", 81)
    unknown = edited("250 1000", "250 1000 12:00:00 31/02/2020")
    unknown["small.hea"] += b"\n#Age: NaN\n#Sex: Unknown\n"
    assert ecg.decode("small.hea", unknown).acquired_at is None
    assert (ecg.decode("small.hea", unknown).sex, ecg.decode("small.hea", unknown).age) == (None, None)


def test_same_content_has_the_same_hash_and_any_change_another():
    plain = ecg.decode("small.hea", record())
    assert plain.content_hash == ecg.decode("small.hea", edited("small 12", "renamed 12")).content_hash
    assert plain.content_hash != ecg.decode("small.hea", edited("12 250", "12 251")).content_hash
    assert plain.content_hash != ecg.decode("small.hea", edited("1000/mV", "1001/mV", 1)).content_hash


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("small 12", "small 0", Reason.IMPLAUSIBLE_SIZE),
        ("small 12", "small 13", Reason.BROKEN_HEADER),
        ("1000/mV", "0", Reason.UNKNOWN_UNIT),
        ("1000/mV", "0(0)/mV", Reason.UNKNOWN_UNIT),
        ("12 250", "12 0", Reason.BROKEN_HEADER),
        ("12 250", "12 fast", Reason.BROKEN_HEADER),
        ("250 1000", "250 999999999999", Reason.IMPLAUSIBLE_SIZE),
        ("250 1000", "250 1001", Reason.TRUNCATED),
        (".dat 16", ".dat 77", Reason.UNSUPPORTED_FORMAT),
        (".dat 16", ".dat 16x0", Reason.BROKEN_HEADER),
        (".dat 16", ".dat 16+24", Reason.TRUNCATED),
        (".dat 16", ".dat 16x999999999", Reason.TRUNCATED),
        ("small.dat", "../small.dat", Reason.BROKEN_HEADER),
        ("small.dat", "/etc/passwd", Reason.BROKEN_HEADER),
        ("small.dat", "elsewhere.dat", Reason.OBJECT_MISSING),
        ("1000/mV", "1e999/mV", Reason.BROKEN_HEADER),
        ("1000/mV", "1000/mmHg", Reason.UNKNOWN_UNIT),
        ("0 I\n", "0 MLI\n", None),
        ("0 V3", "0 V7", Reason.MISSING_LEADS),
    ],
)
def test_broken_headers_are_refused_for_a_reason(old: str, new: str, reason: Reason | None):
    files = edited(old, new)
    if reason is None:  # lead I follows from the other limb leads
        assert ecg.decode("small.hea", files).signal.shape == (12, 1000)
    else:
        assert reason_of(files) is reason


def test_changed_samples_contradict_the_checksum():
    files = record()
    files["small.dat"] = bytes([files["small.dat"][0] ^ 1]) + files["small.dat"][1:]
    assert reason_of(files) is Reason.CHECKSUM_MISMATCH


def test_empty_and_missing_files_are_refused():
    assert reason_of({"small.hea": b"", "small.dat": b""}) is Reason.BROKEN_HEADER
    assert reason_of({}) is Reason.OBJECT_MISSING
    assert reason_of(record() | {"small.dat": b""}) is Reason.TRUNCATED


@pytest.mark.shared
@pytest.mark.parametrize("count", ["six", "four", "three", "two"])
def test_reduced_lead_records_are_refused_before_their_samples_are_fetched(shared: Path, count: str):
    name = f"{count}_JS20000.hea"
    header = (shared / "data/reduced_leads" / name).read_bytes()
    with pytest.raises(UnusableEcgError, match=r"no .*V6") as caught:
        ecg.companions(name, {name: header})
    assert caught.value.finding.reason is Reason.MISSING_LEADS


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("ecg/p10/40689238.hea", "main"),
        ("ecg/study.dcm", "main"),
        ("ecg/IM000001", "main"),
        ("ecg/old.scp", "main"),
        ("ecg/p10/40689238.dat", "signal"),
        ("ecg/A0001.MAT", "signal"),
        ("ecg/1.atr", "annotation"),
        ("ecg/1.avr", "annotation"),
        ("ecg/holter.ECG", "annotation"),
        ("ecg/record_list.csv", "other"),
        ("ecg/README.md", "other"),
        ("ecg/RECORDS", "other"),
        ("ecg/.partial/1.hea", "other"),
        ("ecg/scan.JPG", "other"),
    ],
)
def test_what_a_files_name_says_it_is(key: str, kind: str):
    assert ecg.file_kind(key) == kind


def test_unknown_kinds_are_unsupported():
    with pytest.raises(UnusableEcgError) as caught:
        ecg.decode("old.scp", {"old.scp": b"\x00" * 200})
    assert caught.value.finding.reason is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("key", ["a.hea", "a/b.C.DAT", "a.", ".hea", "a/.b/c.dcm", "./a.b", "a/./b", "a/..b"])
def test_names_are_taken_apart_as_by_pathlib(key: str):
    path = PurePosixPath(key)
    assert suffix_of(path.name) == path.suffix.lower()
    assert is_hidden(key) == any(part.startswith(".") for part in path.parts)


@pytest.mark.parametrize(("channels", "accepted"), [(64, True), (65, False)])
def test_no_resting_ecg_has_more_than_64_channels(channels: int, accepted: bool):
    names = [*ecg.LEADS, *(f"x{number}" for number in range(channels - 12))]
    files = record(np.resize(SAMPLES, (100, channels)), names)
    if accepted:
        assert ecg.decode("small.hea", files).signal.shape == (12, 100)
    else:
        assert reason_of(files) is Reason.IMPLAUSIBLE_SIZE


@pytest.mark.parametrize(
    ("samples", "reason"), [(349_525, Reason.TRUNCATED), (349_526, Reason.IMPLAUSIBLE_SIZE)]
)
def test_no_resting_ecg_has_more_than_four_million_samples(samples: int, reason: Reason):
    """2 ** 22 over all leads; what is below is missing in this file, but could be."""
    assert reason_of(edited("250 1000", f"250 {samples}")) is reason


@pytest.mark.parametrize(("lines", "accepted"), [(9_900, True), (10_100, False)])
def test_a_header_of_ten_thousand_lines_is_none(lines: int, accepted: bool):
    files = record()
    files["small.hea"] += b"\n#" * (lines - 13)
    if accepted:
        assert ecg.decode("small.hea", files).signal.shape == (12, 1000)
    else:
        assert reason_of(files) is Reason.IMPLAUSIBLE_SIZE


def test_a_record_line_without_a_rate_means_250_hertz():
    assert ecg.decode("small.hea", edited("small 12 250 1000", "small 12")).sampling_rate == 250


def test_a_baseline_is_what_zero_millivolts_are_stored_as():
    plain = ecg.decode("small.hea", record()).signal
    moved = ecg.decode("small.hea", edited("1000/mV 16 0", "1000(100)/mV 16 7")).signal
    np.testing.assert_allclose(moved, plain - 0.1, atol=1e-6)  # the zero of the converter does not matter


def test_of_files_of_different_lengths_the_shortest_counts():
    names = ["other.dat", *["small.dat"] * 11]
    lines = [f"{name} 16 1000 16 0 0 0 0 {lead}" for name, lead in zip(names, ecg.LEADS, strict=True)]
    files = {
        "small.hea": "\n".join(["small 12 250", *lines]).encode(),
        "other.dat": SAMPLES[:900, 0].tobytes(),
        "small.dat": SAMPLES[:, 1:].tobytes(),
    }
    np.testing.assert_allclose(ecg.decode("small.hea", files).signal, SAMPLES[:900].T / 1000, atol=1e-6)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("08:09:10 03/12/2020", datetime(2020, 12, 3, 8, 9, 10)),
        ("8:09:10.5 3-Dec-2020", datetime(2020, 12, 3, 8, 9, 10, 500_000)),
        ("03-jan-2020 08:09:10.000250", datetime(2020, 1, 3, 8, 9, 10, 250)),
        ("08:09:10", None),
        ("03/12/2020", None),
        ("08:09:10 12-foo-2020", None),
    ],
)
def test_the_time_in_a_record_line(written: str, moment: datetime | None):
    assert ecg.decode("small.hea", edited("250 1000", f"250 1000 {written}")).acquired_at == moment
