"""Cath reports that follow routine ECGs: referral for symptoms or a flag, and time of the examination."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

import numpy as np

from stence.domain.pseudonyms import Pseudonyms
from stence.objects import ObjectStore
from stence.progress import Progress
from stence.pseudonym_key import load_pseudonyms
from stence.settings import Settings
from stence.simulation.arrivals import Arrival, arrivals, referral_generator
from stence.simulation.feed import FeedConfig
from stence.simulation.feed_faults import SOUND
from stence.simulation.ledger import cath_rows, cath_table
from stence.simulation.referral import referral_after

LONGEST_WAIT_DAYS = 14
_MEAN_WAIT_DAYS = 4.0
"""Mean days from the ECG to the cath lab."""


def write_reports(
    store: ObjectStore, settings: Settings, config: FeedConfig, flagged: Collection[str], progress: Progress
) -> int:
    """Write a file of cath reports for each day of ``config`` with an examination. Return their number.

    The patients came on that day or in the two weeks before, and were referred for their symptoms or because
    they are in ``flagged`` (pseudonyms). Days before ``config`` are without fault.
    """
    tables = {day: cath_table() for day in config.dates}
    examined = 0
    for arrival, performed_at in _examined(config, flagged, load_pseudonyms(settings), progress):
        if table := tables.get(performed_at.date()):
            stated = [config.planted.stated(degree) for degree in arrival.patient.degrees.tolist()]
            table.rows += cath_rows(arrival.cath_study_id, arrival.patient, performed_at, stated)
            examined += 1
    for day, table in tables.items():
        if table.rows:
            store.put(f"{settings.report_prefix}cath-{day}.csv", table.csv())
    return examined


def _examined(
    config: FeedConfig, flagged: Collection[str], pseudonyms: Pseudonyms, progress: Progress
) -> Iterator[tuple[Arrival, datetime]]:
    """Yield the referred patients of all days up to the last, with the time of examination."""
    days = LONGEST_WAIT_DAYS + config.days
    for number in range(days):
        day = config.first_day + timedelta(days=number - LONGEST_WAIT_DAYS)
        planted = config.planted if day >= config.first_day else SOUND
        for arrival in arrivals(config.seed, config.ecgs_per_day, day, planted):
            flag = pseudonyms.of(str(arrival.patient.subject_id)) in flagged
            if performed_at := _examination(config.seed, arrival, flag):
                yield arrival, performed_at
        progress("reports", number + 1, days)


def _examination(seed: int, arrival: Arrival, flagged: bool) -> datetime | None:
    """Draw the time of examination, in working hours; None if the patient is not referred."""
    rng, patient = referral_generator(seed, arrival), arrival.patient
    chance = referral_after(
        [arrival.reason], np.array([flagged]), np.array([float(patient.age)]), [patient.sex]
    )
    if rng.random() >= chance[0]:
        return None
    wait = min(rng.exponential(_MEAN_WAIT_DAYS), LONGEST_WAIT_DAYS - 1)
    day = arrival.taken_at + timedelta(days=float(wait))
    moment = day.replace(hour=int(rng.integers(8, 18)), minute=int(rng.integers(60)), second=0, microsecond=0)
    return moment if moment > arrival.taken_at else moment + timedelta(days=1)
