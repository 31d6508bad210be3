-- One row per day and model: arrivals, scores, backlog and latency.
CREATE VIEW operations_daily WITH (security_invoker = true) AS
SELECT day,
       model_version,
       ecgs_arrived,
       feed_ratio,
       feed_p,
       quarantine_rate,
       quarantine_lower,
       quarantine_upper,
       ecgs_scored,
       backlog,
       backlog_age_hours,
       latency_hours_median,
       latency_hours_p95,
       ecgs_per_second,
       hours_since_run,
       runs_failed
FROM (
    SELECT day,
           max(value) FILTER (WHERE metric = 'ecgs_arrived') AS ecgs_arrived,
           max(value) FILTER (WHERE metric = 'feed_ratio') AS feed_ratio,
           max(value) FILTER (WHERE metric = 'feed_p') AS feed_p,
           max(value) FILTER (WHERE metric = 'quarantine_rate') AS quarantine_rate,
           max(lower) FILTER (WHERE metric = 'quarantine_rate') AS quarantine_lower,
           max(upper) FILTER (WHERE metric = 'quarantine_rate') AS quarantine_upper
    FROM monitoring_daily
    WHERE area = 'operations' AND model_version IS NULL AND dimension IS NULL
    GROUP BY day
) AS feed
LEFT JOIN (
    SELECT day,
           model_version,
           max(value) FILTER (WHERE metric = 'ecgs_scored') AS ecgs_scored,
           max(value) FILTER (WHERE metric = 'backlog') AS backlog,
           max(value) FILTER (WHERE metric = 'backlog_age_hours') AS backlog_age_hours,
           max(value) FILTER (WHERE metric = 'latency_hours_median') AS latency_hours_median,
           max(value) FILTER (WHERE metric = 'latency_hours_p95') AS latency_hours_p95,
           max(value) FILTER (WHERE metric = 'ecgs_per_second') AS ecgs_per_second,
           max(value) FILTER (WHERE metric = 'hours_since_run') AS hours_since_run,
           max(value) FILTER (WHERE metric = 'runs_failed') AS runs_failed
    FROM monitoring_daily
    WHERE area = 'operations' AND model_version IS NOT NULL AND dimension IS NULL
    GROUP BY day, model_version
) AS work USING (day);

COMMENT ON VIEW operations_daily IS
    'Days of the feed and of the scorer: arrivals, quarantine, backlog, latency, speed.';
COMMENT ON COLUMN operations_daily.day IS 'Day.';
COMMENT ON COLUMN operations_daily.model_version IS 'Model of the scores; empty without a model.';
COMMENT ON COLUMN operations_daily.ecgs_arrived IS 'ECGs recorded that day.';
COMMENT ON COLUMN operations_daily.feed_ratio IS 'ECGs of the day, relative to the same weekday in the reference.';
COMMENT ON COLUMN operations_daily.feed_p IS 'Probability of at most this number of ECGs by chance, 0 to 1.';
COMMENT ON COLUMN operations_daily.quarantine_rate IS 'Share of the day''s ECG files in quarantine, 0 to 1.';
COMMENT ON COLUMN operations_daily.quarantine_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN operations_daily.quarantine_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN operations_daily.ecgs_scored IS 'ECGs of the day that the model had scored at its end.';
COMMENT ON COLUMN operations_daily.backlog IS 'ECGs that waited for the model at the end of the day.';
COMMENT ON COLUMN operations_daily.backlog_age_hours IS 'Waiting time of the oldest waiting ECG, in hours.';
COMMENT ON COLUMN operations_daily.latency_hours_median IS 'Median time from recording to score, in hours.';
COMMENT ON COLUMN operations_daily.latency_hours_p95 IS
    '95th percentile of the time from recording to score, in hours.';
COMMENT ON COLUMN operations_daily.ecgs_per_second IS 'ECGs per second of that day''s runs.';
COMMENT ON COLUMN operations_daily.hours_since_run IS 'Hours since a run last finished, at the end of the day.';
COMMENT ON COLUMN operations_daily.runs_failed IS 'Runs that failed that day.';
