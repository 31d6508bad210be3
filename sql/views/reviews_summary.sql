-- One row per model and target, with the verdicts on its flags.
CREATE VIEW reviews_summary WITH (security_invoker = true) AS
SELECT flags.model_version,
       flags.target,
       count(*) AS flags,
       count(*) FILTER (WHERE state = 'open') AS open,
       count(*) FILTER (WHERE state = 'confirmed') AS confirmed,
       count(*) FILTER (WHERE state = 'dismissed') AS dismissed,
       count(*) FILTER (WHERE state = 'withdrawn') AS withdrawn,
       count(*) FILTER (WHERE state = 'confirmed') / nullif(
           CAST(count(*) FILTER (WHERE state IN ('confirmed', 'dismissed')) AS double precision), 0
       ) AS confirmed_share,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM reviewed_at - raised_at) / 86400)
           FILTER (WHERE state IN ('confirmed', 'dismissed')) AS median_days
FROM flags
GROUP BY flags.model_version, flags.target;

COMMENT ON VIEW reviews_summary IS 'Flags by state, with the time to the verdict; names no patient.';
COMMENT ON COLUMN reviews_summary.model_version IS 'Model that raised them.';
COMMENT ON COLUMN reviews_summary.target IS 'Target of the flags.';
COMMENT ON COLUMN reviews_summary.flags IS 'Flags raised.';
COMMENT ON COLUMN reviews_summary.open IS 'Of these: not reviewed yet.';
COMMENT ON COLUMN reviews_summary.confirmed IS 'Of these: confirmed.';
COMMENT ON COLUMN reviews_summary.dismissed IS 'Of these: dismissed.';
COMMENT ON COLUMN reviews_summary.withdrawn IS 'Of these: withdrawn; the view flag_counts tells why.';
COMMENT ON COLUMN reviews_summary.confirmed_share IS 'Confirmed among those confirmed or dismissed, 0 to 1.';
COMMENT ON COLUMN reviews_summary.median_days IS 'Median time from flag to verdict, in days.';
