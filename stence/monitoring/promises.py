"""AUROC reported at training, as a metric that alert rules can compare with outcomes."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine

from stence.domain.windows import Window
from stence.evaluation.watched import Watched
from stence.monitoring.metrics import Metric
from stence.settings import Settings


def measure(engine: Engine, settings: Settings, window: Window, model: Watched) -> Iterator[Metric]:
    """``promised_auroc`` by target with its interval, read from the manifest.

    Outcomes are those of everybody scored, so the estimate for everybody is promised where there is one, else
    the AUROC on the referred test patients.
    """
    measured = model.manifest.get("metrics", {})
    for target, figures in (measured | measured.get("screened", {}).get("targets", {})).items():
        found = figures.get("auroc", {})
        if found.get("value") is not None:
            yield Metric(
                "promised_auroc",
                found["value"],
                lower=found.get("lower"),
                upper=found.get("upper"),
                slice_key="target",
                slice_value=target,
                model_version=model.version,
            )
