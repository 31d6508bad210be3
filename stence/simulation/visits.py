"""Simulate a patient's visits: times of ECGs and angiography, and the recordings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from stence.simulation.cardiac_dipole import (
    ISCHAEMIA_SPREAD,
    SCAR_SPREAD,
    VISIT_SHARE,
    Heart,
    Manifest,
    confounders,
    draw_heart,
    leads,
)
from stence.simulation.coronaries import ischaemia
from stence.simulation.devices import Device, draw_device, draw_site
from stence.simulation.faults import RATES, draw_fault, spoil_signal
from stence.simulation.files import Ecg
from stence.simulation.noise import draw_noise
from stence.simulation.patients import Patient
from stence.simulation.rhythm import Rhythm, draw_rhythm
from stence.simulation.truth import Evidence

SECONDS = 10
DAYS = 120
"""Days covered by the hospital's records."""


@dataclass(frozen=True, slots=True)
class Place:
    """Time, machine, site and study id of an ECG; ``number`` counts the patient's ECGs from 0."""

    number: int
    study_id: int
    taken_at: datetime
    device: Device
    site: str | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """One ECG with its hidden truth; ``number`` counts the patient's ECGs from 0."""

    number: int
    ecg: Ecg
    rhythm: Rhythm
    heart: Heart
    evidence: Evidence
    fault: str | None


def study_id(patient: int, number: int) -> int:
    """Return eight digits for study ``number`` (below 16) of the patient with number ``patient``."""
    return 40_000_000 + (16 * patient + number) * 7_368_787 % 9_999_991


def draw_angiography_time(rng: np.random.Generator, end: datetime) -> datetime:
    """Draw a time within the 90 days before ``end``, in working hours."""
    day = end - timedelta(days=float(rng.uniform(1, 90)))
    return day.replace(hour=int(rng.integers(8, 18)), minute=int(rng.integers(60)), second=0, microsecond=0)


def draw_visits(
    rng: np.random.Generator, patient: Patient, angiography: datetime | None, end: datetime
) -> Iterator[Visit]:
    """Yield one to three ECGs in order of time."""
    heart = draw_heart(rng, patient)
    resting_rate = draw_resting_rate(rng)
    site = draw_site(rng)
    count = int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]))
    times = sorted(_time(rng, angiography, end) for _ in range(count))
    for number, taken_at in enumerate(times):
        place = Place(number, study_id(patient.number, number), taken_at, draw_device(rng, site), site)
        yield draw_visit(rng, patient, heart, resting_rate, place)


def draw_visit(
    rng: np.random.Generator, patient: Patient, heart: Heart, resting_rate: float, place: Place
) -> Visit:
    """Draw one ECG of a person with the given ``heart`` and resting heart rate (/min)."""
    fault = draw_fault(rng, place.device.file_format)
    rate = RATES.get(fault or "", place.device.rate)
    rhythm = draw_rhythm(rng, SECONDS, resting_rate, patient.age)
    evidence = _evidence(rng, patient, heart)
    counts = _record(rng, patient, heart, rhythm, evidence, place.device, rate)
    ecg = Ecg(
        subject_id=patient.subject_id,
        study_id=place.study_id,
        age=patient.age,
        sex=patient.sex,
        taken_at=place.taken_at,
        device=place.device,
        rate=rate,
        counts=counts,
        site=place.site,
    )
    return Visit(place.number, spoil_signal(rng, ecg, fault), rhythm, heart, evidence, fault)


def draw_resting_rate(rng: np.random.Generator) -> float:
    """Draw a person's heart rate at rest, in beats per minute."""
    return float(np.clip(rng.normal(69, 12), 45, 120))


def _time(rng: np.random.Generator, angiography: datetime | None, end: datetime) -> datetime:
    """Draw an ECG's time; nine of ten ECGs of a cath patient are within the 30 days before the study."""
    if angiography is not None and rng.random() < 0.9:
        taken_at = angiography - timedelta(days=float(rng.uniform(0.1, 30)))
    else:
        taken_at = end - timedelta(days=float(rng.uniform(0, DAYS)))
    return max(taken_at, end - timedelta(days=DAYS)).replace(microsecond=0)


def _evidence(rng: np.random.Generator, patient: Patient, heart: Heart) -> Evidence:
    """Draw the visible signs: disease, plus random parts of the person and of the day."""
    today = np.sqrt(VISIT_SHARE)
    return Evidence(
        patient.age,
        patient.sex,
        patient.sent,
        ischaemia(patient.degrees) + heart.own.ischaemia + today * ISCHAEMIA_SPREAD * rng.standard_normal(3),
        patient.trees.scar[0] + heart.own.scar + today * SCAR_SPREAD * rng.standard_normal(3),
    )


def _record(
    rng: np.random.Generator,
    patient: Patient,
    heart: Heart,
    rhythm: Rhythm,
    evidence: Evidence,
    device: Device,
    rate: int,
) -> NDArray[np.int16]:
    """Simulate the machine's counts (12, n)."""
    shown = evidence.ischaemia + confounders(patient, rhythm.heart_rate)
    samples = SECONDS * rate
    clean = leads(heart, Manifest(shown, evidence.scar), rhythm, samples, rate)
    noise = draw_noise(rng, device.surroundings, rhythm.breathing_hz, samples, rate)
    return device.digitise(clean + noise, rate)
