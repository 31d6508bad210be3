"""Embedding drift: distance between the encoder's embeddings of a window and those of the reference.

Embeddings are compared after a random projection to 32 dimensions, which nearly keeps their distances
(Johnson & Lindenstrauss 1984). They also move when no single measure does, for example with a new kind of
ECG.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sqlalchemy import Engine

from stence.domain.windows import Window
from stence.evaluation.watched import Watched
from stence.monitoring import statistics
from stence.monitoring.metrics import Metric
from stence.monitoring.reference import reference
from stence.monitoring.samples import Sample, comparable, load
from stence.settings import Settings

SEED = 20_260_101


def measure(engine: Engine, settings: Settings, window: Window, model: Watched) -> Iterator[Metric]:
    """``embedding_mmd`` and its ``embedding_mmd_p``: all ECGs, each device and each site.

    Each side has at most ``drift_sample`` ECGs. p is found by permutation and Holm-adjusted over the window.
    Nothing is measured unless the model has a reference of its own.
    """
    profile = reference(engine, settings, window, model)
    if profile is None:
        return
    now = load(engine, settings, window, model, scored=True)
    found = [
        (of, len(later), _discrepancy(earlier, later, settings.drift_permutations))
        for of, earlier, later in comparable(_projected(profile.sample), _projected(now))
    ]
    adjusted = statistics.holm([distance.p for *_, distance in found])
    for (of, count, distance), p in zip(found, adjusted, strict=True):
        for name, value in (("embedding_mmd", distance.value), ("embedding_mmd_p", p)):
            yield Metric(
                name, value, count, slice_key=of.key, slice_value=of.value, model_version=model.version
            )


def _projected(sample: Sample) -> Sample:
    return sample.among(np.flatnonzero(~np.isnan(sample.projections).any(axis=1)))


def _discrepancy(before: Sample, now: Sample, permutations: int) -> statistics.Distance:
    return statistics.maximum_mean_discrepancy(before.projections, now.projections, permutations, SEED)
