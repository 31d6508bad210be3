-- A message that still waits says what holds now. The destination may have got it, although it did not confirm: what
-- has changed since goes out as a correction.
UPDATE flag_exports AS e
SET patient_id = f.patient_id, refusal = NULL,
    status = CASE WHEN f.state = 'withdrawn' THEN 'entered-in-error' ELSE 'corrected' END
FROM flags AS f
WHERE f.id = e.flag_id AND e.format = :format AND e.destination = :destination AND e.sent_at IS NULL
  AND (CAST(:flags AS bigint[]) IS NULL OR e.flag_id = ANY (CAST(:flags AS bigint[])))
  AND (e.patient_id <> f.patient_id OR (e.status = 'entered-in-error') <> (f.state = 'withdrawn'))
