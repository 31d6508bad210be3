"""Splits, pairing, and the cohort on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stence.cohort import (
    Angiograms,
    Cohort,
    Pairing,
    Split,
    Study,
    split_of,
)
from stence.cohort.dataset import CohortWriter, Example, is_written, read_cohort
from stence.cohort.signals import RAW_SAMPLES
from stence.domain.splits import SHARES
from support.cath import NOON, degrees, study


def test_an_ecg_from_after_an_intervention_is_paired_with_no_later_study() -> None:
    later = Study("S2", "P1", NOON + timedelta(days=20), degrees(), "a.csv")
    pairing = Pairing([study("S1", "P1", degrees()), later], 30, {"P1": NOON + timedelta(hours=1)})
    before, between = NOON - timedelta(days=1), NOON + timedelta(days=10)
    assert pairing.study_of("P1", before) == study("S1", "P1", degrees())
    assert pairing.study_of("P1", NOON + timedelta(minutes=30)) == later
    assert pairing.study_of("P1", NOON + timedelta(hours=1)) == "ecg_after_intervention"
    assert pairing.study_of("P1", between) == "ecg_after_intervention"
    assert pairing.study_of("P1", NOON + timedelta(days=30)) == "ecg_not_before_study"


@pytest.mark.parametrize(
    ("before", "paired"),
    [
        (timedelta(days=30), True),
        (timedelta(days=30, seconds=1), False),
        (timedelta(0), True),
        (timedelta(seconds=-1), False),
    ],
)
def test_the_days_before_a_study_reach_from_the_first_moment_to_the_last(
    before: timedelta, paired: bool
) -> None:
    found = Pairing([study("S1", "P1", degrees())], 30).study_of("P1", NOON - before)
    assert found == (study("S1", "P1", degrees()) if paired else "ecg_not_before_study")


@pytest.mark.parametrize(
    ("patient_id", "split"),
    [
        ("patient 2", Split.TRAIN),
        ("patient 3", Split.TRAIN),
        ("patient 20", Split.VALIDATION),
        ("patient 22", Split.VALIDATION),
        ("patient 0", Split.CALIBRATION),
        ("patient 5", Split.CALIBRATION),
        ("patient 1", Split.TEST),
        ("patient 6", Split.TEST),
    ],
)
def test_patients_stay_where_the_first_release_put_them(patient_id: str, split: Split) -> None:
    assert split_of(patient_id) is split


@given(st.text())
def test_every_patient_has_one_split(patient_id: str) -> None:
    assert split_of(patient_id) is split_of(patient_id)
    assert split_of(patient_id) in Split


def test_splits_get_their_shares() -> None:
    splits = [split_of(str(number)) for number in range(20_000)]
    for split, share in SHARES.items():
        assert splits.count(split) / len(splits) == pytest.approx(share, abs=0.01)


hours = st.integers(-2000, 2000).map(lambda count: NOON + timedelta(hours=count))


@given(st.lists(hours, max_size=6), hours, st.integers(1, 40))
def test_an_ecg_belongs_to_the_first_study_after_it_within_the_days(
    performed: list[datetime], acquired: datetime, days: int
) -> None:
    studies = [Study(str(n), "P1", moment, degrees(), "a.csv") for n, moment in enumerate(performed)]
    pairing = Pairing([*studies, Study("other", "P2", acquired, degrees(), "a.csv")], days)
    fitting = [moment for moment in performed if timedelta(0) <= moment - acquired <= timedelta(days=days)]
    found = pairing.study_of("P1", acquired)
    assert (None if isinstance(found, str) else found.performed_at) == min(fitting, default=None)


def test_of_two_studies_the_earlier_counts_in_whichever_order_they_were_reported() -> None:
    first = study("S2", "P1", degrees())
    later = Study("S1", "P1", NOON + timedelta(days=3), degrees(), "a.csv")
    for studies in ([first, later], [later, first]):
        assert Pairing(studies, 30).study_of("P1", NOON - timedelta(days=2)) == first


def test_a_patient_without_study_has_none() -> None:
    assert Pairing([], 30).study_of("P1", NOON) == "ecg_not_before_study"
    assert not Pairing([], 30).has_study("P1")


STUDIES = tuple(study(f"S{n}", f"P{n}", degrees(s6=10.0 * n)) for n in range(1, 5))


def example(content: str, number: int, split: Split, value: float) -> Example:
    """An ECG of patient P<number>, before study S<number>."""
    shape = (12, RAW_SAMPLES) if split is Split.TRAIN else (2, 12, 1500)
    labels = np.array([1, 0, 0, 0, 0, np.nan], dtype=np.float32)
    signal = np.full(shape, value, dtype=np.float32)
    names = (f"P{number}", f"S{number}")
    return Example(content, *names, split, labels, shape[-1], signal, days_before=1.5, sex="F", age=None)


def written(
    folder: Path,
    *examples: Example,
    studies: tuple[Study, ...] = STUDIES,
    angiograms: Mapping[str, str] | None = None,
) -> Cohort:
    """The cohort of these ECGs after it was written to disk."""
    writer = CohortWriter(folder, studies, angiograms or {}, windows=2)
    for each in examples:
        writer.add(each)
    writer.finish(without=(), left_out={})
    return read_cohort(folder)


def test_a_cohort_comes_back_as_it_was_written(tmp_path: Path) -> None:
    writer = CohortWriter(tmp_path / "cohort", STUDIES, {"S2": "hash"}, windows=2)
    for content, number, split, value in [
        ("aa", 1, Split.TRAIN, 1),
        ("bb", 2, Split.TRAIN, 2),
        ("cc", 1, Split.TRAIN, 3),
        ("dd", 3, Split.TEST, 4),
    ]:
        writer.add(example(content, number, split, value))
    assert not is_written(tmp_path / "cohort")
    writer.finish(without={"bb"}, left_out={"ecg_patient_conflict": 2})

    cohort = read_cohort(tmp_path / "cohort")
    train, test = cohort.parts[Split.TRAIN], cohort.parts[Split.TEST]
    assert train.contents == ("aa", "cc")
    assert [train.signals[row].max() for row in train.rows] == [1, 3]
    assert train.weights.tolist() == [0.5, 0.5]
    assert train.patient_count == 1
    assert test.signals.shape == (1, 2, 12, 1500)
    np.testing.assert_array_equal(test.labels, [[1, 0, 0, 0, 0, np.nan]])
    assert (test.sex.tolist(), np.isnan(test.age).tolist()) == (["F"], [True])
    assert len(cohort.parts[Split.VALIDATION]) == 0
    assert cohort.left_out == {"ecg_patient_conflict": 2}


def test_what_patients_count_is_kept_with_the_cohort(tmp_path: Path) -> None:
    writer = CohortWriter(tmp_path, STUDIES, {}, windows=2)
    for content, number, counts in (("aa", 1, 2.5), ("bb", 1, 2.5), ("cc", 2, 1.0)):
        writer.add(replace(example(content, number, Split.TRAIN, 1), sample_weight=counts))
    writer.finish(without=(), left_out={}, referral={"outcome_days": 90})
    cohort = read_cohort(tmp_path)
    assert cohort.parts[Split.TRAIN].weights.tolist() == [1.25, 1.25, 1]
    assert cohort.referral == {"outcome_days": 90}


def test_every_ecg_knows_its_study_and_what_was_seen_there(tmp_path: Path) -> None:
    cohort = written(
        tmp_path, example("aa", 3, Split.TRAIN, 1), example("bb", 1, Split.TEST, 2), angiograms={"S2": "hash"}
    )
    for split, number in ((Split.TRAIN, 2), (Split.TEST, 0)):
        part = cohort.parts[split]
        assert part.studies.tolist() == [number]
        assert part.degrees.tolist() == [list(STUDIES[number].degrees)]
        assert part.patients.tolist() == [cohort.studies.patients[number]]
    assert cohort.studies.angiograms == ("", "hash", "", "")
    assert cohort.studies.splits == tuple(split_of(each.patient_id) for each in STUDIES)
    np.testing.assert_array_equal(cohort.studies.degrees, [each.degrees for each in STUDIES])


def test_the_fingerprint_tells_content_labels_and_split_but_not_order(tmp_path: Path) -> None:
    def fingerprint(*examples: Example, **options: Any) -> str:
        return written(tmp_path, *examples, **options).fingerprint

    one, other = example("aa", 1, Split.TRAIN, 1), example("bb", 2, Split.TEST, 2)
    assert fingerprint(one, other) == fingerprint(other, one)
    assert fingerprint(one) != fingerprint(one, other)
    assert fingerprint(one) != fingerprint(example("aa", 1, Split.TEST, 1))
    worse = (replace(STUDIES[0], degrees=degrees(s6=10.0, s16=99.0)), *STUDIES[1:])
    assert fingerprint(one) != fingerprint(one, studies=worse)
    seen, seen_better = {"S4": "two views"}, {"S4": "three views"}
    assert len({fingerprint(one, angiograms=each) for each in ({}, seen, seen_better)}) == 3


def test_no_identifier_is_kept_with_the_signals(tmp_path: Path) -> None:
    known = (study("STUDY-88", "MRN-4711", degrees()),)
    signal = np.zeros((12, RAW_SAMPLES), np.float32)
    labels = np.zeros(6, np.float32)
    ecg = Example("aa", "MRN-4711", "STUDY-88", Split.TRAIN, labels, RAW_SAMPLES, signal, days_before=2)
    written(tmp_path, ecg, studies=known)
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"MRN-4711" not in content
    assert b"STUDY-88" not in content


def angiograms(*views: int, versions: int = 4) -> Angiograms:
    """Studies with so many views; every number of a view's version is 10 x row + version."""
    rows = sum(views)
    features = np.empty((rows, versions, 2, 3, 5), dtype=np.float16)
    features[:] = (10 * np.arange(rows)[:, None] + np.arange(versions))[:, :, None, None, None]
    features[:, :, 1] += 1000  # the second frame
    return Angiograms(
        study=np.arange(len(views)),
        first=np.cumsum([0, *views[:-1]]),
        count=np.array(views),
        angles=np.stack([np.arange(rows), -np.arange(rows)], axis=1).astype(np.float32),
        degrees=np.zeros((len(views), 16), np.float32),
        splits=(Split.TRAIN,) * len(views),
        features=features,
    )


def test_a_batch_without_chance_has_every_view_as_it_is(tmp_path: Path) -> None:
    batch = angiograms(2, 1, 3).batch(np.array([2, 0]), None, drop_views=0.9)
    assert batch.tokens.shape == (2, 3, 2, 3, 5)
    assert batch.tokens[:, :, 0, 0, 0].tolist() == [[30, 40, 50], [0, 10, 0]]
    assert batch.tokens[0, :, 1, 0, 0].tolist() == [1030, 1040, 1050]
    assert batch.views.tolist() == [3, 2]
    assert batch.angulations.tolist() == [[[3, -3], [4, -4], [5, -5]], [[0, 0], [1, -1], [0, 0]]]


def test_in_training_views_are_augmented_and_some_left_out_but_never_all() -> None:
    data, rng = angiograms(1, 10), np.random.default_rng(5)
    seen, counts = set(), set()
    for _ in range(300):
        batch = data.batch(np.array([0, 1]), rng, drop_views=0.5)
        counts.add(tuple(batch.views.tolist()))
        for number, count in enumerate(batch.views):
            values = batch.tokens[number, :count, 0, 0, 0].astype(int)
            seen |= {int(value) % 10 for value in values}
            assert (values // 10).tolist() == batch.angulations[number, :count, 0].tolist()
            assert len(set(values // 10)) == count
    assert seen == {1, 2, 3}
    assert counts == {(1, count) for count in range(6, 11)}


def test_the_same_seed_draws_the_same_views() -> None:
    first, second = (
        angiograms(4, 4).batch(np.array([0, 1]), np.random.default_rng(3), 0.3) for _ in range(2)
    )
    np.testing.assert_array_equal(first.tokens, second.tokens)
