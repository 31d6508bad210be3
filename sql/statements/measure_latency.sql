-- Hours from the taking of an ECG to its score, of the ECGs of a time whose time is known.
SELECT count(*) AS ecgs,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY hours) AS latency_hours_median,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY hours) AS latency_hours_p95
FROM (
    SELECT CAST(extract(epoch FROM s.scored_at - e.acquired_at) / 3600 AS double precision) AS hours
    FROM ecgs AS e
    JOIN scores AS s USING (content_hash)
    WHERE coalesce(e.acquired_at, e.first_read_at) >= :start AND coalesce(e.acquired_at, e.first_read_at) < :end
      AND e.acquired_at IS NOT NULL
      AND s.model_version = :model_version AND s.preprocessing_version = :preprocessing_version
) AS waited
