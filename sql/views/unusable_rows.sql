-- One row for each row of a manifest, cath report or merge table that cannot be used, or that others contradict.
CREATE VIEW unusable_rows WITH (security_invoker = true) AS
SELECT kind, source_key, line, reason, state, first_seen_at, seen_at
FROM source_faults
UNION ALL
SELECT 'manifest', rows.manifest_key, rows.line, 'row_two_patients', 'open', NULL, NULL
FROM manifest_rows AS rows
JOIN manifest_records AS records USING (record_key)
WHERE records.contradiction IS NOT NULL;

COMMENT ON VIEW unusable_rows IS 'Rows of manifests, cath reports and merge tables that cannot be used; no patient in it.';
COMMENT ON COLUMN unusable_rows.kind IS 'manifest, report or merge.';
COMMENT ON COLUMN unusable_rows.source_key IS 'Object key of the file.';
COMMENT ON COLUMN unusable_rows.line IS 'Line of the file, 0 for all of it; of Parquet, the row from 1 on.';
COMMENT ON COLUMN unusable_rows.reason IS 'Code of what is wrong; row_two_patients: other rows name another patient.';
COMMENT ON COLUMN unusable_rows.state IS 'open; mended once it is seen no more.';
COMMENT ON COLUMN unusable_rows.first_seen_at IS 'When it was first seen; empty for contradictions.';
COMMENT ON COLUMN unusable_rows.seen_at IS 'When it was last seen; empty for contradictions.';
