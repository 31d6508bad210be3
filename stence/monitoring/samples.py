"""Samples of ECGs for drift: measurements, scores, projected embeddings, and place.

A sample holds at most ``MAX_ECGS`` ECGs: those with the lowest content hashes. The sample is therefore
random, the same in every run, and the beginning of any larger sample. A patient counts once a day, because
several ECGs of one heart are not independent observations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Any, NamedTuple, Self, TypedDict

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from stence.database import queries
from stence.domain.random_projection import PROJECTION_SIZE
from stence.domain.targets import TARGET_NAMES
from stence.domain.windows import Window, is_weekend
from stence.ecg.recording import LEADS
from stence.evaluation.watched import Watched
from stence.monitoring.places import MIN_COUNT, kept, pooled
from stence.settings import Settings

OF_ALL, OF_EACH, MAX_ECGS = 4_000, 400, 20_000
"""Maximum number of ECGs: of all, of each device and site, and in the whole sample."""
SLICE_KEYS = ("device", "site")
MEASURED = (
    "age",
    "heart_rate",
    *(f"{name}.{lead}" for name in ("r_mv", "s_mv", "noise_uv") for lead in LEADS),
)
_CHEST = LEADS[6:]
DERIVED = ("amplitude_mv", *(f"r_step.{a}-{b}" for a, b in pairwise(_CHEST)))
MEASURES = (*MEASURED, *DERIVED)
"""The compared measures. Two kinds are derived.

``amplitude_mv`` is R and S together, as a mean over the leads. It follows a machine's gain more closely than
any single lead. ``r_step`` is the logarithm of R's ratio between neighbouring chest leads. It changes its
sign when electrodes are swapped."""
_SMALL_MV = 0.02
"""Added to R before the logarithm is taken."""


class Slice(NamedTuple):
    """A slice of the ECGs: all, or those of one device or site."""

    key: str | None = None
    value: str | None = None


ALL = Slice()


@dataclass(frozen=True, slots=True)
class Sample:
    """ECGs (n) in the order of their content hash.

    ``places``: device and site of each ECG, empty where unknown. ``measured`` (n, measures) is in the order
    of ``MEASURED``. ``scores`` (n, targets) and ``measured`` are NaN where there is no value. ``projections``
    (n, 32) of the model's embeddings are NaN except for the first ECGs. ``weekend`` (n): 1 if the ECG was
    taken at a weekend, else 0; NaN where that was not recorded.
    """

    places: Mapping[str, NDArray[np.str_]]
    measured: NDArray[np.float64]
    scores: NDArray[np.float64]
    projections: NDArray[np.float64]
    weekend: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.measured)

    @classmethod
    def empty(cls) -> Self:
        """A sample without ECGs."""
        return cls.of_rows([])

    @classmethod
    def of_rows(cls, rows: list[Any]) -> Self:
        """Read a sample from the rows of ``drift_sample.sql``."""
        return cls(
            {key: np.array([getattr(row, key) or "" for row in rows], dtype=str) for key in SLICE_KEYS},
            _table([(row.age, row.heart_rate, *_by_lead(row)) for row in rows], len(MEASURED)),
            _table(
                [tuple(getattr(row, target) for target in TARGET_NAMES) for row in rows], len(TARGET_NAMES)
            ),
            _table([row.sketch or (None,) * PROJECTION_SIZE for row in rows], PROJECTION_SIZE),
            np.array([float(row.weekend) for row in rows]),
        )

    def among(self, rows: NDArray[Any]) -> Sample:
        """The ECGs at ``rows``."""
        return replace(
            self,
            places={key: values[rows] for key, values in self.places.items()},
            measured=self.measured[rows],
            scores=self.scores[rows],
            projections=self.projections[rows],
            weekend=self.weekend[rows],
        )

    def like(self, day: date) -> Sample:
        """The ECGs of days like ``day``: weekdays or weekends; all where the kind was not recorded."""
        other = float(not is_weekend(day))
        return self.among(np.flatnonzero(self.weekend != other))

    def part(self, of: Slice) -> Sample:
        """A random sample of a slice."""
        if of.key is None:
            return self.among(np.arange(min(len(self), OF_ALL)))
        return self.among(np.flatnonzero(self.places[of.key] == of.value)[:OF_EACH])

    def measures(self) -> NDArray[np.float64]:
        """(n, measures) in the order of ``MEASURES``."""
        r, s = (self.measured[:, 2 + 12 * n : 14 + 12 * n] for n in range(2))
        steps = np.diff(np.log(r[:, -len(_CHEST) :] + _SMALL_MV), axis=1)
        return np.column_stack([self.measured, (r + s).mean(axis=1), steps])

    def strata(self) -> NDArray[np.str_]:
        """The place of each ECG: the site, or the device where the site is unknown."""
        return np.where(self.places["site"] != "", self.places["site"], self.places["device"])


def load(
    engine: Engine, settings: Settings, window: Window, model: Watched, *, scored: bool = False
) -> Sample:
    """A sample of the ECGs taken in ``window``; with ``scored``, only of ECGs that the model has scored."""
    values = {
        "start": window.start,
        "end": window.end,
        "scored": scored,
        "model_version": model.version,
        "preprocessing_version": model.preprocessing_version,
        "timezone": settings.timezone,
        "of_all": OF_ALL,
        "of_each": OF_EACH,
        "most": MAX_ECGS,
        "projections": settings.drift_sample,
    }
    with engine.connect() as connection:
        return Sample.of_rows(list(connection.execute(queries.statement("drift_sample"), values)))


def comparable(reference: Sample, window: Sample) -> Iterator[tuple[Slice, Sample, Sample]]:
    """Slices with ``MIN_COUNT`` ECGs on both sides: all ECGs, each device, each site."""
    slices = [ALL] + [
        Slice(key, str(value))
        for key in SLICE_KEYS
        for value in np.unique(window.places[key][window.places[key] != ""])
    ]
    for of in slices:
        before, now = reference.part(of), window.part(of)
        if of.key is None:
            before, now = alike(before, now)
        if min(len(before), len(now)) >= MIN_COUNT:
            yield of, before, now


def alike(reference: Sample, window: Sample) -> tuple[Sample, Sample]:
    """``reference`` resampled to the shares of places in ``window``.

    On weekends the wards are open and the clinics are closed: that is no drift. ECGs of places that the
    reference lacks or hardly knows are left out: see ``places``. ``left_out`` names them.
    """
    ours, theirs = _labels(reference, window)
    counts = kept(ours, theirs)
    rows = [np.flatnonzero(ours == label)[:count] for label, count in counts.items()]
    return (
        reference.among(np.sort(np.concatenate(rows or [np.arange(0)]))),
        window.among(np.flatnonzero(np.isin(theirs, list(counts)))),
    )


def left_out(reference: Sample, window: Sample) -> Iterator[tuple[Slice, int, float]]:
    """Places that ``alike`` leaves out: their ECGs in the reference, and their share of the window's."""
    ours, theirs = _labels(reference, window)
    out = ~np.isin(theirs, list(kept(ours, theirs)))
    before, now = reference.strata(), window.strata()
    for place in np.unique(now[out & (now != "")]):
        key = "site" if place in window.places["site"] else "device"
        yield Slice(key, str(place)), int((before == place).sum()), float((now == place).mean())


def _labels(reference: Sample, window: Sample) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """The place of each ECG of both, small places pooled; empty where it is left out."""
    before = reference.strata()
    ones = np.ones(len(before), dtype=np.int64)
    return pooled(before, ones, before), pooled(before, ones, window.strata())


def known(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values that are not NaN."""
    return column[~np.isnan(column)]


class Where(TypedDict):
    """The slice and model of a Metric, as keyword arguments."""

    slice_key: str
    slice_value: str
    model_version: str | None


def where(name: str, what: str, of: Slice = ALL, model: Watched | None = None) -> Where:
    """The place of a metric: ``what`` (a ``measure`` or ``target``) in a slice, and the model."""
    key, value = (name, what) if of.key is None else (f"{name}|{of.key}", f"{what}|{of.value}")
    return {"slice_key": key, "slice_value": value, "model_version": model.version if model else None}


def _by_lead(row: Any) -> tuple[float | None, ...]:
    if row.r_mv is None:
        return (None,) * 3 * len(LEADS)
    return (*row.r_mv, *row.s_mv, *row.noise_uv)


def _table(rows: list[Any], width: int) -> NDArray[np.float64]:
    return np.array(rows, dtype=np.float64).reshape(len(rows), width)
