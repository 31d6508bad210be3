"""Alert workload: share of flagged ECGs, compared with the share promised when the threshold was chosen."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine

from stence.database import queries
from stence.domain.targets import TARGET_NAMES
from stence.domain.windows import Window
from stence.evaluation.watched import Watched
from stence.monitoring import statistics
from stence.monitoring.metrics import Metric
from stence.monitoring.samples import where
from stence.settings import Settings


def measure(engine: Engine, settings: Settings, window: Window, model: Watched) -> Iterator[Metric]:
    """``flag_rate``, ``flags_promised`` and ``flag_rate_p`` by target, of the scored ECGs of the window.

    ``flag_rate_p``: probability of at least as many flags if the promise is kept. Nothing without scored
    ECGs.
    """
    thresholds = model.thresholds
    values = {
        "start": window.start,
        "end": window.end,
        "model_version": model.version,
        "preprocessing_version": model.preprocessing_version,
        # No probability reaches 2: targets without a threshold raise no flags.
        **{f"threshold_{target}": thresholds.get(target, 2.0) for target in TARGET_NAMES},
    }
    with engine.connect() as connection:
        counts = connection.execute(queries.statement("count_flagged"), values).mappings().one()
    if not counts["ecgs"]:
        return
    for target in thresholds:
        yield from _compare(model, target, counts[target], counts["ecgs"])


def _compare(model: Watched, target: str, flagged: int, ecgs: int) -> Iterator[Metric]:
    place = where("target", target, model=model)
    rate = statistics.proportion(flagged, ecgs)
    yield Metric("flag_rate", rate.value, ecgs, rate.lower, rate.upper, **place)
    promised = promise(model, target)
    if promised is not None:
        yield Metric("flags_promised", promised, ecgs, **place)
        yield Metric("flag_rate_p", statistics.so_many(flagged, ecgs, promised), ecgs, **place)


def promise(model: Watched, target: str) -> float | None:
    """The promised share of flagged ECGs: the requested workload.

    If a sensitivity was requested instead, the share of flagged ECGs of the test patients; None if unknown.
    """
    asked = model.manifest.get("training_config", {}).get("threshold", {})
    tested = model.manifest.get("metrics", {}).get(target, {}).get("alerts_per_1000", {})
    alerts = asked.get("alerts_per_1000", tested.get("value"))
    return None if alerts is None else alerts / 1000
