"""A hospital that grows: nobody who was tested on is ever trained on, and what is new is counted."""

from __future__ import annotations

import uuid
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import combinations

import pytest
from sqlalchemy import Engine, func, insert, select

from stence import cohort, scoring
from stence.angiography.indexing import index_angiograms
from stence.angiography.views import prepare_views
from stence.cohort import Angiograms, Cohort, FeatureSet, Split, new_pairs, split_of
from stence.database.outage import transact
from stence.database.tables import cath_studies, ecg_study_pairs, training_runs
from stence.objects import open_store
from stence.progress import silent
from stence.settings import Settings
from support.angiograms import Blocks, run
from support.database import tampering
from support.ecgs import heartbeats, manifest, store_ecg

OPENED = datetime(2026, 1, 5, 10)
FEATURES = FeatureSet(Blocks.version, 1)


class Hospital:
    """Patients come, and come again, with ECGs, studies and angiograms."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine, self.settings = engine, settings
        self.store = open_store(settings.resolved_store_url, settings)
        self.ecgs: list[tuple[str, str, str]] = []
        self.reports = ["study_id,patient_id,performed_at,segment,degree,intervention_at"]
        self.runs = 0

    def ecg(self, patient: str, at: datetime) -> None:
        path = f"{len(self.ecgs)}"
        store_ecg(self.store, f"ecg/{path}.hea", heartbeats(len(self.ecgs), seconds=4))
        self.ecgs.append((patient, at.isoformat(), path))

    def study(self, patient: str, at: datetime, treated: datetime | None = None) -> None:
        number = len(self.reports)
        self.reports.append(
            f"S{number},{patient},{at.isoformat()},6,{number % 100},{treated.isoformat() if treated else ''}"
        )

    def angiogram(self, patient: str, at: datetime) -> None:
        self.store.put(f"angio/{self.runs}", run(patient, self.runs, frames=3, filled=1, taken_at=at))
        self.runs += 1

    def index(self) -> None:
        self.store.put("ecg/record_list.csv", manifest(self.ecgs))
        self.store.put("reports/cath.csv", "\n".join([*self.reports, ""]).encode())
        scoring.index(self.engine, self.store, self.settings)
        cohort.index_reports(self.engine, self.store, self.settings)
        index_angiograms(self.engine, self.store, self.settings)

    def gather(self, name: str) -> tuple[Cohort, Angiograms]:
        """As a training does."""
        prepare_views(self.engine, self.store, self.settings, Blocks(), FEATURES.versions)
        plan = cohort.plan_cohort(self.engine, self.store, self.settings, 30, silent, FEATURES)
        where = (self.engine, self.store, self.settings, self.settings.data_dir / name)
        ecgs = cohort.gather(plan, *where, silent)
        *place, folder = where
        return ecgs, cohort.gather_angiograms(plan, *place, folder / "angiograms", silent)

    def train(self) -> None:
        """As if a training had finished that saw all there is."""
        row = {"id": uuid.uuid4(), "preset": "small", "state": "finished", "config": {}}
        with tampering(self.engine) as connection:
            connection.execute(insert(training_runs).values(row | {"data_as_of": func.now()}))

    def new_pairs(self) -> int:
        self.index()
        return transact(self.engine, 0, new_pairs, 30)


@pytest.fixture
def hospital(engine: Engine, settings: Settings) -> Hospital:
    return Hospital(engine, settings)


PATIENTS_A_YEAR = 30


def grow(hospital: Hospital, year: int) -> None:
    """New patients come. Of those who are known every third has another ECG, every sixth another study too.

    The others of these have their first study corrected, and another run of it sent.
    """
    known = range(PATIENTS_A_YEAR * year)
    now = OPENED + timedelta(days=100 * year)
    for number in [*known[::3], *range(known.stop, known.stop + PATIENTS_A_YEAR)]:
        patient = f"P{number}"
        hospital.ecg(patient, now - timedelta(days=1 + number % 9))
        if number not in known or number % 6 == 0:
            hospital.study(patient, now)
            hospital.angiogram(patient, now)
        else:
            first = next(n for n, row in enumerate(hospital.reports) if f",{patient}," in row)
            hospital.reports[first] = hospital.reports[first].replace(",6,", ",7,")
            hospital.angiogram(patient, OPENED + timedelta(days=100 * (number // PATIENTS_A_YEAR)))


@pytest.mark.slow
def test_patients_of_the_test_split_are_never_trained_on_while_the_hospital_grows(hospital: Hospital) -> None:
    used: defaultdict[Split, set[str]] = defaultdict(set)
    fingerprints, sizes = set(), []
    for year in range(4):
        grow(hospital, year)
        hospital.index()
        ecgs, angiograms = hospital.gather(f"year {year}")
        pairs = recorded_pairs(hospital.engine)
        for split, part in ecgs.parts.items():
            patients = [pairs[content][0] for content in part.contents]
            assert {pairs[content][1] for content in part.contents} <= {split}
            assert len(set(patients)) == part.patient_count
            used[split] |= set(patients)
        patients_of_studies = study_patients(hospital.engine)
        for number, split in zip(angiograms.study, angiograms.splits, strict=True):
            used[split].add(patients_of_studies[number])
        fingerprints.add(ecgs.fingerprint)
        sizes.append((len(pairs), len(angiograms)))

    for one, other in combinations(Split, 2):
        assert not used[one] & used[other], f"patients of {one} were used for {other} as well"
    for split, patients in used.items():
        assert {split_of(patient) for patient in patients} == {split}
    assert sum(map(len, used.values())) == 4 * PATIENTS_A_YEAR
    assert all(used[split] for split in Split)
    assert sizes == sorted(set(sizes))
    assert len(fingerprints) == 4


def recorded_pairs(engine: Engine) -> dict[str, tuple[str, str]]:
    """Patient and split by content, as the database has them."""
    p = ecg_study_pairs.c
    with engine.connect() as connection:
        rows = connection.execute(select(p.content_hash, p.patient_id, p.split, p.weight)).all()
    weights: defaultdict[str, float] = defaultdict(float)
    for _, patient, _, weight in rows:
        weights[patient] += weight
    assert all(weight == pytest.approx(1) for weight in weights.values())
    return {content.hex(): (patient, split) for content, patient, split, _ in rows}


def study_patients(engine: Engine) -> list[str]:
    """Patients of the studies in the order of their ids, which is that of a cohort's StudyTable."""
    with engine.connect() as connection:
        rows = connection.execute(select(cath_studies.c.study_id, cath_studies.c.patient_id)).all()
    return [patient for _, patient in sorted(rows)]


def test_new_pairs_are_those_that_no_finished_training_has_seen(hospital: Hospital) -> None:
    day = timedelta(days=1)
    for patient in ("P1", "P2"):
        hospital.ecg(patient, OPENED - day)
        hospital.ecg(patient, OPENED - 2 * day)
        hospital.study(patient, OPENED)
    hospital.angiogram("P1", OPENED)
    hospital.ecg("P3", OPENED)
    assert hospital.new_pairs() == 2
    hospital.train()
    assert hospital.new_pairs() == 0

    hospital.ecg("P1", OPENED - 3 * day)
    assert hospital.new_pairs() == 1
    hospital.angiogram("P2", OPENED)
    assert hospital.new_pairs() == 3
    hospital.train()
    hospital.angiogram("P2", OPENED)
    assert hospital.new_pairs() == 0
    hospital.reports[1] = hospital.reports[1].replace(",1,", ",90,")
    assert hospital.new_pairs() == 3


@pytest.mark.slow
def test_ecgs_after_the_study_too_long_before_it_or_after_an_intervention_are_no_pairs(
    hospital: Hospital,
) -> None:
    day = timedelta(days=1)
    hospital.study("P1", OPENED, treated=OPENED + day / 24)
    hospital.study("P1", OPENED + 20 * day)
    for days in (-31, -30, 0, 1, 19, 25):
        hospital.ecg("P1", OPENED + days * day)
    for at in (OPENED, OPENED + 20 * day):
        hospital.angiogram("P1", at)
    assert hospital.new_pairs() == 2
    ecgs, _ = hospital.gather("once")
    assert len(recorded_pairs(hospital.engine)) == 2
    with hospital.engine.connect() as connection:
        days_before = connection.scalars(select(ecg_study_pairs.c.days_before)).all()
    assert sorted(days_before) == [0, 30]
    assert ecgs.left_out == {
        "ecg_not_before_study": 2,
        "ecg_after_intervention": 2,
        "study_without_ecg": 1,
    }
