"""The tables. Migrations in ``sql/migrations`` build exactly these; a test compares the two.

An ECG's way: ``objects`` (what lies in the store) -> ``worklist`` (one row for each model version that is
to score it) -> ``ecgs``, ``scores`` and ``flags``, or ``quarantine``. Only ``worklist.state`` says where it
ended. ``store_listings`` are the listings of the store, ``announced_objects`` files named by others,
``worklist_marks`` the files that a worklist covers, ``worklist_tally`` its counts. ``flag_decisions`` are the
flags that people withdrew and restored, ``snoozes`` the patients whom they took off the list for a time,
``flag_exports`` messages to other systems about flags.

Whose it is: ``manifest_rows`` are what manifests say, ``manifest_records`` what they say together,
``patient_merges`` which numbers are one patient's.

An angiogram's: ``objects`` -> ``angiogram_views``, whose state says where it ended -> ``angiogram_features``,
or ``quarantine``. Cath reports become ``cath_studies`` and ``segment_stenoses``, or ``source_faults``;
``ecg_study_pairs`` is what a training paired, ``study_embeddings`` where its studies lie in the space shared
with ECGs, ``validations`` how a frozen model did on patients that it did not learn from.

``models`` are the trained ones, ``model_events`` every change of their states, ``model_forms`` their numeric
forms, and ``promotion_refusals`` why a shadow did not become champion by itself.

What monitoring looks at lies beside: ``ecg_measurements`` and ``ecg_embeddings`` are written with the scores,
``reviews`` by people; ``monitoring_metrics``, ``reference_profiles``, ``alerts`` and ``monitor_runs`` by the
monitor, which draws ``verification_sample`` too. ``ecg_pages`` are the pages of flagged ECGs in the store.

``site_members`` are the sites of clinicians, ``schema_views`` and ``schema_grants`` the views and rights as
they were last made. Who did what is in the schema ``audit``: ``entries``, and the chain of their hashes,
``links``.
"""

from __future__ import annotations

from stence.database.tables.access import schema_grants, site_members
from stence.database.tables.audit import audit_entries, audit_links
from stence.database.tables.columns import metadata
from stence.database.tables.exports import flag_exports
from stence.database.tables.identity import (
    installation,
    manifest_records,
    manifest_rows,
    manifests,
    patient_aliases,
    patient_merges,
    patient_splits,
    source_faults,
)
from stence.database.tables.monitoring import (
    alert_events,
    alerts,
    ecg_embeddings,
    ecg_measurements,
    monitor_runs,
    monitoring_metrics,
    reference_profiles,
    reviews,
    verification_draws,
    verification_sample,
)
from stence.database.tables.pages import ecg_pages
from stence.database.tables.scoring import (
    LISTED_FLAG_STATES,
    ecg_moments,
    ecgs,
    flag_decisions,
    flags,
    ignored_objects,
    model_events,
    model_forms,
    models,
    objects,
    promotion_refusals,
    quarantine,
    record_parts,
    runs,
    schema_functions,
    schema_views,
    scores,
    snoozes,
)
from stence.database.tables.training import (
    angiogram_features,
    angiogram_views,
    cath_studies,
    ecg_study_pairs,
    segment_stenoses,
    study_embeddings,
    training_runs,
    validations,
)
from stence.database.tables.worklist import (
    announced_objects,
    store_listings,
    worklist,
    worklist_marks,
    worklist_tally,
)

__all__ = [
    "LISTED_FLAG_STATES",
    "alert_events",
    "alerts",
    "angiogram_features",
    "angiogram_views",
    "announced_objects",
    "audit_entries",
    "audit_links",
    "cath_studies",
    "ecg_embeddings",
    "ecg_measurements",
    "ecg_moments",
    "ecg_pages",
    "ecg_study_pairs",
    "ecgs",
    "flag_decisions",
    "flag_exports",
    "flags",
    "ignored_objects",
    "installation",
    "manifest_records",
    "manifest_rows",
    "manifests",
    "metadata",
    "model_events",
    "model_forms",
    "models",
    "monitor_runs",
    "monitoring_metrics",
    "objects",
    "patient_aliases",
    "patient_merges",
    "patient_splits",
    "promotion_refusals",
    "quarantine",
    "record_parts",
    "reference_profiles",
    "reviews",
    "runs",
    "schema_functions",
    "schema_grants",
    "schema_views",
    "scores",
    "segment_stenoses",
    "site_members",
    "snoozes",
    "source_faults",
    "store_listings",
    "study_embeddings",
    "training_runs",
    "validations",
    "verification_draws",
    "verification_sample",
    "worklist",
    "worklist_marks",
    "worklist_tally",
]
