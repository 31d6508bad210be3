"""Archives of one ECG are read as the ECG is; others are refused for a reason, and none in much memory."""

from __future__ import annotations

import contextlib
import gzip
import io
import stat
import struct
import tarfile
import zipfile
from pathlib import Path
from random import Random

import numpy as np
import pytest
from click.testing import CliRunner
from pydicom.data import get_testdata_file

from stence import ecg
from stence.cli import main
from stence.ecg import Reason, UnusableEcgError
from stence.ecg.formats import archives
from stence.ecg.formats.limits import DEFAULT_LIMITS, Limits
from stence.errors import ObjectNotFoundError
from stence.ingest.unpacking import unpack
from stence.objects import LocalStore
from stence.settings import Settings
from support.archives import link, tarred, zipped
from support.hostile import cost

WFDB = Path(__file__).parents[1] / "data" / "wfdb"
RECORD = {name: (WFDB / name).read_bytes() for name in ("1.hea", "1.dat")}
WHOLE = ecg.decode("1.hea", RECORD).content_hash
DICOM = Path(str(get_testdata_file("waveform_ecg.dcm"))).read_bytes()
BESIDE = {
    "README.txt": b"exported",
    "__MACOSX/._1.hea": b"",
    ".cache/2.xml": b"",
    ".hidden.xml": b"<a/>",
    "report.pdf": b"%PDF",
}
LONG = "ward-" * 30 + "3/"


def decoded(content: bytes, name: str = "a.zip", limits: Limits = DEFAULT_LIMITS) -> bytes:
    return ecg.decode(name, {name: content}, limits).content_hash


def refused(content: bytes, limits: Limits = DEFAULT_LIMITS) -> ecg.Finding:
    with pytest.raises(UnusableEcgError) as caught:
        decoded(content, limits=limits)
    return caught.value.finding


ONE = {
    "stored": zipped(RECORD, zipfile.ZIP_STORED),
    "deflated": zipped(RECORD),
    "with other files": zipped(BESIDE | RECORD),
    "in a folder": zipped({f"{LONG}{name}": data for name, data in RECORD.items()}),
    "commented": zipped(RECORD)[:-2] + struct.pack("<H", 3) + b"PK!",
    "pax": tarred({f"{LONG}{name}": data for name, data in RECORD.items()}),
    "gnu": tarred({f"{LONG}{name}": data for name, data in RECORD.items()}, tarfile.GNU_FORMAT),
    "ustar": tarred({f"ward/{'b' * 90}/{n}": data for n, data in RECORD.items()}, tarfile.USTAR_FORMAT),
    "compressed tar": gzip.compress(tarred(RECORD)),
    "tar in a zip": zipped({"ward/inner.tgz": gzip.compress(tarred(RECORD))}),
    "compressed files in a zip": zipped({name + ".gz": gzip.compress(data) for name, data in RECORD.items()}),
}


@pytest.mark.parametrize("case", ONE)
def test_an_archive_of_one_ecg_is_that_ecg(case: str) -> None:
    assert decoded(ONE[case]) == WHOLE


@pytest.mark.parametrize("name", ["a.dcm.gz", "a.GZ", "a"])
def test_a_compressed_file_is_known_by_its_content(name: str) -> None:
    assert decoded(gzip.compress(DICOM), name) == ecg.decode("a.dcm", {"a.dcm": DICOM}).content_hash


def test_archives_written_as_streams() -> None:
    """Without sizes before the content, as exports over a network write them."""

    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.written = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.written += data
            return len(data)

    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        for name, data in RECORD.items():
            archive.writestr(name, data)
    assert decoded(bytes(stream.written)) == WHOLE


def test_several_ecgs_are_counted_and_refused() -> None:
    files = {f"{number}/{name}": data for number in range(3) for name, data in RECORD.items()}
    finding = refused(zipped(files | {"b.dcm": DICOM, "notes.txt": b""}))
    assert (finding.reason, finding.value) == (Reason.SEVERAL_ECGS, 4)
    assert "4 ECGs" in finding.detail
    assert "stence unpack" in finding.detail


def test_a_signal_file_of_another_name_is_no_ecg() -> None:
    header = RECORD["1.hea"].replace(b"1.dat", b"signal.bin")
    assert decoded(zipped({"1.hea": header, "signal.bin": RECORD["1.dat"]})) == WHOLE


@pytest.mark.parametrize("files", [{}, BESIDE, {"1.dat": RECORD["1.dat"]}])
def test_no_ecg(files: dict[str, bytes]) -> None:
    finding = refused(zipped(files))
    assert (finding.reason, finding.detail) == (Reason.UNSUPPORTED_FORMAT, "the archive holds no ECG")


def test_a_record_without_its_signal_file() -> None:
    assert refused(zipped({"1.hea": RECORD["1.hea"]})).reason is Reason.OBJECT_MISSING
    assert (
        refused(zipped({"1.hea": RECORD["1.hea"], "b/1.dat": RECORD["1.dat"]})).reason
        is Reason.OBJECT_MISSING
    )


PATHS = ["../1.hea", "a/../../1.hea", "/etc/1.hea", "C:/1.hea", "a\\1.hea", "a\n.hea", "x" * 600]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("packed", [zipped, tarred])
def test_paths_that_lead_out_are_refused(path: str, packed: type) -> None:
    assert refused(packed({path: RECORD["1.hea"], "1.dat": b""})).reason is Reason.UNSAFE_ARCHIVE


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"S"]
)
def test_links_and_devices_are_refused(kind: bytes) -> None:
    assert refused(tarred(RECORD, tarfile.PAX_FORMAT, link(kind))).reason is Reason.UNSAFE_ARCHIVE


def test_a_symbolic_link_in_a_zip_is_refused() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        entry = zipfile.ZipInfo("1.hea")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    assert refused(content.getvalue()).reason is Reason.UNSAFE_ARCHIVE


def test_two_files_of_one_path_are_refused() -> None:
    content = zipped({"1.dcm": DICOM, "2.dcm": DICOM}).replace(b"2.dcm", b"1.dcm")
    assert refused(content).reason is Reason.UNSAFE_ARCHIVE


def test_an_encrypted_zip_is_refused() -> None:
    content = bytearray(zipped({"1.dcm": DICOM}))
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    finding = refused(bytes(content))
    assert finding.reason is Reason.UNSUPPORTED_FORMAT
    assert "password" in finding.detail


def test_other_compression_is_refused() -> None:
    assert refused(zipped(RECORD, zipfile.ZIP_LZMA)).reason is Reason.UNSUPPORTED_FORMAT


def nested(depth: int) -> bytes:
    content = zipped(RECORD)
    for _ in range(depth - 1):
        content = zipped({"inner.zip": content})
    return content


def test_archives_are_read_two_deep() -> None:
    assert decoded(nested(2)) == WHOLE
    assert refused(nested(3)).reason is Reason.IMPLAUSIBLE_SIZE
    assert refused(gzip.compress(gzip.compress(DICOM))).reason is Reason.IMPLAUSIBLE_SIZE


def overlapping(count: int, size: int) -> bytes:
    """A zip whose directory names the same stored member many times."""
    whole = zipped({"0000.xml": bytes(size)}, zipfile.ZIP_STORED)
    at, end = whole.index(b"PK\x01\x02"), whole.index(b"PK\x05\x06")
    entries = [whole[at:end].replace(b"0000.xml", b"%04d.xml" % number) for number in range(count)]
    directory = b"".join(entries)
    return (
        whole[:at]
        + directory
        + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), at, 0)
    )


MANY = {f"{number}.xml": b"" for number in range(10_001)}
BOMBS = {
    "zeros": lambda: zipped({"a.xml": bytes(2**26)}),
    "zeros in gzip": lambda: gzip.compress(bytes(2**28), 1),
    "many members": lambda: zipped(MANY),
    "many members in a tar": lambda: gzip.compress(tarred(MANY)),
    "overlapping members": lambda: overlapping(9000, 2**20),
    "a bomb in a zip": lambda: zipped({f"{n}.gz": gzip.compress(bytes(2**22)) for n in range(20)}),
}


@pytest.mark.parametrize("case", BOMBS)
def test_bombs(case: str) -> None:
    content = BOMBS[case]()
    found: list[Reason] = []
    seconds, megabytes = cost(lambda: found.append(refused(content).reason))
    overlap = case == "overlapping members"
    assert found == [Reason.UNSAFE_ARCHIVE if overlap else Reason.IMPLAUSIBLE_SIZE]
    assert seconds < 2
    assert megabytes < 200


def test_limits_are_those_of_the_settings() -> None:
    content = zipped(RECORD)
    size = sum(map(len, RECORD.values()))
    assert decoded(content, limits=Limits(expanded_bytes=size, members=2)) == WHOLE
    for limits in (Limits(expanded_bytes=size - 1), Limits(members=1), Limits(expansion=1)):
        assert refused(content, limits).reason is Reason.IMPLAUSIBLE_SIZE
    stored = zipped(RECORD, zipfile.ZIP_STORED)
    assert refused(stored, Limits(expanded_bytes=size - 1)).reason is Reason.IMPLAUSIBLE_SIZE


@pytest.mark.parametrize("packed", [zipped(RECORD), gzip.compress(tarred(RECORD)), tarred(RECORD)])
def test_a_truncated_archive_is_refused(packed: bytes) -> None:
    for size in (len(packed) // 2, len(packed) - 30):
        if size > len(packed) - 1024 and archives.tar_files.recognises(packed):
            continue  # the zeros at the end of a tar file hold nothing
        assert refused(packed[:size]).reason in (Reason.TRUNCATED, Reason.BROKEN_HEADER)


def test_damage_is_found() -> None:
    damaged = bytearray(zipped({"1.dcm": DICOM}, zipfile.ZIP_STORED))
    damaged[damaged.index(DICOM[:2000]) + 50_000] ^= 1
    assert refused(bytes(damaged)).reason is Reason.CHECKSUM_MISMATCH
    header = bytearray(tarred(RECORD))
    header[3] ^= 1
    assert refused(bytes(header)).reason is Reason.BROKEN_HEADER


@pytest.mark.parametrize("case", ONE)
def test_no_damage_escapes(case: str) -> None:
    """Any byte may change: the ECG is read, or refused for a reason."""
    random = Random(7)
    for _ in range(150):
        content = bytearray(ONE[case])
        for _ in range(random.randint(1, 4)):
            places = (random.randrange(len(content)), random.randrange(len(content) - 400, len(content)))
            content[random.choice(places)] = random.randrange(256)
        with contextlib.suppress(UnusableEcgError):
            decoded(bytes(content))


def test_unpacking_writes_the_members_beside_the_archive(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    files = {f"{number}/{name}": data for number in range(2) for name, data in RECORD.items()}
    store.put("ecg/ward.tar.gz", gzip.compress(tarred(files | {".hidden": b""})))
    store.put("ecg/ward/0/1.hea", b"kept")
    unpacked = unpack(store, "ecg/ward.tar.gz", Settings())
    assert unpacked.folder == "ecg/ward/"
    assert unpacked.kept == ["ecg/ward/0/1.hea"]
    assert store.get("ecg/ward/0/1.hea") == b"kept"
    assert {key: store.get(f"ecg/ward/{key}") for key in files if key != "0/1.hea"} == {
        key: data for key, data in files.items() if key != "0/1.hea"
    }
    assert len([*store.list("ecg/")]) == 5


def test_the_command_says_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path)
    store.put("ecg/ward.zip", zipped({"1.dcm": DICOM, "2.dcm": DICOM}))
    store.put("ecg/link.tar", tarred({}, tarfile.PAX_FORMAT, link(tarfile.SYMTYPE)))
    monkeypatch.setenv("STENCE_STORE_URL", tmp_path.as_uri())
    for written, said in ((2, "ecg/ward/.\n"), (0, "ecg/ward/; 2 existed and were kept.\n")):
        result = CliRunner().invoke(main, ["unpack", "ecg/ward.zip"])
        assert result.output == f"ecg/ward.zip: {written} files are in {said}"
    refused = CliRunner().invoke(main, ["unpack", "ecg/link.tar"])
    assert refused.exit_code == 1
    assert "symbolic link" in refused.output or "a link, a device" in refused.output


@pytest.mark.parametrize("path", PATHS)
def test_unpacking_writes_nothing_outside(path: str, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put("ecg/ward.zip", zipped({"good.xml": b"<a/>", path: b"x"}))
    with pytest.raises(UnusableEcgError):
        unpack(store, "ecg/ward.zip", Settings())
    assert [found.key for found in store.list("")] == ["ecg/ward.zip"]
    assert [each.name for each in tmp_path.iterdir()] == ["store"]
    with pytest.raises(ObjectNotFoundError):
        unpack(store, "ecg/none.zip", Settings())


def test_signals_are_equal(tmp_path: Path) -> None:
    path = tmp_path / "1.zip"
    path.write_bytes(zipped(RECORD))
    np.testing.assert_array_equal(ecg.read(path).signal, ecg.read(WFDB / "1").signal)
