-- One row per unusable or contradicted row of a manifest, cath report or merge table.
CREATE VIEW unusable_rows WITH (security_invoker = true) AS
SELECT kind, source_key, line, reason, state, first_seen_at, seen_at
FROM source_faults
UNION ALL
SELECT 'manifest', rows.manifest_key, rows.line, 'row_two_patients', 'open', NULL, NULL
FROM manifest_rows AS rows
JOIN manifest_records AS records USING (record_key)
WHERE records.contradiction IS NOT NULL;

COMMENT ON VIEW unusable_rows IS
    'Rows of manifests, cath reports and merge tables that cannot be used; names no patient.';
COMMENT ON COLUMN unusable_rows.kind IS 'manifest, report or merge.';
COMMENT ON COLUMN unusable_rows.source_key IS 'Object key of the file.';
COMMENT ON COLUMN unusable_rows.line IS 'Line of the file, 0 for all of it; of Parquet, the row from 1 on.';
COMMENT ON COLUMN unusable_rows.reason IS 'Code of the fault; row_two_patients: other rows name another patient.';
COMMENT ON COLUMN unusable_rows.state IS 'open; mended after the fault is gone.';
COMMENT ON COLUMN unusable_rows.first_seen_at IS 'First time the fault was seen; empty for contradictions.';
COMMENT ON COLUMN unusable_rows.seen_at IS 'Last time the fault was seen; empty for contradictions.';
