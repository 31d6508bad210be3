-- One row per model, with the ECGs of its worklist by state. Leased ECGs are still pending, and so is the part of the
-- archive that is not on the worklist yet. The tally has what each statement changed; the archive is only counted
-- until it is on the worklist.
CREATE VIEW worklist_counts WITH (security_invoker = true) AS
SELECT tally.model_version,
       CAST(tally.listed + archive.unlisted AS bigint) AS indexed,
       CAST(tally.scored AS bigint) AS scored,
       CAST(tally.quarantined AS bigint) AS quarantined,
       CAST(tally.listed - tally.scored - tally.quarantined + archive.unlisted AS bigint) AS pending
FROM (
    SELECT model_version,
           coalesce(sum(ecgs), 0) AS listed,
           coalesce(sum(ecgs) FILTER (WHERE state = 'scored'), 0) AS scored,
           coalesce(sum(ecgs) FILTER (WHERE state = 'quarantined'), 0) AS quarantined
    FROM (SELECT model_version, state, ecgs FROM worklist_tally
          UNION ALL
          SELECT model_version, NULL, 0 FROM worklist_marks) AS changes
    GROUP BY model_version
) AS tally
CROSS JOIN LATERAL (
    SELECT count(*) AS unlisted
    FROM worklist_marks AS m
    JOIN objects AS o ON o.change_number < m.oldest
    WHERE m.model_version = tally.model_version AND o.kind = 'ecg'
) AS archive;

COMMENT ON VIEW worklist_counts IS 'ECGs of each model by state: indexed = scored + quarantined + pending.';
COMMENT ON COLUMN worklist_counts.model_version IS 'Model.';
COMMENT ON COLUMN worklist_counts.indexed IS 'ECGs on the model''s worklist.';
COMMENT ON COLUMN worklist_counts.scored IS 'Of these: scored.';
COMMENT ON COLUMN worklist_counts.quarantined IS 'Of these: in quarantine.';
COMMENT ON COLUMN worklist_counts.pending IS 'Of these: waiting, or being scored.';
