-- One row per model, with the ECGs of its worklist by state. Leased ECGs are still pending.
CREATE VIEW worklist_counts WITH (security_invoker = true) AS
SELECT model_version,
       count(*) AS indexed,
       count(*) FILTER (WHERE state = 'scored') AS scored,
       count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
       count(*) FILTER (WHERE state IN ('pending', 'leased')) AS pending
FROM worklist
GROUP BY model_version;

COMMENT ON VIEW worklist_counts IS 'ECGs of each model by state: indexed = scored + quarantined + pending.';
COMMENT ON COLUMN worklist_counts.model_version IS 'Model.';
COMMENT ON COLUMN worklist_counts.indexed IS 'ECGs on the model''s worklist.';
COMMENT ON COLUMN worklist_counts.scored IS 'Of these: scored.';
COMMENT ON COLUMN worklist_counts.quarantined IS 'Of these: in quarantine.';
COMMENT ON COLUMN worklist_counts.pending IS 'Of these: waiting, or being scored.';
