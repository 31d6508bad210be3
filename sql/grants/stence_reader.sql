-- stence_reader: figures, and patients by their pseudonyms. No object keys, no free text of people, no identities.
REVOKE ALL ON ALL TABLES IN SCHEMA public, audit, access, identity FROM stence_reader;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public, audit, identity FROM stence_reader;
REVOKE ALL ON SCHEMA audit, identity FROM stence_reader;
GRANT SELECT ON
    alembic_version, schema_functions, schema_grants, schema_views,
    alerts, alert_events, ecg_embeddings, ecg_measurements, ignored_objects, model_events, model_forms, models, monitor_runs,
    monitoring_metrics, promotion_refusals, reference_profiles, runs, scores, segment_stenoses, training_runs,
    validations, verification_draws, verification_sample, worklist, worklist_marks, worklist_tally,
    alert_history, alerts_open, angiogram_status, arrivals_daily, calibration_curve, drift_daily, drift_latest,
    expected_figures, flag_counts, flagged_patients_all, ignored_files, key_figures, list_counts, model_changes, model_validations, model_versions,
    monitoring_daily, monitoring_lights, monitoring_runs, new_categories, operations_daily, outcome_figures,
    patient_risk, quarantine_daily, quarantine_summary, reviews_summary, score_distribution, scoring_runs,
    subgroup_figures, training_history, valid_scores, worklist_counts, workload_daily
TO stence_reader;
GRANT SELECT (id, etag, size_bytes, content_hash, patient_id, first_seen_at, changed_at, kind, change_number, format)
    ON objects TO stence_reader;
GRANT SELECT (id, content_hash, patient_id, acquired_at, first_read_at, device, sex, age, sampling_rate, seconds, warnings,
              object_id, site, indication, statements, measurements)
    ON ecgs TO stence_reader;
GRANT SELECT (id, content_hash, model_version, target, patient_id, probability, threshold, rule, state, raised_at,
              reviewed_at, withdrawn_for, withdrawal_id)
    ON flags TO stence_reader;
GRANT SELECT (id, object_id, etag, reason, lead, value, state, run_id, entered_at, closed_at, content_hash)
    ON quarantine TO stence_reader;
GRANT SELECT (study_id, patient_id, performed_at, split, max_degree, intervention_at, changed_at, first_seen_at)
    ON cath_studies TO stence_reader;
GRANT SELECT (object_id, etag, state, sop_instance_uid, patient_id, acquired_at, primary_angle, secondary_angle, frames, key_frame, study_id,
              changed_at)
    ON angiogram_views TO stence_reader;
GRANT SELECT (id, ecg_id, outcome, reviewed_at) ON reviews TO stence_reader;
GRANT SELECT (id, ecg_id, until, snoozed_at) ON snoozes TO stence_reader;
GRANT SELECT (id, flag_id, format, status, planned_at, sent_at) ON flag_exports TO stence_reader;
