-- One row a model: where the ECGs that it is to score are. What is leased is still pending.
CREATE VIEW worklist_counts WITH (security_invoker = true) AS
SELECT model_version,
       count(*) AS indexed,
       count(*) FILTER (WHERE state = 'scored') AS scored,
       count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
       count(*) FILTER (WHERE state IN ('pending', 'leased')) AS pending
FROM worklist
GROUP BY model_version;

COMMENT ON VIEW worklist_counts IS 'Where every ECG is, by model: indexed = scored + quarantined + pending.';
COMMENT ON COLUMN worklist_counts.model_version IS 'Model.';
COMMENT ON COLUMN worklist_counts.indexed IS 'ECGs it is to score.';
COMMENT ON COLUMN worklist_counts.scored IS 'Of these: scored.';
COMMENT ON COLUMN worklist_counts.quarantined IS 'Of these: in quarantine.';
COMMENT ON COLUMN worklist_counts.pending IS 'Of these: waiting, or being scored.';
