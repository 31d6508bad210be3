-- One row per day and model, with the flagged ECGs and patients, and what was promised of them.
CREATE VIEW workload_daily WITH (security_invoker = true) AS
SELECT day,
       model_version,
       subject AS target,
       max(count) FILTER (WHERE metric = 'flag_rate') AS ecgs,
       max(value) FILTER (WHERE metric = 'flag_rate') AS flag_rate,
       max(lower) FILTER (WHERE metric = 'flag_rate') AS flag_rate_lower,
       max(upper) FILTER (WHERE metric = 'flag_rate') AS flag_rate_upper,
       max(value) FILTER (WHERE metric = 'flags_promised') AS promised,
       max(value) FILTER (WHERE metric = 'flag_rate_p') AS p_value,
       max(count) FILTER (WHERE metric = 'patient_flag_rate') AS patients,
       max(value) FILTER (WHERE metric = 'patient_flag_rate') AS patient_flag_rate,
       max(value) FILTER (WHERE metric = 'patients_flagged') AS patients_flagged,
       max(value) FILTER (WHERE metric = 'patients_flagged_promised') AS patients_flagged_promised
FROM monitoring_daily
WHERE area = 'workload'
GROUP BY day, model_version, subject;

COMMENT ON VIEW workload_daily IS
    'Share of ECGs and patients that a model flags, and the share promised when its threshold was chosen.';
COMMENT ON COLUMN workload_daily.day IS 'Day.';
COMMENT ON COLUMN workload_daily.model_version IS 'Model.';
COMMENT ON COLUMN workload_daily.target IS 'Decisive target, whose threshold raises flags.';
COMMENT ON COLUMN workload_daily.ecgs IS 'Scored ECGs of the day.';
COMMENT ON COLUMN workload_daily.flag_rate IS 'Share of the scored ECGs at or above the threshold, 0 to 1.';
COMMENT ON COLUMN workload_daily.flag_rate_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN workload_daily.flag_rate_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN workload_daily.promised IS 'Promised share, of ECGs and of patients, 0 to 1.';
COMMENT ON COLUMN workload_daily.p_value IS 'Probability of at least this number of flags if the promise is kept.';
COMMENT ON COLUMN workload_daily.patients IS 'Patients with a scored ECG of the day.';
COMMENT ON COLUMN workload_daily.patient_flag_rate IS 'Share of these patients with an ECG at or above the threshold.';
COMMENT ON COLUMN workload_daily.patients_flagged IS 'Their number.';
COMMENT ON COLUMN workload_daily.patients_flagged_promised IS 'Flagged patients a day that were promised; empty if unknown.';
