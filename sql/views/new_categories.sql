-- One row per day and device, site or sampling rate that is missing in the reference.
CREATE VIEW new_categories WITH (security_invoker = true) AS
SELECT day,
       dimension,
       member,
       count AS ecgs,
       value AS share,
       lower AS share_lower,
       upper AS share_upper
FROM monitoring_daily
WHERE metric = 'new_category';

COMMENT ON VIEW new_categories IS 'Devices, sites and sampling rates of ECGs that are missing in the reference.';
COMMENT ON COLUMN new_categories.day IS 'Day.';
COMMENT ON COLUMN new_categories.dimension IS 'device, site or sampling_rate.';
COMMENT ON COLUMN new_categories.member IS 'Value of the dimension.';
COMMENT ON COLUMN new_categories.ecgs IS 'ECGs with this value on that day.';
COMMENT ON COLUMN new_categories.share IS 'Their share of the day''s ECGs, 0 to 1.';
COMMENT ON COLUMN new_categories.share_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN new_categories.share_upper IS 'Upper end of its 95 % interval.';
