"""Mean scores of days: is a day unlike other days of its kind, and do the days move slowly?

Days of one kind differ by chance of their ECGs and by their patients: some days bring sicker people. Both
belong into the test of a day. Otherwise it alarms on sound days, the sooner the more ECGs a day has. The
kinds are weekdays and weekends, because outpatient clinics are closed at weekends. Public holidays count as
the weekday on which they fall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sqlalchemy import Engine

from stence.database import queries
from stence.domain.targets import TARGET_NAMES
from stence.domain.windows import Window, is_weekend
from stence.evaluation.watched import Watched
from stence.monitoring.places import LEFT_OUT, MIN_COUNT, pooled
from stence.settings import Settings

MIN_LIKE_DAYS = 2
"""Minimum number of the reference's days of a kind; with fewer, nothing is said of such a day."""
MEMORY = 0.1
"""Weight of the newest day in the moving average (EWMA): about the last three weeks count."""
CHART_DAYS = 56
"""Days of the moving average; older ones would weigh less than 0.3 %."""
TOGETHER = len(TARGET_NAMES)
"""Column of the mean over all targets, each in standard deviations of its scores; the targets come first."""


@dataclass(frozen=True, slots=True)
class ScoreDays:
    """Mean scores by day and place, one row each (n): ``means`` (n, targets) of ``ecgs`` (n)."""

    days: NDArray[np.datetime64]
    places: NDArray[np.str_]
    ecgs: NDArray[np.int64]
    means: NDArray[np.float64]

    def json(self) -> dict[str, Any]:
        """The rows as JSON; means have six decimals."""
        return {
            "days": self.days.astype(str).tolist(),
            "places": self.places.tolist(),
            "ecgs": self.ecgs.tolist(),
            "means": self.means.round(6).tolist(),
        }

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> ScoreDays:
        """Read the output of ``json``."""
        return cls(
            np.array(stored["days"], dtype="datetime64[D]"),
            np.array(stored["places"], dtype=str),
            np.array(stored["ecgs"], dtype=np.int64),
            np.array(stored["means"], dtype=np.float64).reshape(-1, len(TARGET_NAMES)),
        )

    def among(self, rows: NDArray[np.bool_]) -> ScoreDays:
        """The rows for which ``rows`` (n) is true."""
        return ScoreDays(self.days[rows], self.places[rows], self.ecgs[rows], self.means[rows])

    def of(self, day: date) -> ScoreDays:
        """The rows of ``day``."""
        return self.among(self.days == np.datetime64(day))

    def dates(self) -> list[date]:
        """The days with ECGs, oldest first."""
        return [day.astype(date) for day in np.unique(self.days)]

    def weekend(self) -> NDArray[np.bool_]:
        """Whether a row is of a weekend (n)."""
        # Day 0 of numpy's calendar, 1970-01-01, was a Thursday.
        return (self.days.astype(np.int64) + 3) % 7 >= 5


class DayShift(NamedTuple):
    """Shift of a day from days of its kind; arrays (targets + 1), in standard deviations of the scores.

    ``own``: variance of the shift were the reference known without error. ``expected``: variance of the
    reference's own mean, which days of one kind share.
    """

    ecgs: int
    value: NDArray[np.float64]
    own: NDArray[np.float64]
    expected: NDArray[np.float64]


class Shift(NamedTuple):
    """A shift in standard deviations, its p and the ends of its 95 % interval; arrays (targets + 1)."""

    value: NDArray[np.float64]
    p: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


class Usual:
    """What is usual on the days of a reference: mean by kind and place, and variance between days.

    The model of a day's mean: the mean of its kind and place, a random effect of the day, and the error of a
    mean of so many ECGs (random effects by the method of moments, Hedges 1983). The variance between days is
    pooled over both kinds.
    """

    def __init__(self, reference: ScoreDays, scores: NDArray[np.float64]) -> None:
        """``scores`` (n, targets): scores of single ECGs of the reference, for the standard deviations."""
        spread = np.maximum(scores.std(axis=0), 1e-9)
        together = max(float((scores / spread).mean(axis=1).std()), 1e-9)
        self._scale = np.append(spread, together)
        self._of_kind = {kind: reference.among(reference.weekend() == kind) for kind in (False, True)}
        self.freedom, self.between = self._variance()

    def like_days(self, day: date) -> int:
        """Number of the reference's days of the kind of ``day``."""
        return len(np.unique(self._of_kind[is_weekend(day)].days))

    def left_out(self, today: ScoreDays, day: date) -> dict[str, int]:
        """Places of ``today`` that the reference hardly knows on such days, with its number of ECGs."""
        like = self._of_kind[is_weekend(day)]
        labels = pooled(like.places, like.ecgs, today.places)
        places = np.unique(today.places[labels == LEFT_OUT])
        return {str(place): int(like.ecgs[like.places == place].sum()) for place in places}

    def shift(self, today: ScoreDays, day: date) -> DayShift | None:
        """Shift of a day against days of its kind with its shares of places.

        None if fewer than ``MIN_LIKE_DAYS`` such days are known, or fewer than ``MIN_COUNT`` ECGs can be
        compared.
        """
        if self.like_days(day) < MIN_LIKE_DAYS:
            return None
        like = self._of_kind[is_weekend(day)]
        found = _against(like, today, self._values(like), self._values(today))
        if found is None or found.ecgs < MIN_COUNT:
            return None
        own = self.between + 1 / found.ecgs
        return DayShift(found.ecgs, found.value, own, self.between * found.per_day + found.per_ecg)

    def judge(self, shift: DayShift) -> Shift:
        """The test of one day."""
        return self._judged(shift.value, shift.own + shift.expected)

    def moving(self, shifts: Sequence[DayShift]) -> Shift:
        """The exponentially weighted moving average of days, oldest first (EWMA, Roberts 1959).

        The error of the reference's mean does not average out over days, and is part of the variance (Jones,
        Champ & Rigdon 2001).
        """
        weights = MEMORY * (1 - MEMORY) ** np.arange(len(shifts))[::-1]
        value = weights @ np.array([shift.value for shift in shifts])
        own = weights**2 @ np.array([shift.own for shift in shifts])
        expected = weights @ np.sqrt([shift.expected for shift in shifts])
        return self._judged(value, own + expected**2)

    def _judged(self, value: NDArray[np.float64], variance: NDArray[np.float64]) -> Shift:
        error = np.sqrt(variance)
        p = 2 * stats.t.sf(np.abs(value) / error, self.freedom)
        half = float(stats.t.isf(0.025, self.freedom)) * error
        return Shift(value, p, value - half, value + half)

    def _values(self, days: ScoreDays) -> NDArray[np.float64]:
        """(n, targets + 1) in standard deviations of single ECGs."""
        together = (days.means / self._scale[:TOGETHER]).mean(axis=1) / self._scale[TOGETHER]
        return np.column_stack([days.means / self._scale[:TOGETHER], together])

    def _variance(self) -> tuple[int, NDArray[np.float64]]:
        """Degrees of freedom, and the variance of days beyond that of their ECGs (targets + 1)."""
        squares, noise, freedom = np.zeros(TOGETHER + 1), 0.0, 0
        for like in self._of_kind.values():
            values, names = self._values(like), np.unique(like.days)
            found = [
                _against(like, like.among(like.days == name), values, values[like.days == name])
                for name in names
            ]
            seen = [each for each in found if each is not None]
            if len(seen) >= MIN_LIKE_DAYS:
                squares += sum(each.value**2 for each in seen)
                noise += (1 - 1 / len(seen)) * sum(1 / each.ecgs for each in seen)
                freedom += len(seen) - 1
        return max(freedom, 1), np.maximum((squares - noise) / max(freedom, 1), 0)


class _Difference(NamedTuple):
    """Difference of a day from the mean of some days at the day's shares of places.

    ``per_day`` and ``per_ecg`` are the shares of the variances between days and between ECGs in the variance
    of that mean.
    """

    ecgs: int
    value: NDArray[np.float64]
    per_day: float
    per_ecg: float


def _against(
    like: ScoreDays, today: ScoreDays, before: NDArray[np.float64], now: NDArray[np.float64]
) -> _Difference | None:
    """Compare ``now`` (m, targets + 1) with ``before`` (n, targets + 1), place by place; None without any."""
    labels, here = (pooled(like.places, like.ecgs, side.places) for side in (like, today))
    groups = sorted(set(here.tolist()) - {LEFT_OUT})
    total = sum(int(today.ecgs[here == group].sum()) for group in groups)
    if not total:
        return None
    value, per_day, per_ecg = np.zeros(TOGETHER + 1), 0.0, 0.0
    for group in groups:
        ours, theirs = labels == group, here == group
        share = today.ecgs[theirs].sum() / total
        known = like.ecgs[ours]
        mean = np.average(before[ours], axis=0, weights=known)
        value += share * (np.average(now[theirs], axis=0, weights=today.ecgs[theirs]) - mean)
        of_days = np.unique(like.days[ours], return_inverse=True)[1]
        by_day = np.bincount(of_days, weights=known)
        per_day += share * np.sqrt((by_day**2).sum()) / known.sum()
        per_ecg += share**2 / known.sum()
    return _Difference(total, value, per_day**2, per_ecg)


def read(engine: Engine, settings: Settings, window: Window, model: Watched) -> ScoreDays:
    """Mean scores of the ECGs of a window by day and place; a patient counts once a day."""
    values = {
        "start": window.start,
        "end": window.end,
        "model_version": model.version,
        "preprocessing_version": model.preprocessing_version,
        "timezone": settings.timezone,
    }
    with engine.connect() as connection:
        rows = list(connection.execute(queries.statement("drift_score_days"), values))
    return ScoreDays(
        np.array([row.day for row in rows], dtype="datetime64[D]"),
        np.array([row.place for row in rows], dtype=str),
        np.array([row.ecgs for row in rows], dtype=np.int64),
        np.array(
            [[getattr(row, target) for target in TARGET_NAMES] for row in rows], dtype=np.float64
        ).reshape(-1, len(TARGET_NAMES)),
    )
