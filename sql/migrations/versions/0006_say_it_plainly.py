"""Rewrite comments on tables and columns in plain words. Views get theirs from their files."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"

TABLES = {
    "alerts": "Alerts. Each cause has at most one alert that is not resolved.",
    "angiogram_features": "Patch features of key frames in the store.",
    "angiogram_views": "State of every angiogram: waiting for report or key frame, ready, or in quarantine.",
    "cath_studies": "Usable studies of all present cath reports.",
    "ecg_embeddings": "Projected embeddings of each ECG by model, for embedding drift.",
    "ecg_measurements": "Measurements of each ECG at its first score, for input drift.",
    "ecgs": "ECGs by content: a recording that was sent twice has one row.",
    "ignored_objects": "Files below the ECG prefix that are not ECGs, as of the last listing.",
    "installation": "Settings of this database as a whole.",
    "manifest_records": "Contents of all manifests by ECG file.",
    "manifest_rows": "Usable rows of all present manifests.",
    "manifests": "Manifests that were read. Unchanged manifests are not read again.",
    "monitoring_metrics": "Metrics of runs, inputs, scores and outcomes over time.",
    "patient_aliases": "Present number of every former number, after all merges.",
    "patient_merges": "History of merged patient numbers: former number and present number.",
    "patient_splits": "Splits of patients whose merged numbers had different splits, decided at the merge.",
    "record_parts": "Signal files that belong to headers of another name. They are not separate ECGs.",
    "reference_profiles": "Reference of each model: distributions of its ECGs and scores, for drift.",
    "reviews": "Append-only history of verdicts on flagged ECGs. review_ecg() writes this table.",
    "scores": "Calibrated probabilities of severe stenosis, one row per ECG and model.",
    "training_runs": "Trainings from cath reports, angiograms and ECGs, including skipped trainings.",
    "worklist": "State of every ECG for every model that scores it.",
}
COLUMNS = {
    "alert_events": {
        "alert_id": "Number of the alert.",
        "by_whom": "Author of the event: a person, or stence.",
        "why": "Reason.",
    },
    "alerts": {
        "rule": "Name of the rule that raised the alert.",
        "metric": "Metric that the rule examines.",
        "model_version": "Model of the metric.",
        "slice_key": "Kind of slice that the metric is restricted to, e.g. device.",
        "slice_value": "Value of the slice, e.g. the device's name.",
        "value": "Last value of the metric.",
        "detail": "Finding and action, in words; names no patient.",
        "opened_at": "Time at which the alert was opened.",
        "last_seen_at": "Last time at which the condition held.",
        "last_window_end": "End of the last window in which the condition held.",
        "acknowledged_at": "Time at which a person acknowledged the alert.",
        "acknowledged_by": "Person who acknowledged the alert.",
        "resolved_at": "Time at which the alert was resolved.",
        "resolved_by": "Person who resolved the alert, or stence.",
        "note": "Remark of the person who last changed the state.",
    },
    "angiogram_features": {
        "object_id": "Angiogram.",
    },
    "angiogram_views": {
        "object_id": "File.",
        "etag": "Version of the content that this row describes.",
        "sop_instance_uid": "DICOM instance number of the angiogram; empty until the file is read.",
        "study_instance_uid": "DICOM number of the study.",
        "acquired_at": "Time of the recording, from the file.",
        "local_timezone": "Time zone of the recording time; empty: the file names a time zone.",
        "study_id": "Cath study with the report of this angiogram; empty without a report.",
        "changed_at": "Time of the last change of content, study or derived data.",
    },
    "cath_studies": {
        "performed_at": "Time of the angiography.",
        "split": "train, validation, calibration or test; depends on the patient only.",
        "fingerprint": "SHA-256 of the study's contents in the reports.",
        "changed_at": "Time of the last change in the reports.",
        "first_seen_at": "Time at which a report first named the study, unknown to earlier scores.",
    },
    "ecg_embeddings": {
        "sketch": "Fixed random projection of the embedding.",
    },
    "ecg_study_pairs": {
        "split": "train, validation, calibration or test; depends on the patient only.",
        "days_before": "Days from the ECG to the study.",
        "weight": "Sample weight: one over the number of the patient's ECGs in this table.",
        "paired_at": "Time of the first pairing.",
    },
    "ecgs": {
        "acquired_at": "Time of the recording.",
        "warnings": "Remarks on the ECG's quality.",
        "object_id": "File of the ECG.",
        "first_read_at": "Time of the first reading.",
        "site": "Site of the recording, from the file or the manifest.",
        "indication": "Indication, from the file or the manifest.",
        "local_timezone": "Time zone of the recording time; empty: the file names a time zone.",
    },
    "flags": {
        "target": "Target of the flag.",
        "threshold": "Threshold that the probability reached.",
        "rule": "Method by which the threshold was chosen.",
        "reviewed_by": "Author of the last change of state.",
        "reviewed_at": "Time of the last change of state.",
        "withdrawn_for": "Reason for which stence withdrew the flag.",
    },
    "ignored_objects": {
        "kind": "Extension or name of the files, or the reason for ignoring them.",
        "files": "Number of files.",
        "listed_at": "Time of the last listing.",
    },
    "installation": {
        "value": "Value of the setting.",
        "set_at": "Time of the last change.",
    },
    "manifest_records": {
        "patient_id": "Present number of the patient; empty if rows contradict each other.",
        "local_timezone": "Time zone of the recording time; empty: the file names a time zone.",
    },
    "manifest_rows": {
        "local_timezone": "Time zone of the recording time; empty: the file names a time zone.",
    },
    "manifests": {
        "rows_read": "Usable rows.",
        "rows_refused": "Unusable rows.",
        "read_at": "Time of the last reading.",
    },
    "model_events": {
        "version": "Model version.",
        "changed_by": "Author of the change.",
        "reason": "Reason.",
    },
    "models": {
        "preprocessing_version": "Version of the preprocessing.",
        "created_at": "Time of the registration.",
    },
    "monitor_runs": {
        "days": "Number of monitored days.",
        "metrics": "Number of metrics.",
        "alerts_opened": "Number of raised alerts.",
        "error": "Error of a failed run.",
        "lease_expires_at": "End of the lease, after which the run counts as dead; renewed during the run.",
    },
    "monitoring_metrics": {
        "run_id": "Run of the metric.",
        "model_version": "Model of the metric.",
        "name": "Name of the metric, with its unit.",
        "slice_key": "Kind of slice that the metric is restricted to, e.g. stage or device.",
        "slice_value": "Value of the slice, e.g. the device's name.",
        "value": "Value of the metric.",
        "count": "Number of observations.",
        "window_start": "Start of the window.",
        "window_end": "End of the window.",
        "measured_at": "Time of the computation.",
    },
    "objects": {
        "key": "Key of the main file in the store.",
        "listed_etag": "Version of the object's own files in the last listing.",
        "content_hash": "ECG that was last read from this object.",
        "patient_id": "Patient of this ECG at that time.",
        "first_seen_at": "Time of the first listing.",
        "changed_at": "Time at which a listing last showed a change of the content.",
    },
    "patient_aliases": {
        "patient_id": "Former number.",
    },
    "patient_merges": {
        "former_id": "Former number.",
        "present_id": "Number that replaces the former number.",
        "made_by": "Author of the merge.",
        "reason": "Reason.",
        "split": "Split of all numbers of the patient, if their splits differed before the merge.",
        "made_at": "Time at which the merge was recorded.",
        "ended_by": "Person, file or stence that ended the merge.",
        "ended_at": "Time at which the merge ended.",
    },
    "patient_splits": {
        "patient_id": "Number of a merged patient.",
    },
    "quarantine": {
        "detail": "Finding and action, in words.",
        "lead": "Lead with the fault.",
        "value": "Measured value.",
        "entered_at": "Time of the entry.",
        "closed_by": "Person who closed the row, or stence.",
        "closed_at": "Time at which the row was closed.",
        "content_hash": "ECG in the file, if it could be read.",
    },
    "reference_profiles": {
        "model_version": "Model of the reference.",
        "made_at": "Time of the creation.",
        "window_start": "Start of the ECGs' window.",
        "ecgs": "Number of ECGs.",
    },
    "reviews": {
        "reviewed_by": "Name of the reviewer.",
    },
    "runs": {
        "model_version": "Model of the run. It stays the same to the end of the run.",
        "preprocessing_version": "Version of the preprocessing.",
        "device": "Device of the model: cpu or cuda.",
        "error": "Error of a failed run.",
        "lease_expires_at": "End of the lease, after which the run counts as dead; renewed during the run.",
    },
    "schema_views": {
        "sha256": "SHA-256 of the view's file.",
    },
    "scores": {
        "preprocessing_version": "Version of the preprocessing.",
    },
    "source_faults": {
        "reason": "Code of the fault.",
        "state": "open; mended after the fault is gone.",
        "first_seen_at": "First time the fault was seen.",
        "seen_at": "Last time the fault was seen.",
    },
    "training_runs": {
        "stage": "Current or last stage.",
        "data_as_of": "Time of the data: studies, angiograms and ECGs known by then.",
        "new_pairs": "New ECG-angiogram pairs since the last finished training.",
        "figures": "Metrics on the test patients.",
        "model_version": "Model that the training created.",
        "outcome": "Outcome of the gate: state of the model after the gate.",
        "reasons": "Reason for the outcome: skipped, rejected or passed.",
        "error": "Error of a failed run.",
        "lease_expires_at": "End of the lease, after which the run counts as dead; renewed during the run.",
    },
    "worklist": {
        "object_id": "File.",
        "model_version": "Model that scores the file.",
        "etag": "Version of the content that this row describes.",
        "attempt": "Fencing token: refuses writes of runs that lost the lease.",
        "run_id": "Run that holds the lease or finished the row.",
        "lease_expires_at": "End of the lease: after this time another run may claim the row.",
        "changed_at": "Time of the last change of state.",
    },
}


def upgrade() -> None:
    for table, comment in TABLES.items():
        op.create_table_comment(table, comment)
    for table, comments in COLUMNS.items():
        for column, comment in comments.items():
            op.alter_column(table, column, comment=comment)
