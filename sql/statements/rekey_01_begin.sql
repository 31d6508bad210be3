-- No run may begin while pseudonyms change: it would go on with the old ones.
LOCK TABLE runs, training_runs, monitor_runs, patient_merges, manifest_records IN SHARE ROW EXCLUSIVE MODE;
CREATE TEMP TABLE rekeyed (old text PRIMARY KEY, new text NOT NULL, split text) ON COMMIT DROP
