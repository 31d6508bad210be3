"""Simulate the ECG arrivals of a routine day: patient, time, site, machine and indication."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np

from stence.domain.windows import is_weekend
from stence.simulation.coronaries import ischaemia
from stence.simulation.devices import Device, draw_device
from stence.simulation.feed_faults import CLINIC, FeedFault
from stence.simulation.patients import Patient, draw_patient
from stence.simulation.referral import indication

_WEEKDAY = np.array([1, 1, 1, 1, 1, 1, 2, 4, 8, 10, 10, 9, 7, 7, 8, 7, 5, 4, 3, 3, 2, 2, 1, 1])
_WEEKEND = np.array([2, 2, 1, 1, 1, 2, 3, 4, 5, 6, 6, 6, 5, 5, 5, 5, 5, 5, 5, 4, 4, 3, 3, 2])
"""Relative number of ECGs by hour."""
WEEKDAY_SHARE, WEEKEND_SHARE = 1.18, 0.55
"""ECGs of a weekday and a weekend day, as shares of the mean day."""
WARDS = "main building"
CLINIC_SHARE = {False: 0.34, True: 0.08}
"""The clinic's share of the ECGs, by whether it is a weekend; 0.3 over the week, as in the archive."""
BURDEN = {WARDS: 0.15, CLINIC: -0.35}
"""Outpatients have less atherosclerosis than inpatients; 0 over the week. In standard deviations of risk."""
DAY_BURDEN = 0.1
"""Standard deviation of the burden between days of one kind: chance brings sicker and healthier days."""

_OPENING = date(2026, 1, 1)
_FIRST_NUMBER, _NUMBERS_A_DAY = 1_000_000, 2_000
"""First patient number, and numbers per day: nobody is in the archive, and nobody comes twice."""
FIRST_DAY = _OPENING + timedelta(days=14)
"""First day that can be simulated; patients of the two weeks before may be examined from then on."""
LAST_DAY = _OPENING + timedelta(days=(9_999_990 - _FIRST_NUMBER) // _NUMBERS_A_DAY - 1)
MAX_ECGS = 1_400
"""Maximum ECGs of a mean day, so that a random day does not exceed the available numbers."""

# Each purpose has its own random generator, so that a change of one does not change the others.
_PERSON, _SIGNAL, _REFERRAL, _FAULT = (), (1,), (2,), (3,)
_DAY, _CASE_MIX = (4,), (5,)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A patient and the ECG to record; ``reason`` is its indication."""

    patient: Patient
    reason: str
    site: str
    device: Device
    taken_at: datetime

    @property
    def ecg_study_id(self) -> int:
        """Study id of the ECG: eight digits from 50 million on; ids of the archive are lower."""
        return self.patient.subject_id + 40_000_000

    @property
    def cath_study_id(self) -> int:
        """Study id of the cath study: eight digits from 60 million on."""
        return self.patient.subject_id + 50_000_000


def arrivals(seed: int, ecgs_per_day: int, day: date, fault: FeedFault) -> Iterator[Arrival]:
    """Yield the day's ECGs in order of time: fewer at weekends, and then few outpatients.

    Their number is random, and so is how ill the day's patients are (``DAY_BURDEN``).
    """
    first = _FIRST_NUMBER + _NUMBERS_A_DAY * (day - _OPENING).days
    of_day = DAY_BURDEN * float(_generator(seed, first, _CASE_MIX).standard_normal())
    for place, taken_at in enumerate(_times(_generator(seed, first, _DAY), ecgs_per_day, day)):
        yield _arrival(seed, first + place, taken_at, of_day, fault)


def signal_generator(seed: int, arrival: Arrival) -> np.random.Generator:
    """Return the generator for heart, noise and everything else in the recording."""
    return _generator(seed, arrival.patient.number, _SIGNAL)


def referral_generator(seed: int, arrival: Arrival) -> np.random.Generator:
    """Return the generator for the patient's referral."""
    return _generator(seed, arrival.patient.number, _REFERRAL)


def _arrival(seed: int, number: int, taken_at: datetime, of_day: float, fault: FeedFault) -> Arrival:
    rng, disturbed = _generator(seed, number, _PERSON), _generator(seed, number, _FAULT)
    site = CLINIC if rng.random() < CLINIC_SHARE[is_weekend(taken_at)] else WARDS
    burden = BURDEN[site] + of_day
    patient = fault.patient(disturbed, draw_patient(rng, number, burden), burden)
    device = fault.device(disturbed, draw_device(rng, site))
    reason = indication(rng, ischaemia(patient.trees.degrees), np.array([float(patient.age)]))[0]
    return Arrival(patient, str(reason), site, device, taken_at)


def _times(rng: np.random.Generator, ecgs_per_day: int, day: date) -> list[datetime]:
    weekend = is_weekend(day)
    profile = _WEEKEND if weekend else _WEEKDAY
    count = int(rng.poisson(ecgs_per_day * (WEEKEND_SHARE if weekend else WEEKDAY_SHARE)))
    hours = rng.choice(24, size=count, p=profile / profile.sum())
    seconds = 3600 * hours + rng.integers(3600, size=count)
    midnight = datetime.combine(day, time())
    return [midnight + timedelta(seconds=int(second)) for second in np.sort(seconds)]


def _generator(seed: int, number: int, purpose: tuple[int, ...]) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, *purpose)))
