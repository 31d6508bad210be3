-- Records of which the manifest now says something else than before, or nothing any more.
INSERT INTO touched_records
SELECT DISTINCT coalesce(s.record_key, r.record_key)
FROM staged_manifest_rows AS s
FULL JOIN (SELECT * FROM manifest_rows WHERE manifest_key = :manifest_key) AS r
  ON r.record_key = s.record_key AND r.line = s.line
WHERE (r.patient_id, r.study_id, r.acquired_at, r.local_timezone, r.site, r.indication)
      IS DISTINCT FROM (s.patient_id, s.study_id, s.acquired_at, s.local_timezone, s.site, s.indication)
