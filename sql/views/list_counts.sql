-- One row per model that has flagged patients: those on its list, and those off it by reason.
CREATE VIEW list_counts WITH (security_invoker = true) AS
SELECT model_version,
       count(*) AS flagged,
       count(*) FILTER (WHERE off_list IS NULL) AS listed,
       count(*) FILTER (WHERE off_list = 'newer ECG') AS newer_ecg,
       count(*) FILTER (WHERE off_list = 'known severe') AS known_severe,
       count(*) FILTER (WHERE off_list = 'answered') AS answered,
       count(*) FILTER (WHERE off_list = 'snoozed') AS snoozed
FROM flagged_patients_all
GROUP BY model_version;

COMMENT ON VIEW list_counts IS
    'Flagged patients by model: flagged = listed + newer_ecg + known_severe + answered + snoozed; names no patient.';
COMMENT ON COLUMN list_counts.model_version IS 'Model that raised the flag of the patient''s newest flagged ECG.';
COMMENT ON COLUMN list_counts.flagged IS 'Patients with an open or confirmed flag.';
COMMENT ON COLUMN list_counts.listed IS 'Of these: on the list (flagged_patients).';
COMMENT ON COLUMN list_counts.newer_ecg IS 'Off the list: a newer ECG has no flag.';
COMMENT ON COLUMN list_counts.known_severe IS 'Off the list: a cath study found a narrowing of at least 70 %.';
COMMENT ON COLUMN list_counts.answered IS 'Off the list: a cath study after the ECG found less than 70 %.';
COMMENT ON COLUMN list_counts.snoozed IS 'Off the list: a person snoozed the patient.';
