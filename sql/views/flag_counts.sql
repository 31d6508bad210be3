-- One row per model, with its flags by state.
CREATE VIEW flag_counts WITH (security_invoker = true) AS
SELECT models.version AS model_version,
       models.state AS model_state,
       count(flags.id) AS flags,
       count(*) FILTER (WHERE flags.state = 'open') AS open,
       count(*) FILTER (WHERE flags.state = 'confirmed') AS confirmed,
       count(*) FILTER (WHERE flags.state = 'dismissed') AS dismissed,
       count(*) FILTER (WHERE flags.state = 'withdrawn') AS withdrawn,
       count(*) FILTER (WHERE flags.withdrawn_for = 'model_retired') AS model_retired,
       count(*) FILTER (WHERE flags.withdrawn_for = 'by_person') AS by_person,
       count(*) FILTER (WHERE flags.state = 'withdrawn'
                              AND coalesce(flags.withdrawn_for, '') NOT IN ('model_retired', 'by_person')) AS ecg_void,
       count(DISTINCT flags.patient_id) FILTER (WHERE flags.state IN ('open', 'confirmed')) AS listed_patients
FROM models
LEFT JOIN flags ON flags.model_version = models.version
GROUP BY models.version, models.state;

COMMENT ON VIEW flag_counts IS
    'Flags of each model: flags = open + confirmed + dismissed + withdrawn; names no patient.';
COMMENT ON COLUMN flag_counts.model_version IS 'Model that raised them.';
COMMENT ON COLUMN flag_counts.model_state IS 'candidate, shadow, champion, retired or rejected.';
COMMENT ON COLUMN flag_counts.flags IS 'Flags ever raised = open + confirmed + dismissed + withdrawn.';
COMMENT ON COLUMN flag_counts.open IS 'Of these: on the list, not reviewed yet.';
COMMENT ON COLUMN flag_counts.confirmed IS 'Of these: confirmed by a review, and on the list.';
COMMENT ON COLUMN flag_counts.dismissed IS 'Of these: dismissed by a review.';
COMMENT ON COLUMN flag_counts.withdrawn IS 'Of these: withdrawn = model_retired + by_person + ecg_void.';
COMMENT ON COLUMN flag_counts.model_retired IS 'Withdrawn because the model is not champion; open again if it becomes champion.';
COMMENT ON COLUMN flag_counts.by_person IS 'Withdrawn by a person (stence flags withdraw).';
COMMENT ON COLUMN flag_counts.ecg_void IS 'Withdrawn because the ECG was replaced, or its patient is not certain or has opted out.';
COMMENT ON COLUMN flag_counts.listed_patients IS 'Patients with an open or confirmed flag of the model.';
