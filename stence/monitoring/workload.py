"""Workload of the flags, compared with what was promised when the decisive target's threshold was chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine

from stence.database import queries
from stence.domain.windows import Window
from stence.evaluation.watched import Watched
from stence.monitoring import statistics
from stence.monitoring.metrics import Metric
from stence.monitoring.samples import where
from stence.settings import Settings


def measure(engine: Engine, settings: Settings, window: Window, model: Watched) -> Iterator[Metric]:
    """Shares of ECGs and of patients that the decisive target flags in the window, and what was promised.

    ``flag_rate_p``: probability of at least as many flagged ECGs if the promise is kept. Nothing without
    scored ECGs.
    """
    values = {
        "start": window.start,
        "end": window.end,
        "model_version": model.version,
        "preprocessing_version": model.preprocessing_version,
        "target": model.decisive,
        "threshold": model.thresholds[model.decisive],
    }
    with engine.connect() as connection:
        counts = connection.execute(queries.statement("count_flagged"), values).mappings().one()
    if not counts["ecgs"]:
        return
    place = where("target", model.decisive, model=model)
    ecgs, patients = counts["ecgs"], counts["patients"]
    rate = statistics.proportion(counts["flagged_ecgs"], ecgs)
    yield Metric("flag_rate", rate.value, ecgs, rate.lower, rate.upper, **place)
    among = statistics.proportion(counts["flagged_patients"], patients)
    yield Metric("patient_flag_rate", among.value, patients, among.lower, among.upper, **place)
    yield Metric("patients_flagged", counts["flagged_patients"], patients, **place)
    promised = promise(model)
    if promised is not None:
        yield Metric("flags_promised", promised, ecgs, **place)
        p = statistics.so_many(counts["flagged_ecgs"], ecgs, promised)
        yield Metric("flag_rate_p", p, ecgs, **place)
    daily = _promised_workload(model).get("flagged_per_day")
    if daily is not None:
        yield Metric("patients_flagged_promised", daily, **place)


def promise(model: Watched) -> float | None:
    """The promised share of flagged patients: the requested workload.

    If a sensitivity was requested instead, the share of flagged patients of the test; None if unknown.
    """
    asked = model.manifest.get("training_config", {}).get("threshold", {})
    tested = model.manifest.get("metrics", {}).get(model.decisive, {}).get("alerts_per_1000", {})
    alerts = asked.get("alerts_per_1000", tested.get("value"))
    return None if alerts is None else alerts / 1000


def _promised_workload(model: Watched) -> dict[str, Any]:
    return dict(model.manifest.get("metrics", {}).get("workload", {}))
