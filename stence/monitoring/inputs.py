"""Input drift: distance between the measurements of a window's ECGs and those of the reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from stence.domain.windows import Window
from stence.evaluation.watched import Watched
from stence.monitoring import missing, statistics
from stence.monitoring.metrics import Metric
from stence.monitoring.places import MIN_COUNT
from stence.monitoring.profile import CATEGORIES, Profile, count_categories
from stence.monitoring.reference import reference
from stence.monitoring.samples import ALL, MEASURES, Sample, alike, comparable, known, left_out, load, where
from stence.settings import Settings

NEW = ("device", "site", "sampling_rate")
"""Categories for which a new value raises an alert."""
PEOPLE = ("sex", "indication")
"""Categories whose shares are tested. The feed's metrics cover the number of ECGs of each device."""


def measure(engine: Engine, settings: Settings, window: Window, model: Watched) -> Iterator[Metric]:
    """Input drift of all ECGs, each device and each site.

    Metrics: ``input_ks`` and ``input_ks_p`` by measure, ``input_psi``, ``input_psi_consecutive``,
    ``input_left_out``, ``category_p`` and ``new_category``. p-values are Holm-adjusted over all distances of
    the window; those of categories are adjusted among themselves. For all ECGs together, the reference is
    weighted to the window's shares of sites. Categories are compared site by site. Without a reference, only
    ``input_missing`` is measured.
    """
    profile = reference(engine, settings, window, model)
    yield from missing.measure(engine, settings, window, profile)
    if profile is None:
        return
    now = load(engine, settings, window, model)
    yield from distances(profile.sample, now)
    yield from _stability("input_psi", profile.sample, now)
    for of, before, share in left_out(profile.sample.part(ALL), now.part(ALL)):
        yield Metric("input_left_out", share, before, slice_key=of.key, slice_value=of.value)
    day_before = Window(window.start - (window.end - window.start), window.start)
    yield from _stability("input_psi_consecutive", load(engine, settings, day_before, model), now)
    yield from _categories(engine, profile, window)


def distances(reference: Sample, window: Sample) -> Iterator[Metric]:
    """Distances of each measure in each slice, with their adjusted p."""
    found = []
    for of, before, now in comparable(reference, window):
        for name, earlier, later in _columns(before.measures(), now.measures()):
            distance = statistics.kolmogorov_smirnov(earlier, later)
            found.append((where("measure", name, of), len(later), distance))
    adjusted = statistics.holm([distance.p for _, _, distance in found])
    for (place, count, distance), p in zip(found, adjusted, strict=True):
        yield Metric("input_ks", distance.value, count, **place)
        yield Metric("input_ks_p", p, count, **place)


def _stability(metric: str, reference: Sample, window: Sample) -> Iterator[Metric]:
    before, now = alike(reference.part(ALL), window.part(ALL))
    for name, earlier, later in _columns(before.measures(), now.measures()):
        value = statistics.population_stability(earlier, later)
        yield Metric(metric, value, len(later), **where("measure", name))


def _columns(
    before: NDArray[np.float64], now: NDArray[np.float64]
) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """Known values of each measure on both sides, for measures with enough values."""
    for name, *columns in zip(MEASURES, before.T, now.T, strict=True):
        earlier, later = map(known, columns)
        if min(len(earlier), len(later)) >= MIN_COUNT:
            yield name, earlier, later


def _categories(engine: Engine, profile: Profile, window: Window) -> Iterator[Metric]:
    with engine.connect() as connection:
        counts = count_categories(connection, window)
    for key in CATEGORIES:
        before, now = _all_places(profile.categories[key]), _all_places(counts[key])
        if min(now.total(), before.total()) >= MIN_COUNT:
            psi = statistics.category_stability(before, now)
            yield Metric("input_psi", psi, now.total(), **where("measure", key))
        for name in sorted(now.keys() - before.keys()) if key in NEW and before else ():
            share = statistics.proportion(now[name], now.total())
            yield Metric(
                "new_category",
                share.value,
                now[name],
                share.lower,
                share.upper,
                slice_key=key,
                slice_value=name,
            )
    p = [statistics.category_shift(_by_place(profile.categories[key], counts[key])) for key in PEOPLE]
    for key, adjusted in zip(PEOPLE, statistics.holm(p), strict=True):
        yield Metric("category_p", adjusted, _all_places(counts[key]).total(), **where("measure", key))


def _all_places(counts: Mapping[str, Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for by_value in counts.values():
        total.update(by_value)
    return total


def _by_place(
    reference: Mapping[str, Mapping[str, int]], window: Mapping[str, Mapping[str, int]]
) -> Iterator[tuple[Mapping[str, int], Mapping[str, int]]]:
    return ((reference[place], now) for place, now in window.items() if place in reference)
