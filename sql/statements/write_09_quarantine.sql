-- Refused files, and files in a conflict of patients.
INSERT INTO quarantine AS q (object_id, etag, reason, detail, lead, value, state, run_id, content_hash)
SELECT object_id, etag, reason, detail, lead, value, 'open', :run_id, NULL
FROM staged_results WHERE reason IS NOT NULL
UNION ALL
SELECT object_id, etag, 'patient_conflict',
       'the same ECG lies under more than one patient: ' || keys || '. Find out whose it is, then run '
       || 'stence quarantine dismiss for the wrong files and retry for the right one.',
       NULL, NULL, 'open', :run_id, content_hash
FROM conflicts
ORDER BY object_id
ON CONFLICT (object_id) WHERE state = 'open' DO UPDATE
    SET etag = EXCLUDED.etag, reason = EXCLUDED.reason, detail = EXCLUDED.detail, lead = EXCLUDED.lead,
        value = EXCLUDED.value, run_id = EXCLUDED.run_id, content_hash = EXCLUDED.content_hash, entered_at = now()
