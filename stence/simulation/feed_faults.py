"""Sudden faults of a hospital, injected into routine days to test the monitoring.

Each fault changes one thing. Everything else is as on the sound day of the same seed.
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
    """A day without fault; each kind of fault overrides one method."""

    def patient(self, rng: np.random.Generator, patient: Patient, burden: float) -> Patient:
        """Return the patient who comes instead of ``patient``, who was drawn with ``burden``."""
        return patient

    def device(self, rng: np.random.Generator, device: Device) -> Device:
        """Return the machine used instead of ``device``."""
        return device

    def is_lost(self, site: str, taken_at: datetime) -> bool:
        """True if the ECG never reaches the store."""
        return False

    def recorded(self, site: str, ecg: Ecg) -> Ecg:
        """Return the recording that reaches the store."""
        return ecg

    def stated(self, degree: int) -> int:
        """Return the reported degree of a diameter stenosis of ``degree`` percent."""
        return degree


SOUND = FeedFault()


class GainDoubled(FeedFault):
    """One ward machine records at twice the gain stated in its files."""

    def recorded(self, site: str, ecg: Ecg) -> Ecg:
        """Double the samples' distance from the baseline."""
        if ecg.device != WARD_CART:
            return ecg
        far = 2 * (ecg.counts.astype(np.int32) - WARD_CART.baseline) + WARD_CART.baseline
        return replace(ecg, counts=np.clip(far, -32767, 32767).astype(np.int16))


class ChestLeadsSwapped(FeedFault):
    """The clinic swaps the electrodes V1 and V2."""

    def recorded(self, site: str, ecg: Ecg) -> Ecg:
        """Swap the leads V1 and V2."""
        if site != CLINIC or len(ecg.counts) < len(LEADS):
            return ecg
        order = np.arange(len(LEADS))
        order[list(FIRST_CHEST_LEADS)] = FIRST_CHEST_LEADS[::-1]
        return replace(ecg, counts=ecg.counts[order])


class NewDevice(FeedFault):
    """An unknown machine records a fifth of the ECGs, at 1000 Hz."""

    machine = Device(
        "Boreal Systems", "Touch 12", "wfdb", 500, 0, 150.0, LEADS, Surroundings(0.025, 0.001, 0.003), 1000
    )

    def device(self, rng: np.random.Generator, device: Device) -> Device:
        """Return the new machine for one ECG in five."""
        return self.machine if rng.random() < 0.2 else device


class PrevalenceDoubled(FeedFault):
    """Twice as many patients have a stenosis of 70 % or more; both groups are otherwise unchanged."""

    prevalence = 0.186
    target = TARGET_NAMES.index("stenosis_70")

    def patient(self, rng: np.random.Generator, patient: Patient, burden: float) -> Patient:
        """Replace some healthy patients by ill patients, so that the prevalence doubles."""
        if self._is_ill(patient) or rng.random() >= self.prevalence / (1 - self.prevalence):
            return patient
        while not self._is_ill(patient):
            patient = draw_patient(rng, patient.number, burden)
        return patient

    def _is_ill(self, patient: Patient) -> bool:
        return labels(patient.degrees.tolist())[self.target] == 1


class FeedStopped(FeedFault):
    """From ten o'clock on no ECG arrives from the clinic."""

    hour = 10

    def is_lost(self, site: str, taken_at: datetime) -> bool:
        """True for the clinic's ECGs later in the day."""
        return site == CLINIC and taken_at.hour >= self.hour


class AreaReported(FeedFault):
    """The cath lab reports stenosis of the area instead of the diameter."""

    def stated(self, degree: int) -> int:
        """Convert to percent of the area: 1 - (1 - d)^2."""
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
"""All faults by name."""
