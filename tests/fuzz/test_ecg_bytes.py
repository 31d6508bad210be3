"""Whatever the bytes, reading ends in a sound recording or in UnusableEcgError, which names its reason."""

from __future__ import annotations

import contextlib
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stence import ecg
from stence.ecg import Finding, UnusableEcgError
from support.samples import small_dicom

DATA = Path(__file__).parents[1] / "data" / "wfdb"
HEADER, SAMPLES = (DATA / "00001_lr.hea").read_bytes(), (DATA / "00001_lr.dat").read_bytes()

fuzzed = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


DICOM = small_dicom()


def mutations(content: bytes, dense_until: int | None = None) -> st.SearchStrategy[bytes]:
    """Up to eight edits: overwritten, removed, doubled or inserted stretches; then perhaps a cut."""
    place = st.integers(0, dense_until or len(content))
    edit = st.tuples(place, st.integers(0, 12), st.binary(max_size=12))
    words = st.sampled_from(
        [
            *(
                b"0",
                b"-1",
                b"99999999999",
                b"9" * 400,
                b"1e308",
                b"1e999",
                b"nan",
                b"16x4",
                b"61",
                b"212",
                b"516",
            ),
            *(b"../", b"~", b"\xff\xff", b"\0", b"\x1b[2J", b"\xe2\x80\xae", b"(R)", b" 10:00:00 1/1/0001"),
            *(b"\n# subject_id: ", b"\n# age: 1e9", b"\n# Site: ", b"(" * 3000, b"9999", b"\\"),
        ]
    )
    word = st.tuples(place, st.integers(0, 6), words)
    cut = st.one_of(st.none(), place)

    def apply(edits: list[tuple[int, int, bytes]], end: int | None) -> bytes:
        mutated = bytearray(content)
        for at, length, new in edits:
            mutated[at : at + length] = new
        return bytes(mutated[:end])

    return st.builds(apply, st.lists(edit | word, min_size=1, max_size=8), cut)


def assert_can_be_written(*texts: str | None, most: int) -> None:
    """To any table: text without NUL or other control characters, of bounded length."""
    for text in texts:
        assert text is None or (0 < len(text) <= most and text.isprintable())
        assert text is None or text.encode()


def assert_findings_can_be_written(findings: list[Finding]) -> None:
    for finding in findings:
        assert_can_be_written(finding.detail, most=1000)
        assert_can_be_written(finding.lead, most=16)
        assert finding.value is None or math.isfinite(finding.value)


def assert_read_or_refused(name: str, files: dict[str, bytes]) -> None:
    try:
        recording = ecg.decode(name, files)
    except UnusableEcgError as error:
        assert_findings_can_be_written([error.finding])
    else:
        patient, moment = recording.patient_id, recording.acquired_at
        assert patient is None or (0 < len(patient) <= 64 and "\0" not in patient and "\ufffd" not in patient)
        assert_can_be_written(recording.device, recording.site, recording.indication, most=200)
        assert moment is None or 1970 <= moment.year <= datetime.now(UTC).year + 1
        assert recording.age is None or 0 <= recording.age <= 130
        assert_findings_can_be_written(ecg.check(recording))
        assert recording.signal.shape[0] == 12
        assert recording.signal.dtype == np.float32
        assert recording.sampling_rate > 0
        assert len(recording.content_hash) == 32


@fuzzed
@given(header=mutations(HEADER), samples=mutations(SAMPLES) | st.just(SAMPLES))
def test_wfdb(header: bytes, samples: bytes):
    with contextlib.suppress(UnusableEcgError):
        ecg.companions("ecg.hea", {"ecg.hea": header})
    assert_read_or_refused("ecg.hea", {"ecg.hea": header, "00001_lr.dat": samples})


@fuzzed
@given(content=mutations(DICOM, dense_until=2500) | mutations(DICOM))
def test_dicom(content: bytes):
    assert_read_or_refused("ecg.dcm", {"ecg.dcm": content})


@fuzzed
@given(
    content=st.binary(max_size=300),
    mark=st.booleans(),
    name=st.sampled_from(["a.hea", "a.dcm", "a", "a.xml"]),
)
def test_noise(content: bytes, mark: bool, name: str):
    content = bytes(128) + b"DICM" + content if mark else content
    assert_read_or_refused(name, {name: content})
