"""Label drift: distance between the cath reports of a window and those of the reference."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine

from stence.domain.windows import Window
from stence.evaluation.watched import Watched
from stence.monitoring import statistics
from stence.monitoring.metrics import Metric
from stence.monitoring.profile import REPORTED, reports
from stence.monitoring.reference import reference
from stence.monitoring.samples import where
from stence.settings import Settings

MIN_STUDIES = 10


def measure(engine: Engine, settings: Settings, window: Window, model: Watched) -> Iterator[Metric]:
    """``report_ks`` and its Holm-adjusted ``report_ks_p`` of the studies performed in the window.

    Measures: ``max_degree``, ``mean_degree`` and ``narrowed``, one value per study. Fewer than ten studies
    give no metric.
    """
    profile = reference(engine, settings, window, model)
    with engine.connect() as connection:
        studies = reports(connection, window)
    if profile is None or min(len(studies), len(profile.reports)) < MIN_STUDIES:
        return
    found = [
        statistics.kolmogorov_smirnov(before, now)
        for before, now in zip(profile.reports.T, studies.T, strict=True)
    ]
    adjusted = statistics.holm([distance.p for distance in found])
    for what, distance, p in zip(REPORTED, found, adjusted, strict=True):
        yield Metric("report_ks", distance.value, len(studies), **where("measure", what))
        yield Metric("report_ks_p", p, len(studies), **where("measure", what))
