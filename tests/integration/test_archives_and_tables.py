"""Archives, tables and records of several segments in a store: indexed, scored, or told why not."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from stence import scoring
from stence.database.tables import objects, scores
from stence.ingest.unpacking import unpack
from stence.objects import LocalStore, ObjectStore
from stence.settings import Settings
from support.archives import link, tarred, zipped
from support.ecgs import heartbeats, store_ecg
from support.hostile import dicom, element
from support.scoring import ScoreAll, all_rows, give_patients, in_quarantine

LAYOUT = """
- prefix: cart/
  suffix: .csv
  columns: [I, II, III, aVR, aVL, aVF, V1, V2, V3, V4, V5, V6]
  unit: {unit}
  sampling_rate: 500
"""


def record(tmp_path: Path, seed: int) -> dict[str, bytes]:
    """The files of an ECG of its own patient."""
    store = LocalStore(tmp_path / f"record-{seed}")
    store_ecg(store, "rec.hea", heartbeats(seed), comments=(f"<subject_id>: P{seed}",))
    return {name: store.get(name) for name in ("rec.hea", "rec.dat")}


def table(seed: int) -> bytes:
    return "\n".join(",".join(map(str, row)) for row in heartbeats(seed).T).encode()


@pytest.mark.slow
def test_archives_of_one_ecg_are_scored(
    engine: Engine, store: ObjectStore, score_all: ScoreAll, tmp_path: Path
) -> None:
    store.put("ecg/1.zip", zipped(record(tmp_path, 1)))
    store.put("ecg/2.wfdb", zipped(record(tmp_path, 2)))
    store.put("ecg/3.tar.gz", gzip.compress(tarred(record(tmp_path, 3))))
    store.put("ecg/4.tar", tarred(record(tmp_path, 4)))
    assert score_all().counts() == {"indexed": 4, "scored": 4, "quarantined": 0, "pending": 0}
    assert in_quarantine(engine) == {}


@pytest.mark.slow
def test_several_ecgs_are_unpacked_and_then_scored(
    engine: Engine, store: ObjectStore, score_all: ScoreAll, settings: Settings, tmp_path: Path
) -> None:
    files = {f"{seed}/{name}": data for seed in (1, 2, 3) for name, data in record(tmp_path, seed).items()}
    store.put("ecg/ward.zip", zipped(files))
    score_all()
    assert in_quarantine(engine) == {"ecg/ward.zip": "several_ecgs"}
    unpack(store, "ecg/ward.zip", settings)
    assert score_all().counts() == {"indexed": 4, "scored": 3, "quarantined": 1, "pending": 0}


def hostile(tmp_path: Path) -> dict[str, tuple[bytes, str]]:
    one = record(tmp_path, 99)
    outside = {"../../models/x.hea": one["rec.hea"]}
    return {
        "bomb.zip": (zipped({"a.xml": bytes(2**26)}), "implausible_size"),
        "bomb.gz": (gzip.compress(bytes(2**26)), "implausible_size"),
        "link.tar": (tarred(one, tarfile.PAX_FORMAT, link(tarfile.SYMTYPE)), "unsafe_archive"),
        "device.tar": (tarred(one, tarfile.PAX_FORMAT, link(tarfile.CHRTYPE)), "unsafe_archive"),
        "outside.zip": (zipped(outside), "unsafe_archive"),
        "outside.tgz": (gzip.compress(tarred(outside)), "unsafe_archive"),
        "samples.hea": (
            b"a 12 500 2147483648\n" + b"a.dat 16 1000/mV 16 0 0 0 0 I\n" * 12,
            "implausible_size",
        ),
        "outside.hea": (b"a 12 500 5000\n" + b"../a.dat 16 1000/mV 16 0 0 0 0 I\n" * 12, "broken_header"),
        "segments.hea": (b"a/2 12 500\n../../a 2500\n/etc/passwd 2500\n", "broken_header"),
        "uncalibrated.hea": (one["rec.hea"].replace(b"1000.0(0)/mV", b"0(0)/mV"), "unknown_unit"),
        "samples.dcm": (dicom(element(0x54000100, "SQ", b"")), "missing_leads"),
    }


@pytest.mark.slow
def test_hostile_files_end_alone(
    engine: Engine, store: ObjectStore, score_all: ScoreAll, tmp_path: Path
) -> None:
    for seed in range(100):
        for name, data in record(tmp_path, seed).items():
            store.put(f"ecg/good/{seed}{name[3:]}", data.replace(b"rec.dat", b"%d.dat" % seed))
    cases = hostile(tmp_path)
    for name, (content, _) in cases.items():
        store.put(f"ecg/{name}", content)
    store.put("ecg/rec.dat", record(tmp_path, 99)["rec.dat"])
    assert score_all().counts()["scored"] == 100
    assert in_quarantine(engine) == {f"ecg/{name}": reason for name, (_, reason) in cases.items()}


def test_tables_with_a_layout_are_ecgs_and_others_are_ignored(
    engine: Engine, store: ObjectStore, score_all: ScoreAll, settings: Settings
) -> None:
    for key in ("cart/1.csv", "cart/2.csv", "cart/labels.txt", "3.csv"):
        store.put(f"ecg/{key}", table(1 + int(key[-5:-4] == "2")))
    give_patients(store, ("P1", "cart/1"), ("P2", "cart/2"))
    counts = scoring.index(engine, store, settings).as_dict()
    assert (counts["ecgs"], counts["ignored .csv"], counts["ignored .txt"]) == (0, 3, 1)
    store.put("ecg/ecg_layouts.yaml", LAYOUT.format(unit="uV").encode())
    counts = scoring.index(engine, store, settings).as_dict()
    assert (counts["ecgs"], counts["ignored .csv"], counts["ignored .txt"]) == (2, 1, 1)
    assert score_all().counts() == {"indexed": 2, "scored": 2, "quarantined": 0, "pending": 0}


def test_a_corrected_layout_reads_its_tables_again_and_no_others(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/cart/5.hea", heartbeats(5), comments=("<subject_id>: P5",))
    store.put("ecg/cart/1.csv", table(1))
    give_patients(store, ("P1", "cart/1"))
    store.put("ecg/ecg_layouts.yaml", LAYOUT.format(unit="nV").encode())
    score_all()
    assert in_quarantine(engine) == {"ecg/cart/1.csv": "flat_lead"}
    assert score_all().scored_by_run == 0
    store.put("ecg/ecg_layouts.yaml", LAYOUT.format(unit="uV").encode())
    assert score_all().scored_by_run == 1
    assert in_quarantine(engine) == {}
    store.put("ecg/ecg_layouts.yaml", b"- broken")
    assert score_all().counts() == {"indexed": 2, "scored": 2, "quarantined": 0, "pending": 0}


def put_segments(store: ObjectStore, tmp_path: Path) -> dict[str, bytes]:
    """A record of two segments, each of which is a whole ECG; its files but the header by key."""
    files = {"ecg/rec.hea": b"rec/2 12 500 10000\nrec_1 5000\nrec_2 5000\n# subject_id: P7\n"}
    for seed in (1, 2):
        for name, data in record(tmp_path, seed).items():
            own = data.replace(b"rec.dat", b"rec_%d.dat" % seed).replace(b"# <subject_id>: P%d" % seed, b"")
            files[f"ecg/rec_{seed}{name[3:]}"] = own
    return files


@pytest.mark.parametrize("late", [(), ("ecg/rec_2.dat",), ("ecg/rec_2.hea",), ("ecg/rec.hea",)])
def test_a_record_of_several_segments_is_one_ecg(
    engine: Engine, store: ObjectStore, score_all: ScoreAll, tmp_path: Path, late: tuple[str, ...]
) -> None:
    files = put_segments(store, tmp_path)
    for key, content in files.items():
        if key not in late:
            store.put(key, content)
    if late:
        score_all()
        assert in_quarantine(engine)
        for key in late:
            store.put(key, files[key])
    assert score_all().counts() == {"indexed": 1, "scored": 1, "quarantined": 0, "pending": 0}
    assert in_quarantine(engine) == {}
    assert score_all().scored_by_run == 0
    assert len(all_rows(engine, scores.c.content_hash)) == 1
    kinds = dict(all_rows(engine, objects.c.key, objects.c.kind))
    assert {key for key, kind in kinds.items() if kind == "ecg"} == {"ecg/rec.hea"}


@pytest.mark.shared
@pytest.mark.parametrize("order", ["together", "header first", "signal replaced"])
def test_a_real_record_with_a_signal_file_of_another_name(
    engine: Engine, store: ObjectStore, score_all: ScoreAll, shared: Path, order: str
) -> None:
    folder = shared / "findings/ecg/other-stem"
    header, signal = ((folder / name).read_bytes() for name in ("other.hea", "sig_other.dat"))
    give_patients(store, ("P1", "other"))
    store.put("ecg/other.hea", header)
    if order != "header first":
        store.put("ecg/sig_other.dat", signal)
    score_all()
    if order == "header first":
        assert in_quarantine(engine) == {"ecg/other.hea": "object_missing"}
        store.put("ecg/sig_other.dat", signal)
    if order == "signal replaced":
        samples = np.frombuffer(signal, "<i2")
        store.put("ecg/sig_other.dat", np.roll(samples.reshape(-1, 12), 700, axis=0).tobytes())
    summary = score_all()
    assert summary.scored_by_run == (0 if order == "together" else 1)
    assert summary.counts() == {"indexed": 1, "scored": 1, "quarantined": 0, "pending": 0}
    assert in_quarantine(engine) == {}
