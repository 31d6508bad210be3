-- One row an ECG, however many files hold it, under the patient's present number. The update also locks the row: of
-- two writers of the same content the second waits, and then sees whom the first wrote it for.
INSERT INTO ecgs AS e (content_hash, patient_id, acquired_at, local_timezone, device, sex, age, sampling_rate,
                       seconds, warnings, object_id, site, indication, device_serial, filters, measurements,
                       statements, fingerprint)
SELECT DISTINCT ON (s.content_hash)
       s.content_hash, coalesce(a.present_id, s.patient_id), s.acquired_at, s.local_timezone, s.device, s.sex, s.age,
       s.sampling_rate, s.seconds, s.warnings, s.object_id, s.site, s.indication,
       s.device_serial, s.filters, s.measurements, s.statements, s.fingerprint
FROM staged_results AS s
LEFT JOIN patient_aliases AS a ON a.patient_id = s.patient_id
WHERE s.reason IS NULL
ORDER BY s.content_hash, s.object_id
ON CONFLICT (content_hash) DO UPDATE
    SET patient_id = EXCLUDED.patient_id, acquired_at = EXCLUDED.acquired_at,
        local_timezone = EXCLUDED.local_timezone, site = EXCLUDED.site, indication = EXCLUDED.indication,
        -- An ECG of an earlier version gets what that version did not read.
        device_serial = coalesce(e.device_serial, EXCLUDED.device_serial),
        filters = coalesce(e.filters, EXCLUDED.filters),
        measurements = CASE WHEN e.fingerprint IS NULL THEN EXCLUDED.measurements ELSE e.measurements END,
        statements = CASE WHEN e.fingerprint IS NULL THEN EXCLUDED.statements ELSE e.statements END,
        fingerprint = coalesce(e.fingerprint, EXCLUDED.fingerprint)
