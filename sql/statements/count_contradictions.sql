-- Rows of a manifest that other rows, of this manifest or another, contradict.
SELECT count(*)
FROM manifest_rows JOIN manifest_records AS m USING (record_key)
WHERE manifest_key = :manifest_key AND m.contradiction IS NOT NULL
