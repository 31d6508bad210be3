-- What the runs of a model that ended in a time brought to an end, and at its end the hours since the last run
-- that finished: since the model was registered where none had, nothing where that was later.
WITH ended AS (
    SELECT state, started_at, finished_at, scored_by_run, quarantined_by_run
    FROM runs
    WHERE model_version = :model_version AND finished_at >= :start AND finished_at < :end
)
SELECT coalesce(sum(scored_by_run), 0) AS ecgs_scored,
       CAST(sum(scored_by_run + quarantined_by_run) / nullif(sum(extract(epoch FROM finished_at - started_at)), 0)
            AS double precision) AS ecgs_per_second,
       count(*) FILTER (WHERE state = 'failed') AS runs_failed,
       (SELECT CAST(extract(epoch FROM CAST(:end AS timestamptz) - last) / 3600 AS double precision)
        FROM (
            SELECT coalesce(
                (SELECT max(finished_at) FROM runs
                 WHERE model_version = :model_version AND state = 'finished' AND finished_at < :end),
                (SELECT created_at FROM models WHERE version = :model_version)) AS last
        ) AS finished
        WHERE last < :end) AS hours_since_run
FROM ended
