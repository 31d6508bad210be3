"""Angiograms from a store to views that are ready to be trained on, or quarantine rows that say why not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, func, select

from stence import cohort, scoring
from stence.angiography.features import read_features
from stence.angiography.indexing import index_angiograms
from stence.database.tables import angiogram_views, quarantine
from stence.errors import StoreUnavailableError
from stence.objects import open_store
from stence.settings import Settings
from support.angiograms import NOON, run
from support.cath_lab import VERSIONS, CathLab
from support.ecgs import heartbeats, store_ecg
from support.models import ShapeScorer, register
from support.pseudonyms import numbers, split_of


@pytest.fixture
def lab(engine: Engine, settings: Settings) -> CathLab:
    return CathLab(engine, open_store(settings.resolved_store_url, settings), settings)


@pytest.mark.slow
def test_every_angiogram_ends_ready_waiting_or_in_quarantine(lab: CathLab) -> None:
    for patient in ("P1", "P2", "P3"):
        lab.report(f"S-{patient}", patient)
    good = run("P1", 1)
    lab.put("good.dcm", good)
    lab.put("IM000002", run("P1", 2, filled=2))
    lab.put("1.2.826.0.3", run("P2", 3))
    lab.put("no_report.dcm", run("P9", 4))
    lab.put("cut_in_header.dcm", good[:300])
    lab.put("cut_in_pixels.dcm", run("P3", 5)[:-5000])
    lab.put("flipped.dcm", good[:140] + bytes(byte ^ 0xFF for byte in good[140:400]) + good[400:])
    lab.put("fluoroscopy.dcm", run("P1", 6, sop_class="1.2.840.10008.5.1.4.1.1.12.2"))
    lab.put("nobody.dcm", run("", 7))
    lab.put("swapped.dcm", run("P1", 8, accession="S-P2"))
    lab.put("still.dcm", run("P1", 9, frames=1))
    lab.put("note.txt", b"no angiogram")
    lab.put("DICOMDIR", b"a table of contents")

    counts = lab.index()
    assert counts == {
        "new": 12, "changed": 0, "ready": 0, "to_prepare": 4, "without_study": 1, "quarantined": 7,
    }  # fmt: skip
    assert lab.prepare() == 4
    states = lab.states()
    assert states.pop("flipped.dcm") in ("broken_header", "not_xa", "not_dicom", "unsupported_pixels")
    assert states == {
        "good.dcm": "ready",
        "IM000002": "ready",
        "1.2.826.0.3": "ready",
        "no_report.dcm": "pending",
        "cut_in_header.dcm": "truncated",
        "cut_in_pixels.dcm": "truncated",
        "fluoroscopy.dcm": "not_xa",
        "nobody.dcm": "unknown_patient",
        "swapped.dcm": "patient_mismatch",
        "still.dcm": "not_a_run",
        "note.txt": "not_dicom",
    }
    shown = lab.ask("angiograms")
    assert sum(row["angiograms"] for row in shown) == 12
    assert {(row["state"], row["reason"]) for row in shown} >= {
        ("ready", None), ("pending", "no_report"), ("quarantined", "truncated"),
    }  # fmt: skip
    with lab.engine.connect() as connection:
        details = " ".join(connection.scalars(select(quarantine.c.detail)))
    assert not [name for name in ("P1", "P2", "P3", "Doe") if name in details]


@pytest.mark.parametrize(("name", "least"), [("max_angiogram_frames", 2), ("max_angiogram_pixels", 1000)])
def test_runs_beyond_the_limits_of_the_settings_are_told(lab: CathLab, name: str, least: int) -> None:
    lab.report("S1", "P1")
    lab.put("large.dcm", run("P1", 1))
    lab.put("other.dcm", run("P1", 2))
    small = lab.settings.model_copy(update={name: least})
    cohort.index_reports(lab.engine, lab.store, small)
    index_angiograms(lab.engine, lab.store, small)
    assert lab.states() == {"large.dcm": "implausible_size", "other.dcm": "implausible_size"}


def test_a_mended_file_and_a_retried_one_leave_quarantine(lab: CathLab) -> None:
    lab.report("S1", "P1")
    lab.put("mended.dcm", run("P1", 1)[:300])
    lab.put("retried.dcm", run("P1", 2))
    small = lab.settings.model_copy(update={"max_angiogram_bytes": 1000})
    cohort.index_reports(lab.engine, lab.store, small)
    index_angiograms(lab.engine, lab.store, small)
    assert lab.states() == {"mended.dcm": "truncated", "retried.dcm": "object_too_large"}

    lab.put("mended.dcm", run("P1", 1))
    with lab.engine.begin() as connection:
        assert scoring.quarantine.retry(connection, reason="object_too_large") == 1
    lab.index()
    lab.prepare()
    assert lab.states() == {"mended.dcm": "ready", "retried.dcm": "ready"}
    with lab.engine.connect() as connection:
        assert set(connection.scalars(select(quarantine.c.state))) == {"resolved"}


def test_a_dismissed_angiogram_is_not_tried_again(lab: CathLab) -> None:
    lab.put("note.txt", b"no angiogram")
    lab.index()
    with lab.engine.begin() as connection:
        [(number, *_)] = scoring.quarantine.list_open(connection)[1]
        assert scoring.quarantine.dismiss(connection, ids=[number], by="archivist") == 1
        assert scoring.quarantine.retry(connection) == 0
    assert lab.index()["quarantined"] == 1
    assert lab.states() == {"note.txt": "quarantined"}


def test_an_angiogram_finds_its_report_whichever_comes_first(lab: CathLab) -> None:
    lab.put("named.dcm", run("P1", 1, accession="S1", taken_at=NOON - timedelta(days=3)))
    lab.put("near.dcm", run("P2", 2, taken_at=NOON + timedelta(hours=11)))
    lab.put("far.dcm", run("P2", 3, taken_at=NOON + timedelta(hours=13)))
    lab.put("between.dcm", run("P3", 4))
    lab.index()
    assert set(lab.studies().values()) == {None}

    lab.report("S1", "P1")
    lab.report("S2", "P2")
    lab.report("S3", "P3", NOON - timedelta(hours=10))
    lab.index()
    found = {"named.dcm": "S1", "near.dcm": "S2", "far.dcm": None, "between.dcm": "S3"}
    assert lab.studies() == found
    lab.report("S3b", "P3", NOON + timedelta(hours=10))
    lab.index()
    assert lab.studies() == found | {"between.dcm": None}


def test_angiograms_of_a_withdrawn_study_wait_for_it_again(lab: CathLab) -> None:
    lab.report("S1", "P1")
    lab.put("a.dcm", run("P1", 1))
    lab.index()
    lab.prepare()
    whole = lab.store.get("reports/cath.csv")
    lab.store.put("reports/cath.csv", whole + b"S1,P1,2026-03-20T12:00:00,17,70\n")
    lab.index()
    assert (lab.studies(), lab.plan().views) == ({"a.dcm": None}, ())
    assert [(row["line"], row["reason"], row["state"]) for row in lab.ask("unusable_rows")] == [
        (3, "row_segment_unknown", "open")
    ]
    lab.store.put("reports/cath.csv", whole)
    lab.index()
    assert [view.study_id for view in lab.plan().views] == ["S1"]
    assert [row["state"] for row in lab.ask("unusable_rows")] == ["mended"]


@pytest.mark.slow
def test_the_key_frame_and_its_features_are_those_of_the_present_content(lab: CathLab) -> None:
    lab.report("S1", "P1")
    lab.put("a.dcm", run("P1", 1, seed=1))
    lab.index()
    lab.prepare()
    [view] = lab.plan().views
    assert view.key_frame == 5
    assert (view.primary_angle, view.secondary_angle) == (-30, 20)
    before = read_features(lab.store, lab.features_of(view, view.key_frame, 0))

    lab.put("a.dcm", run("P1", 1, seed=2))
    assert lab.index()["changed"] == 1
    lab.prepare()
    [view] = lab.plan().views
    after = read_features(lab.store, lab.features_of(view, view.key_frame, 0))
    assert not np.array_equal(before, after)
    assert lab.prepare() == 0


@pytest.mark.slow
def test_more_versions_are_added_to_those_there_are(lab: CathLab) -> None:
    lab.report("S1", "P1")
    lab.put("a.dcm", run("P1", 1))
    lab.index()
    assert (lab.prepare(2), lab.prepare(2), lab.prepare(4), lab.prepare(3)) == (1, 0, 1, 0)
    assert len(list(lab.store.list("features/"))) == 4


class KilledError(Exception):
    """Stands for the end of the process."""


def killing_at(stage: str, done: int) -> Callable[..., None]:
    def progress(at: str, count: int, total: int | None = None, note: str = "") -> None:
        if (at, count) == (stage, done):
            raise KilledError

    return progress


@pytest.mark.slow
def test_a_killed_preparation_is_gone_on_with(lab: CathLab) -> None:
    lab.report("S1", "P1")
    for number in range(5):
        lab.put(f"{number}.dcm", run("P1", number))
    lab.index()
    with pytest.raises(KilledError):
        lab.prepare(progress=killing_at("angiograms", 2))
    assert lab.prepare() == 3


def test_an_outage_of_the_store_is_waited_for(lab: CathLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.report("S1", "P1")
    lab.put("a.dcm", run("P1", 1))
    fetch, outages = type(lab.store).get, [True]

    def get(store: Any, key: str, *arguments: Any) -> bytes:
        if key.startswith("angio/") and outages:
            outages.pop()
            raise StoreUnavailableError("the store does not answer")
        return fetch(store, key, *arguments)

    monkeypatch.setattr(type(lab.store), "get", get)
    lab.index()
    lab.prepare()
    assert (lab.states(), outages) == ({"a.dcm": "ready"}, [])


@pytest.mark.slow
def test_features_are_gathered_as_the_store_has_them_also_after_a_kill(
    lab: CathLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stence.cohort.angiogram_gathering.VIEWS_BETWEEN_SAVES", 2)
    for patient, views in (("P1", 2), ("P2", 1), ("P3", 3)):
        lab.report(f"S-{patient}", patient, degree=10 * views)
        for number in range(views):
            lab.put(f"{patient}/{number}", run(patient, 10 * int(patient[1]) + number, seed=number))
    lab.report("S-P4", "P4")
    lab.put("again/sent", run("P2", 20))
    lab.index()
    lab.prepare()
    with pytest.raises(KilledError):
        lab.gather(killing_at("features", 5))
    told: list[int] = []
    found = lab.gather(lambda _stage, done, *_: told.append(done))
    assert told == [5, 6]

    plan = lab.plan()
    assert [plan.studies[number].study_id for number in found.study] == ["S-P1", "S-P2", "S-P3"]
    assert (found.first.tolist(), found.count.tolist()) == ([0, 2, 3], [2, 1, 3])
    assert found.degrees[:, 5].tolist() == [20, 10, 30]
    assert found.splits == tuple(split_of(patient) for patient in ("P1", "P2", "P3"))
    assert found.features.shape == (6, VERSIONS, 1, 4, 2)
    for view, features in zip(plan.views, found.features, strict=True):
        for number in range(VERSIONS):
            key = lab.features_of(view, view.key_frame, number)
            np.testing.assert_array_equal(features[number, 0], read_features(lab.store, key))
    files = b"".join(path.read_bytes() for path in (lab.settings.data_dir / "gathered").iterdir())
    assert not [name for name in (b"S-P1", b"P2", b"1.2.826") if name in files]


@pytest.mark.slow
def test_lost_features_cost_their_view_once_and_are_made_again(lab: CathLab) -> None:
    lab.report("S1", "P1")
    for number in range(3):
        lab.put(f"{number}.dcm", run("P1", number))
    lab.index()
    lab.prepare()
    lost, broken, _ = lab.plan().views
    for view, action in ((lost, lab.store.delete), (broken, lambda key: lab.store.put(key, b"nonsense"))):
        action(lab.features_of(view, view.key_frame, 1))
    assert lab.gather().count.tolist() == [1]
    assert lab.prepare() == 2
    assert len(lab.plan().views) == 3


@pytest.mark.slow
def test_several_frames_of_a_view_lie_around_the_key_frame_by_time(lab: CathLab) -> None:
    lab.report("S1", "P1")
    lab.put("middle.dcm", run("P1", 1, frames=8, filled=5))
    lab.put("end.dcm", run("P1", 2, frames=4, filled=3))
    lab.index()
    lab.prepare()
    assert not lab.plan(frames=3).views, "features of the key frame alone are not enough"
    assert (lab.prepare(frames=3), lab.prepare(frames=3), lab.prepare(frames=1)) == (2, 0, 0)
    found, views = lab.gather(frames=3), lab.plan(frames=3).views
    assert [view.key_frame for view in views] == [5, 3]
    assert found.features.shape == (2, VERSIONS, 3, 4, 2)
    for view, features, around in zip(views, found.features, ([4, 5, 6], [1, 2, 3]), strict=True):
        for version in range(VERSIONS):
            wanted = [read_features(lab.store, lab.features_of(view, frame, version)) for frame in around]
            np.testing.assert_array_equal(features[version], wanted)
    assert len(np.unique(found.features[0, 0], axis=0)) == 3, "the frames are not the same"


@pytest.mark.slow
def test_a_replaced_run_has_features_of_its_own(lab: CathLab) -> None:
    lab.report("S1", "P1")
    lab.put("a.dcm", run("P1", 1, filled=5))
    lab.index()
    lab.prepare(frames=3)
    before = lab.gather(frames=3).features.copy()
    lab.put("a.dcm", run("P1", 1, filled=4, seed=9))
    lab.index()
    assert lab.prepare(frames=3) == 1
    shutil.rmtree(lab.settings.data_dir / "gathered")
    after = lab.gather(frames=3).features
    assert lab.plan(frames=3).views[0].key_frame == 4
    assert not (before[0, :, 0] == after[0, :, 1]).all(), "frame 4 is that of the earlier file"


@pytest.mark.slow
def test_angiograms_are_none_of_the_ecgs_to_score(lab: CathLab) -> None:
    scorer = ShapeScorer()
    register(lab.engine, scorer)
    store_ecg(lab.store, "ecg/a.hea", heartbeats(1), comments=("<subject_id>: 7",))
    lab.put("a.dcm", run("P1", 1))
    lab.put("b.dcm", b"broken")
    scoring.index(lab.engine, lab.store, lab.settings)
    lab.index()
    with scoring.open_run(lab.engine, lab.store, lab.settings, scorer) as scoring_run:
        scoring_run.score()
    assert scoring_run.summary().counts() == {"indexed": 1, "scored": 1, "quarantined": 0, "pending": 0}


@pytest.mark.slow
def test_real_runs_are_ready_and_the_spine_is_refused(lab: CathLab, shared: Path) -> None:
    files = sorted((shared / "data" / "xa").glob("*.dcm"))
    for file in files:
        lab.put(file.name, file.read_bytes().replace(b"0" * 15 + b" ", b"PHANTOM         "))  # a placeholder
    whole = lab.store.get(f"{lab.settings.angiogram_prefix}phantom_IM1.dcm")
    lab.put("cut.dcm", whole[: len(whole) // 2])
    lab.index()
    v = angiogram_views.c
    first_run = select(v.patient_id, func.min(v.acquired_at)).where(v.patient_id.is_not(None))
    known = numbers(lab.engine)
    with lab.engine.connect() as connection:
        for number, (patient, taken_at) in enumerate(connection.execute(first_run.group_by(v.patient_id))):
            lab.report(f"S{number}", known[patient], taken_at)
    lab.index()
    lab.prepare(1)
    states = lab.states()
    assert states.pop("cut.dcm") in ("truncated", "broken_header", "broken_pixels")
    assert states == {file.name: "ready" for file in files} | {"rubo_0015_not_coronary.dcm": "not_xa"}
