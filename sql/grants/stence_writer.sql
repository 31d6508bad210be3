-- stence_writer: what the flows do. Histories are added to, never changed; reviews and snoozes have functions.
REVOKE ALL ON ALL TABLES IN SCHEMA public, audit, access, identity FROM stence_writer;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public, audit, identity FROM stence_writer;
REVOKE ALL ON SCHEMA audit, identity FROM stence_writer;
REVOKE ALL ON SEQUENCE object_changes FROM stence_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO stence_writer;
REVOKE SELECT ON site_members FROM stence_writer;
GRANT USAGE ON SEQUENCE object_changes TO stence_writer;

-- Mirrors of what the store says, and work: rows come and go.
GRANT INSERT, UPDATE, DELETE ON
    angiogram_features, angiogram_views, announced_objects, cath_studies, ecg_embeddings, ecg_pages, ecg_study_pairs,
    ignored_objects, installation, manifest_records, manifest_rows, manifests, monitoring_metrics, patient_aliases, record_parts,
    segment_stenoses, study_embeddings, worklist, worklist_marks, worklist_tally
TO stence_writer;

-- Rows that stay, with a state that changes.
GRANT INSERT, UPDATE ON
    alerts, ecg_measurements, ecgs, flag_exports, models, monitor_runs, objects, patient_merges, patient_splits,
    promotion_refusals, quarantine, reference_profiles, runs, source_faults, training_runs
TO stence_writer;

-- Results: changed by functions that write the audit alone.
GRANT INSERT ON flags, scores TO stence_writer;
-- A right to lock rows; the trigger flags_guarded refuses any change by it.
GRANT UPDATE (id) ON flags TO stence_writer;
GRANT EXECUTE ON FUNCTION delete_scores, move_flags, reopen_flags, withdraw_flags TO stence_writer;

-- Histories.
GRANT INSERT ON
    alert_events, ecg_moments, flag_decisions, model_events, model_forms, store_listings, validations,
    verification_draws, verification_sample
TO stence_writer;

GRANT EXECUTE ON FUNCTION review_ecg, snooze_patient, index_similar_studies TO stence_writer;
-- Retention removes what is old; requests of promotions, and answers through a form of Prefect. What was asked is in the audit.
GRANT DELETE ON ecg_measurements TO stence_writer;
GRANT EXECUTE ON FUNCTION forget_ecgs, forget_closed_quarantine, request_promotion, answer_promotion, use_approval TO stence_writer;
-- Numbers go into the map, and come out for messages that wait to be sent alone.
GRANT USAGE ON SCHEMA identity TO stence_writer;
GRANT EXECUTE ON FUNCTION identity.remember, identity.numbers_to_send TO stence_writer;
GRANT USAGE ON SCHEMA audit TO stence_writer;
GRANT EXECUTE ON FUNCTION audit.record, audit.digest TO stence_writer;
GRANT SELECT ON audit.entries, audit.links TO stence_writer;
