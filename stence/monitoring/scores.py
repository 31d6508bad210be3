"""Score drift: scores of a window compared with those of the reference, and of the last champion."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from stence.database import queries
from stence.domain.targets import TARGET_NAMES
from stence.domain.windows import Window
from stence.evaluation.agreement import rank_agreement
from stence.evaluation.watched import Watched
from stence.models.clinical import clinical_values
from stence.monitoring import score_shifts, statistics
from stence.monitoring.metrics import Metric
from stence.monitoring.places import MIN_COUNT
from stence.monitoring.reference import predecessor, reference
from stence.monitoring.samples import ALL, Sample, alike, comparable, load, where
from stence.settings import Settings

MAX_COMPARED = 4_000


def measure(engine: Engine, settings: Settings, window: Window, model: Watched) -> Iterator[Metric]:
    """Score drift by target.

    Metrics: ``score_mean``, ``score_ks``, ``score_ks_p``, ``score_psi``, ``score_psi_consecutive`` and
    ``model_agreement``; those of ``score_shifts``. Distances are taken from the reference's days of the same
    kind: weekdays or weekends. Without a reference, only the means and the agreement.
    """
    now = load(engine, settings, window, model, scored=True)
    yield from _means(model, now)
    yield from _agreement(engine, settings, window, model)
    profile = reference(engine, settings, window, model)
    if profile is None:
        return
    day = window.start.astimezone(ZoneInfo(settings.timezone)).date()
    like = profile.sample.like(day)
    yield from distances(model, like, now)
    yield from _stability("score_psi", model, like, now)
    yield from score_shifts.measure(engine, settings, window, model, profile)
    day_before = Window(window.start - (window.end - window.start), window.start)
    before = load(engine, settings, day_before, model, scored=True)
    yield from _stability("score_psi_consecutive", model, before, now)


def _means(model: Watched, now: Sample) -> Iterator[Metric]:
    if len(now) < MIN_COUNT:
        return
    for target, scores in zip(TARGET_NAMES, now.part(ALL).scores.T, strict=True):
        mean = statistics.mean(scores)
        yield Metric(
            "score_mean",
            mean.value,
            len(scores),
            mean.lower,
            mean.upper,
            **where("target", target, model=model),
        )


def distances(model: Watched, reference: Sample, window: Sample) -> Iterator[Metric]:
    """Kolmogorov-Smirnov distances of all ECGs, each device and each site; p is Holm-adjusted over them."""
    found = []
    for of, before, now in comparable(reference, window):
        for target, earlier, later in zip(TARGET_NAMES, before.scores.T, now.scores.T, strict=True):
            distance = statistics.kolmogorov_smirnov(earlier, later)
            found.append((where("target", target, of, model), len(later), distance))
    adjusted = statistics.holm([distance.p for *_, distance in found])
    for (place, count, distance), p in zip(found, adjusted, strict=True):
        yield Metric("score_ks", distance.value, count, **place)
        yield Metric("score_ks_p", p, count, **place)


def _stability(metric: str, model: Watched, reference: Sample, window: Sample) -> Iterator[Metric]:
    before, now = (part.scores for part in alike(reference.part(ALL), window.part(ALL)))
    if min(len(before), len(now)) < MIN_COUNT:
        return
    for target, earlier, later in zip(TARGET_NAMES, before.T, now.T, strict=True):
        value = statistics.population_stability(earlier, later)
        yield Metric(metric, value, len(later), **where("target", target, model=model))


def _agreement(engine: Engine, settings: Settings, window: Window, model: Watched) -> Iterator[Metric]:
    """Rank agreement with the last champion, over ECGs of ``reference_days`` that both scored."""
    both, clinical = _both(engine, settings, window, model)
    if len(both) < MIN_COUNT:
        return
    ours, theirs = both[:, : len(TARGET_NAMES)], both[:, len(TARGET_NAMES) :]
    for target, a, b in zip(TARGET_NAMES, ours.T, theirs.T, strict=True):
        if found := rank_agreement(a, b, clinical):
            yield Metric(
                "model_agreement",
                found.value,
                len(both),
                found.lower,
                found.upper,
                **where("target", target, model=model),
            )


def _both(
    engine: Engine, settings: Settings, window: Window, model: Watched
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the scores of both models (n, 2 targets), and age and sex (n, 2)."""
    with engine.connect() as connection:
        values = {
            "start": window.end - timedelta(days=settings.reference_days),
            "end": window.end,
            "model_version": model.version,
            "preprocessing_version": model.preprocessing_version,
            "other": predecessor(connection, model.version),
            "most": MAX_COMPARED,
        }
        rows = [tuple(row) for row in connection.execute(queries.statement("drift_agreement"), values)]
    scores = np.array([row[:-2] for row in rows], dtype=np.float64)
    clinical = clinical_values([row[-2] for row in rows], [row[-1] for row in rows])
    return scores.reshape(len(rows), 2 * len(TARGET_NAMES)), clinical
