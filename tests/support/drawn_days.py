"""Scores of drawn days, for the comparison of days without a database: sites, case mix, weekdays, drift."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from stence.monitoring.profile import Profile
from stence.monitoring.samples import ALL, MEASURED, OF_ALL, OF_EACH, Sample, Slice
from stence.monitoring.score_days import ScoreDays

FIRST_DAY = date(2026, 3, 2)
"""A Monday."""
REFERENCE_DAYS = 28
OFFSETS = np.array([0.8, 0.0, -0.8, -1.6, -0.9, -0.4])
"""Targets, rarer or commoner than stenosis_70, in log-odds."""
WEEKDAY, WEEKEND = 1.18, 0.55
"""ECGs of a day, relative to the mean day."""


@dataclass(frozen=True)
class World:
    """A hospital without drift, in standard deviations of the scores' log-odds.

    ``case_mix``: SD of days. ``outpatients``: share on weekdays at the one site, ``gap`` lower than others;
    at weekends nobody of them comes. ``rare``: ECGs of the site C in the whole reference; on watched days a
    tenth of the ECGs are C's.
    """

    ecgs_per_day: int = 400
    sites: int = 3
    case_mix: float = 0.0
    outpatients: float = 0.0
    gap: float = 0.6
    rare: int | None = None


@dataclass(frozen=True)
class Drawn:
    """The ECGs of one day: sites (n,) and scores (n, targets)."""

    day: date
    sites: NDArray[np.str_]
    scores: NDArray[np.float64]

    def sample(self) -> Sample:
        """As monitoring loads them; nothing but place and scores is known."""
        return as_sample([self])


def draw(rng: np.random.Generator, world: World, number: int, shift: float = 0.0) -> Drawn:
    """Draw a day, counted from ``FIRST_DAY``, whose log-odds are all moved by ``shift``."""
    day = FIRST_DAY + timedelta(days=number)
    weekend = day.weekday() >= 5
    count = int(rng.poisson(world.ecgs_per_day * (WEEKEND if weekend else WEEKDAY)))
    sites = np.array(["A", "B", "D"])[rng.integers(world.sites, size=count)]
    if world.rare is not None and number >= REFERENCE_DAYS:
        sites = np.where(rng.random(count) < 0.1, "C", sites)
    elif world.rare is not None and number < world.rare:
        sites[0] = "C"
    latent = rng.standard_normal(count) + shift + world.case_mix * rng.standard_normal()
    if not weekend:
        latent -= world.gap * (rng.random(count) < world.outpatients)
    noise = 0.3 * rng.standard_normal((count, len(OFFSETS)))
    return Drawn(day, sites, 1 / (1 + np.exp(1.6 - 1.1 * latent[:, None] - OFFSETS - noise)))


def reference(rng: np.random.Generator, world: World) -> Profile:
    """The profile of four weeks."""
    days = [draw(rng, world, number) for number in range(REFERENCE_DAYS)]
    sample = as_sample(days)
    order = rng.permutation(len(sample))
    sites = sample.places["site"][order]
    chosen = np.zeros(len(order), dtype=bool)
    chosen[:OF_ALL] = True
    for site in np.unique(sites):
        chosen[np.flatnonzero(sites == site)[:OF_EACH]] = True
    counts = {
        Slice("site", str(site)): np.array([(day.sites == site).sum() for day in days])
        for site in np.unique(sites)
    }
    counts[ALL] = np.array([len(day.sites) for day in days])
    reports = np.zeros((0, 3))
    dates = [day.day for day in days]
    return Profile(sample.among(order[chosen]), {}, dates, counts, reports, as_score_days(days))


def as_sample(days: list[Drawn]) -> Sample:
    """The ECGs of all days; no place but the site, and no measurement, is known."""
    sites = np.concatenate([day.sites for day in days])
    count = len(sites)
    weekend = np.repeat([float(day.day.weekday() >= 5) for day in days], [len(day.sites) for day in days])
    return Sample(
        {"site": sites, "device": np.full(count, "")},
        np.full((count, len(MEASURED)), np.nan),
        np.concatenate([day.scores for day in days]),
        np.full((count, 32), np.nan),
        weekend,
    )


def as_score_days(days: list[Drawn]) -> ScoreDays:
    """The mean scores by day and site."""
    return joined([_means(day) for day in days])


def joined(parts: list[ScoreDays]) -> ScoreDays:
    """The rows of all parts."""
    return ScoreDays(
        np.concatenate([part.days for part in parts]),
        np.concatenate([part.places for part in parts]),
        np.concatenate([part.ecgs for part in parts]),
        np.concatenate([part.means for part in parts]),
    )


def _means(day: Drawn) -> ScoreDays:
    sites, where, ecgs = np.unique(day.sites, return_inverse=True, return_counts=True)
    sums = np.zeros((len(sites), day.scores.shape[1]))
    np.add.at(sums, where, day.scores)
    days = np.full(len(sites), np.datetime64(day.day), dtype="datetime64[D]")
    return ScoreDays(days, sites, ecgs, sums / ecgs[:, None])
