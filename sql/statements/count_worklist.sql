-- Where the ECGs of a model's worklist are; what is leased is still pending. Of those of a run, how many are done.
SELECT c.indexed, c.scored, c.quarantined, c.pending,
       CAST(coalesce(sum(t.ecgs) FILTER (WHERE t.state = 'scored'), 0) AS bigint) AS scored_by_run,
       CAST(coalesce(sum(t.ecgs) FILTER (WHERE t.state = 'quarantined'), 0) AS bigint) AS quarantined_by_run
FROM worklist_counts AS c
LEFT JOIN worklist_tally AS t ON t.model_version = c.model_version AND t.run_id = :run_id
WHERE c.model_version = :model_version
GROUP BY c.indexed, c.scored, c.quarantined, c.pending
