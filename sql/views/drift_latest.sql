-- One row what was compared with the reference: the newest day of each area.
CREATE VIEW drift_latest WITH (security_invoker = true) AS
SELECT drift_daily.*
FROM drift_daily
JOIN (
    SELECT area, max(day) AS day
    FROM drift_daily
    GROUP BY area
) AS newest USING (area, day);

COMMENT ON VIEW drift_latest IS
    'How far inputs, embeddings, scores and cath reports lie from the reference, on the newest day of each area.';
COMMENT ON COLUMN drift_latest.day IS 'Day, the last one of its window.';
COMMENT ON COLUMN drift_latest.area IS 'inputs, embeddings, scores or reports (cath).';
COMMENT ON COLUMN drift_latest.model_version IS 'Model it is about; empty for inputs and cath reports.';
COMMENT ON COLUMN drift_latest.subject IS 'Measure or target, e.g. r_mv.V1 or stenosis_70; empty: all together.';
COMMENT ON COLUMN drift_latest.dimension IS 'device or site; empty: all.';
COMMENT ON COLUMN drift_latest.member IS 'Which one.';
COMMENT ON COLUMN drift_latest.observations IS 'ECGs, or cath studies, of the window.';
COMMENT ON COLUMN drift_latest.distance IS
    'Distance from the reference: Kolmogorov-Smirnov, of embeddings the maximum mean discrepancy.';
COMMENT ON COLUMN drift_latest.p_value IS
    'How likely such a distance, or such categories, would be by chance; adjusted for all that were compared.';
COMMENT ON COLUMN drift_latest.psi IS 'Population stability index against the reference.';
COMMENT ON COLUMN drift_latest.psi_consecutive IS 'The same against the day before.';
COMMENT ON COLUMN drift_latest.mean IS 'Mean probability; scores only.';
COMMENT ON COLUMN drift_latest.mean_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN drift_latest.mean_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN drift_latest.shift IS
    'How far the mean moved from the reference, in standard deviations; scores only.';
COMMENT ON COLUMN drift_latest.shift_p IS 'How likely such a shift would be by chance, adjusted for all targets.';
COMMENT ON COLUMN drift_latest.agreement IS
    'Rank correlation with the champion before, over ECGs that both scored; scores only.';
