"""Which files of a listing are ECGs, and which belong to one."""

from __future__ import annotations

import pytest

from stence.ecg import FileKind, file_kind
from stence.ingest.grouping import ecg_files
from stence.objects import StoredObject
from support.tables import layout


def mains(*keys: str) -> dict[str, int]:
    """Main files, with the number of files of each."""
    listing = [StoredObject(key, "1", 1) for key in sorted(keys, key=str.encode)]
    return {file.key: file.size_bytes for file in ecg_files(listing)}


@pytest.mark.parametrize(
    "name",
    ["a.xml", "a.scp", "a.edf", "a.mwf", "a.zip", "a.gz", "a.tar", "a.tgz", "a.wfdb", "a.dcm", "a", "a.hea"],
)
def test_main_files(name: str) -> None:
    assert file_kind(name) is FileKind.MAIN
    assert mains(name) == {name: 1}


@pytest.mark.parametrize(
    "name",
    [
        "a.csv",
        "a.txt",
        "a.tsv",
        "a.json",
        "a.html",
        "a.pdf",
        "a.png",
        "a.jpg",
        "ecg_layouts.yaml",
        "x/.a.xml",
    ],
)
def test_files_that_are_no_ecgs(name: str) -> None:
    assert file_kind(name) is FileKind.OTHER


def test_an_annotation_without_its_header_is_an_ecg() -> None:
    assert mains("a.ecg") == {"a.ecg": 1}
    assert mains("a.ecg", "a.hea") == {"a.hea": 1}


def test_files_of_one_stem() -> None:
    assert mains("a.hea", "a.dat", "a.xml", "a.xml.gz") == {"a.hea": 2, "a.xml": 1, "a.xml.gz": 1}
    assert mains("a.dat", "a.xml") == {"a.dat": 1, "a.xml": 1}
    assert mains("a.csv", "a.hea") == {"a.csv": 1, "a.hea": 1}


def test_the_version_of_a_table_covers_its_layout() -> None:
    listing = [StoredObject(key, "1", 1) for key in ("a.csv", "a.xml", "a.zip")]
    plain, one, other = (
        {file.key: file.listed_etag for file in ecg_files(listing, layouts)}
        for layouts in ((), (layout(),), (layout(unit="mV"),))
    )
    assert plain["a.xml"] == one["a.xml"] == other["a.xml"] == "1"
    for key in ("a.csv", "a.zip"):
        assert len({plain[key], one[key], other[key]}) == 3
