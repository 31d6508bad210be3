-- One row per day, model, target and bin of probabilities (a twentieth), with the number of ECGs.
CREATE VIEW score_distribution WITH (security_invoker = true) AS
SELECT CAST(coalesce(ecgs.acquired_at, ecgs.first_read_at) AT TIME ZONE 'UTC' AS date) AS day,
       scores.model_version,
       each.target,
       least(CAST(floor(each.probability * 20) AS integer), 19) AS bin,
       count(*) AS ecgs
FROM scores
JOIN ecgs USING (content_hash)
CROSS JOIN LATERAL (
    VALUES ('stenosis_50', scores.stenosis_50),
           ('stenosis_70', scores.stenosis_70),
           ('stenosis_90', scores.stenosis_90),
           ('stenosis_100', scores.stenosis_100),
           ('rca_70', scores.rca_70),
           ('lca_70', scores.lca_70)
) AS each (target, probability)
GROUP BY 1, 2, 3, 4;

COMMENT ON VIEW score_distribution IS 'Histogram of the probabilities by day of the ECG (UTC), model and target.';
COMMENT ON COLUMN score_distribution.day IS 'Day (UTC) on which the ECGs were recorded.';
COMMENT ON COLUMN score_distribution.model_version IS 'Model that scored them.';
COMMENT ON COLUMN score_distribution.target IS 'Target of the probability.';
COMMENT ON COLUMN score_distribution.bin IS 'Number of the bin, 0 to 19; each is a twentieth wide.';
COMMENT ON COLUMN score_distribution.ecgs IS 'ECGs in this bin.';
