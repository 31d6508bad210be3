-- Flags that were withdrawn because nobody could name the patient come back, those of other models as well: open where
-- the model is champion, and else withdrawn for that.
UPDATE flags AS f
SET state = back.state, withdrawn_for = back.withdrawn_for, reviewed_by = back.reviewed_by,
    reviewed_at = back.reviewed_at, note = back.note
FROM models AS m
JOIN (VALUES (true, 'open', NULL, NULL, NULL, NULL),
             (false, 'withdrawn', 'model_retired', 'stence', now(), 'its model is not champion any more'))
    AS back (champion, state, withdrawn_for, reviewed_by, reviewed_at, note)
    ON back.champion = (m.state = 'champion')
WHERE f.content_hash IN (SELECT content_hash FROM staged_results WHERE reason IS NULL)
  AND f.content_hash NOT IN (SELECT content_hash FROM conflicts)
  AND f.withdrawn_for = 'patient_unclear' AND m.version = f.model_version
  AND EXISTS (SELECT FROM scores AS s WHERE s.content_hash = f.content_hash AND s.model_version = f.model_version)
