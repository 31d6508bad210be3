-- One row per compared measure and slice, on the newest day of each area.
CREATE VIEW drift_latest WITH (security_invoker = true) AS
SELECT drift_daily.*
FROM drift_daily
JOIN (
    SELECT area, max(day) AS day
    FROM drift_daily
    GROUP BY area
) AS newest USING (area, day);

COMMENT ON VIEW drift_latest IS
    'Distances of inputs, embeddings, scores and cath reports from the reference, newest day of each area.';
COMMENT ON COLUMN drift_latest.day IS 'Last day of the window.';
COMMENT ON COLUMN drift_latest.area IS 'inputs, embeddings, scores or reports (cath).';
COMMENT ON COLUMN drift_latest.model_version IS 'Model of the metric; empty for inputs and cath reports.';
COMMENT ON COLUMN drift_latest.subject IS 'Measure or target, e.g. r_mv.V1 or stenosis_70; empty: all together.';
COMMENT ON COLUMN drift_latest.dimension IS 'device or site; empty: all.';
COMMENT ON COLUMN drift_latest.member IS 'Value of the dimension.';
COMMENT ON COLUMN drift_latest.observations IS 'ECGs, or cath studies, of the window.';
COMMENT ON COLUMN drift_latest.distance IS
    'Distance from the reference: Kolmogorov-Smirnov; for embeddings, maximum mean discrepancy.';
COMMENT ON COLUMN drift_latest.p_value IS
    'Probability of at least this distance by chance, or of these categories; adjusted for all comparisons.';
COMMENT ON COLUMN drift_latest.psi IS 'Population stability index against the reference.';
COMMENT ON COLUMN drift_latest.psi_consecutive IS 'Population stability index against the day before.';
COMMENT ON COLUMN drift_latest.mean IS 'Mean probability; scores only.';
COMMENT ON COLUMN drift_latest.mean_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN drift_latest.mean_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN drift_latest.shift IS
    'Shift of the mean from days of the same kind (weekdays or weekends), in standard deviations; scores only.';
COMMENT ON COLUMN drift_latest.shift_p IS 'Probability of at least this shift by chance, adjusted for all targets.';
COMMENT ON COLUMN drift_latest.ewma IS
    'Moving average of the shift over about three weeks (EWMA), in standard deviations; scores only.';
COMMENT ON COLUMN drift_latest.ewma_p IS
    'Probability of at least this average by chance, adjusted for all targets.';
COMMENT ON COLUMN drift_latest.agreement IS
    'Rank correlation with the last champion, over ECGs that both scored; scores only.';
