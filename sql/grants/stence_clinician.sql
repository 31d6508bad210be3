-- stence_clinician: the list and the histories of the patients of the login's sites, by the policies of the tables.
REVOKE ALL ON ALL TABLES IN SCHEMA public, audit, access, identity FROM stence_clinician;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public, audit, identity FROM stence_clinician;
REVOKE ALL ON SCHEMA audit, identity FROM stence_clinician;
GRANT SELECT ON
    alembic_version, schema_functions, schema_grants, schema_views,
    cath_studies, ecg_pages, ecgs, flag_exports, flags, models, objects, patient_aliases, patient_merges, reviews,
    scores, snoozes, worklist,
    ecg_files, ecg_risk, flagged_patients, flagged_patients_all, list_counts, model_versions, model_events, patient_numbers, patient_risk,
    valid_scores
TO stence_clinician;
GRANT SELECT ON access.patients, access.ecgs TO stence_clinician;
GRANT EXECUTE ON FUNCTION review_ecg, snooze_patient TO stence_clinician;
GRANT USAGE ON SCHEMA identity TO stence_clinician;
GRANT EXECUTE ON FUNCTION identity.numbers_of, identity.find, identity.flagged_patients TO stence_clinician;
