"""Routine days of the practice hospital: the ECGs of each day.

Every day is drawn independently: the same seed gives the same bytes, regardless of days written before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from multiprocessing import get_context

from stence.errors import ConfigurationError
from stence.objects import ObjectStore, open_store
from stence.progress import Progress
from stence.settings import Settings
from stence.simulation.arrivals import FIRST_DAY, LAST_DAY, MAX_ECGS, Arrival, arrivals, signal_generator
from stence.simulation.cardiac_dipole import draw_heart
from stence.simulation.faults import EXPECTED, SENT_AGAIN, WRONG_PATIENT, spoil_files
from stence.simulation.feed_faults import FEED_FAULTS, SOUND, FeedFault
from stence.simulation.files import write
from stence.simulation.ledger import TRUTH_PREFIX, Table
from stence.simulation.visits import Place, Visit, draw_resting_rate, draw_visit
from stence.simulation.writer import Writer


@dataclass(frozen=True, slots=True)
class FeedConfig:
    """``days`` from ``first_day`` on, with ``ecgs_per_day`` as the mean over the week.

    ``fault``, one of ``FEED_FAULTS``, affects all these days. ``processes`` work on days in parallel and do
    not change the output. Raises ConfigurationError for an unknown fault, or days outside the calendar.
    """

    seed: int = 7
    ecgs_per_day: int = 400
    first_day: date = date(2026, 7, 1)
    days: int = 1
    fault: str | None = None
    processes: int = 1

    def __post_init__(self) -> None:
        if self.fault is not None and self.fault not in FEED_FAULTS:
            raise ConfigurationError(f"There is no fault {self.fault}; known: {', '.join(FEED_FAULTS)}")
        if not 0 <= self.ecgs_per_day <= MAX_ECGS:
            raise ConfigurationError(f"{self.ecgs_per_day} ECGs per day are not between 0 and {MAX_ECGS}")
        if self.first_day < FIRST_DAY or self.first_day + timedelta(days=self.days) > LAST_DAY:
            raise ConfigurationError(f"Days are simulated from {FIRST_DAY} to {LAST_DAY} only")

    @property
    def dates(self) -> list[date]:
        """The simulated days."""
        return [self.first_day + timedelta(days=number) for number in range(self.days)]

    @property
    def planted(self) -> FeedFault:
        """The injected fault; ``SOUND`` without any."""
        return FEED_FAULTS[self.fault] if self.fault else SOUND


def simulate_days(store: ObjectStore, settings: Settings, config: FeedConfig, progress: Progress) -> int:
    """Write each day's ECGs, manifest and truth. Return the number of ECGs.

    Memory holds a few dozen files and one day's tables per process. Raises StoreUnavailableError.
    """
    written = 0
    write_day = partial(_write_day, store.url, settings, config)
    for done, ecgs in enumerate(_each(write_day, config), start=1):
        written += ecgs
        progress("days", done, config.days, note=f"{written} ECGs")
    return written


def _each(write_day: Callable[[date], int], config: FeedConfig) -> Iterator[int]:
    if config.processes == 1:
        yield from map(write_day, config.dates)
        return
    with ProcessPoolExecutor(config.processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(write_day, config.dates)


def _write_day(store_url: str, settings: Settings, config: FeedConfig, day: date) -> int:
    store = open_store(store_url, settings)
    folder = f"{settings.ecg_prefix}feed/{day}/"
    manifest = Table("subject_id", "study_id", "file_name", "ecg_time", "path", "site", "indication")
    segments = (f"segment_{segment}" for segment in range(1, 17))
    truth = Table("key", "patient_id", "model", "heart_rate", "fault", "expected", *segments)
    with ThreadPoolExecutor(settings.fetch_threads) as pool:
        writer = Writer(pool, store)
        for arrival in arrivals(config.seed, config.ecgs_per_day, day, config.planted):
            if not config.planted.is_lost(arrival.site, arrival.taken_at):
                visit, files = _recording(config, arrival)
                for name, content in files.items():
                    writer.put(folder + name, content)
                manifest.rows.append(_manifest_row(arrival))
                truth.rows.append(_truth_row(folder + next(iter(files)), arrival, visit))
        writer.finish()
    store.put(folder + "record_list.csv", manifest.csv())
    store.put(f"{TRUTH_PREFIX}feed/{day}.csv", truth.csv())
    return len(manifest.rows)


def _recording(config: FeedConfig, arrival: Arrival) -> tuple[Visit, dict[str, bytes]]:
    """Simulate one recording and its files; 3 % have a fault, as in the archive."""
    rng = signal_generator(config.seed, arrival)
    heart, resting_rate = draw_heart(rng, arrival.patient), draw_resting_rate(rng)
    place = Place(0, arrival.ecg_study_id, arrival.taken_at, arrival.device)
    visit = draw_visit(rng, arrival.patient, heart, resting_rate, place)
    sent = config.planted.recorded(arrival.site, visit.ecg)
    return visit, spoil_files(rng, write(sent), visit.fault)


def _manifest_row(arrival: Arrival) -> tuple[object, ...]:
    subject, study = arrival.patient.subject_id, arrival.ecg_study_id
    return subject, study, study, f"{arrival.taken_at}", study, arrival.site, arrival.reason


def _truth_row(key: str, arrival: Arrival, visit: Visit) -> tuple[object, ...]:
    fault = None if visit.fault in (SENT_AGAIN, WRONG_PATIENT) else visit.fault  # the feed has no duplicates
    patient, expected = arrival.patient, EXPECTED[fault] if fault else "scored"
    model, rate = visit.ecg.device.model, round(visit.rhythm.heart_rate, 1)
    return key, patient.subject_id, model, rate, fault or "", expected, *patient.degrees.tolist()
