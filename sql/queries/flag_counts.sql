-- Is every flag accounted for? By model: flags = open + confirmed + dismissed + withdrawn, and why withdrawn.
SELECT model_version, model_state, flags, open, confirmed, dismissed, withdrawn, model_retired, by_person, ecg_void,
       listed_patients
FROM flag_counts
WHERE flags > 0
ORDER BY model_state <> 'champion', model_version;
