-- stence_approver: changes of the champion and of its numeric form, and what they move. Names no file.
REVOKE ALL ON ALL TABLES IN SCHEMA public, audit, access, identity FROM stence_approver;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public, audit, identity FROM stence_approver;
REVOKE ALL ON SCHEMA audit, identity FROM stence_approver;
GRANT SELECT ON
    alembic_version, schema_functions, schema_grants, schema_views,
    cath_studies, ecgs, flags, model_events, model_forms, models, promotion_refusals, reviews, runs, scores,
    segment_stenoses, training_runs, validations,
    flag_counts, model_changes, model_validations, model_versions, scoring_runs, training_history
TO stence_approver;
GRANT SELECT (id, content_hash) ON objects TO stence_approver;
GRANT SELECT (object_id, model_version, state) ON worklist TO stence_approver;
GRANT UPDATE ON models TO stence_approver;
GRANT INSERT ON model_events, model_forms, flags TO stence_approver;
GRANT EXECUTE ON FUNCTION reopen_flags, withdraw_flags TO stence_approver;
GRANT SELECT ON promotion_requests TO stence_approver;
GRANT EXECUTE ON FUNCTION request_promotion, answer_promotion, use_approval TO stence_approver;
GRANT USAGE ON SCHEMA audit TO stence_approver;
GRANT EXECUTE ON FUNCTION audit.record TO stence_approver;
