-- Take the patient of an ECG off the list for a time.
SELECT snooze_patient(CAST(:ecg_id AS bigint), CAST(:until AS date), CAST(:snoozed_by AS text), CAST(:reason AS text))
