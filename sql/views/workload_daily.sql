-- One row per day, model and target, with the flagged and the promised share of ECGs.
CREATE VIEW workload_daily WITH (security_invoker = true) AS
SELECT day,
       model_version,
       subject AS target,
       max(count) FILTER (WHERE metric = 'flag_rate') AS ecgs,
       max(value) FILTER (WHERE metric = 'flag_rate') AS flag_rate,
       max(lower) FILTER (WHERE metric = 'flag_rate') AS flag_rate_lower,
       max(upper) FILTER (WHERE metric = 'flag_rate') AS flag_rate_upper,
       max(value) FILTER (WHERE metric = 'flags_promised') AS promised,
       max(value) FILTER (WHERE metric = 'flag_rate_p') AS p_value
FROM monitoring_daily
WHERE area = 'workload'
GROUP BY day, model_version, subject;

COMMENT ON VIEW workload_daily IS
    'Share of ECGs that a model flags, and the share promised when its thresholds were chosen.';
COMMENT ON COLUMN workload_daily.day IS 'Day.';
COMMENT ON COLUMN workload_daily.model_version IS 'Model.';
COMMENT ON COLUMN workload_daily.target IS 'Target of the flags.';
COMMENT ON COLUMN workload_daily.ecgs IS 'Scored ECGs of the day.';
COMMENT ON COLUMN workload_daily.flag_rate IS 'Share of the scored ECGs at or above the threshold, 0 to 1.';
COMMENT ON COLUMN workload_daily.flag_rate_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN workload_daily.flag_rate_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN workload_daily.promised IS 'Promised share, 0 to 1.';
COMMENT ON COLUMN workload_daily.p_value IS 'Probability of at least this number of flags if the promise is kept.';
