"""The tables. Migrations in ``sql/migrations`` build exactly these; a test compares the two.

An ECG's way: ``objects`` (what lies in the store) -> ``worklist`` (one row for each model version that is
to score it) -> ``ecgs``, ``scores`` and ``flags``, or ``quarantine``. Only ``worklist.state`` says where it
ended.

An angiogram's: ``objects`` -> ``angiogram_views``, whose state says where it ended -> ``angiogram_features``,
or ``quarantine``. Cath reports become ``cath_studies`` and ``segment_stenoses``, or ``report_faults``;
``ecg_study_pairs`` is what a training paired.

What monitoring looks at lies beside: ``ecg_measurements`` and ``ecg_embeddings`` are written with the scores,
``reviews`` by people; ``monitoring_metrics``, ``reference_profiles``, ``alerts`` and ``monitor_runs`` by the
monitor.
"""

from __future__ import annotations

from stence.database.tables.columns import metadata
from stence.database.tables.monitoring import (
    alert_events,
    alerts,
    ecg_embeddings,
    ecg_measurements,
    monitor_runs,
    monitoring_metrics,
    reference_profiles,
    reviews,
)
from stence.database.tables.scoring import (
    LISTED_FLAG_STATES,
    TARGETS,
    ecgs,
    flags,
    manifest_records,
    manifests,
    model_events,
    models,
    objects,
    quarantine,
    runs,
    schema_views,
    scores,
    worklist,
)
from stence.database.tables.training import (
    angiogram_features,
    angiogram_views,
    cath_studies,
    ecg_study_pairs,
    report_faults,
    segment_stenoses,
    training_runs,
)

__all__ = [
    "LISTED_FLAG_STATES",
    "TARGETS",
    "alert_events",
    "alerts",
    "angiogram_features",
    "angiogram_views",
    "cath_studies",
    "ecg_embeddings",
    "ecg_measurements",
    "ecg_study_pairs",
    "ecgs",
    "flags",
    "manifest_records",
    "manifests",
    "metadata",
    "model_events",
    "models",
    "monitor_runs",
    "monitoring_metrics",
    "objects",
    "quarantine",
    "reference_profiles",
    "report_faults",
    "reviews",
    "runs",
    "schema_views",
    "scores",
    "segment_stenoses",
    "training_runs",
    "worklist",
]
