-- Record what a person found out about a flagged ECG; its flags follow.
SELECT review_ecg(CAST(:ecg_id AS bigint), CAST(:outcome AS text), CAST(:reviewed_by AS text),
                  CAST(:note AS text))
