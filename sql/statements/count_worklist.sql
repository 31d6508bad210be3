-- Where the ECGs of a model's worklist are; what is leased is still pending.
SELECT count(*) AS indexed,
       count(*) FILTER (WHERE state = 'scored') AS scored,
       count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
       count(*) FILTER (WHERE state IN ('pending', 'leased')) AS pending,
       count(*) FILTER (WHERE state = 'scored' AND run_id = :run_id) AS scored_by_run,
       count(*) FILTER (WHERE state = 'quarantined' AND run_id = :run_id) AS quarantined_by_run
FROM worklist
WHERE model_version = :model_version
