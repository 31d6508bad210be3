"""What can go wrong at a hospital from one day to the next, planted into routine days to see who notices.

Each fault changes one thing and leaves every other as on the sound day of the same seed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

import numpy as np

from stence.domain.targets import TARGET_NAMES, labels
from stence.simulation.devices import LEADS, WARD_CART, Device
from stence.simulation.files import Ecg
from stence.simulation.noise import Surroundings
from stence.simulation.patients import Patient, draw_patient

CLINIC = "outpatient clinic"
FIRST_CHEST_LEADS = LEADS.index("V1"), LEADS.index("V2")


class FeedFault:
    """A day as it should be; each kind of fault overrides one method."""

    def patient(self, rng: np.random.Generator, patient: Patient) -> Patient:
        """Who comes instead of the ``patient``."""
        return patient

    def device(self, rng: np.random.Generator, device: Device) -> Device:
        """The machine that is used instead."""
        return device

    def is_lost(self, site: str, taken_at: datetime) -> bool:
        """Whether the ECG never reaches the store."""
        return False

    def recorded(self, site: str, ecg: Ecg) -> Ecg:
        """The recording as it is sent."""
        return ecg

    def stated(self, degree: int) -> int:
        """What a cath report says of a diameter narrowed by ``degree`` percent."""
        return degree


SOUND = FeedFault()


class GainDoubled(FeedFault):
    """One machine of the wards records at twice the gain that its files state."""

    def recorded(self, site: str, ecg: Ecg) -> Ecg:
        """Samples twice as far from the baseline."""
        if ecg.device != WARD_CART:
            return ecg
        far = 2 * (ecg.counts.astype(np.int32) - WARD_CART.baseline) + WARD_CART.baseline
        return replace(ecg, counts=np.clip(far, -32767, 32767).astype(np.int16))


class ChestLeadsSwapped(FeedFault):
    """The clinic has taken to placing the electrodes V1 and V2 the wrong way round."""

    def recorded(self, site: str, ecg: Ecg) -> Ecg:
        """V1 under the name of V2, and the other way round."""
        if site != CLINIC or len(ecg.counts) < len(LEADS):
            return ecg
        order = np.arange(len(LEADS))
        order[list(FIRST_CHEST_LEADS)] = FIRST_CHEST_LEADS[::-1]
        return replace(ecg, counts=ecg.counts[order])


class NewDevice(FeedFault):
    """A machine that nobody announced takes a fifth of the ECGs, at 1000 Hz."""

    machine = Device(
        "Boreal Systems", "Touch 12", "wfdb", 500, 0, 150.0, LEADS, Surroundings(0.025, 0.001, 0.003), 1000
    )

    def device(self, rng: np.random.Generator, device: Device) -> Device:
        """The new machine for one ECG in five."""
        return self.machine if rng.random() < 0.2 else device


class PrevalenceDoubled(FeedFault):
    """Twice as many patients have a narrowing of 70 % or more; the ill and the others are as before."""

    prevalence = 0.186
    target = TARGET_NAMES.index("stenosis_70")

    def patient(self, rng: np.random.Generator, patient: Patient) -> Patient:
        """An ill person in place of so many of the others that the share of the ill doubles."""
        if self._is_ill(patient) or rng.random() >= self.prevalence / (1 - self.prevalence):
            return patient
        while not self._is_ill(patient):
            patient = draw_patient(rng, patient.number)
        return patient

    def _is_ill(self, patient: Patient) -> bool:
        return labels(patient.degrees.tolist())[self.target] == 1


class FeedStopped(FeedFault):
    """From ten o'clock on nothing comes from the clinic any more."""

    hour = 10

    def is_lost(self, site: str, taken_at: datetime) -> bool:
        """What the clinic takes later in the day."""
        return site == CLINIC and taken_at.hour >= self.hour


class AreaReported(FeedFault):
    """The cath laboratory reports by how much a vessel's area is narrowed in place of its diameter."""

    def stated(self, degree: int) -> int:
        """Percent of the area: 1 - (1 - d)^2."""
        return round(100 * (1 - (1 - degree / 100) ** 2))


FEED_FAULTS: MappingProxyType[str, FeedFault] = MappingProxyType(
    {
        "gain-doubled": GainDoubled(),
        "v1-v2-swapped": ChestLeadsSwapped(),
        "new-device": NewDevice(),
        "prevalence-doubled": PrevalenceDoubled(),
        "feed-stopped": FeedStopped(),
        "area-reported": AreaReported(),
    }
)
"""Every fault by its name."""
