-- One row per day and device, site or hour, with the number of recorded ECGs.
CREATE VIEW arrivals_daily WITH (security_invoker = true) AS
SELECT day,
       dimension,
       member,
       max(value) FILTER (WHERE metric = 'ecgs_arrived') AS ecgs,
       max(value) FILTER (WHERE metric = 'feed_ratio') AS feed_ratio,
       max(value) FILTER (WHERE metric = 'feed_p') AS feed_p
FROM monitoring_daily
WHERE metric IN ('ecgs_arrived', 'feed_ratio', 'feed_p')
GROUP BY day, dimension, member;

COMMENT ON VIEW arrivals_daily IS 'ECGs a day: all, and by device, site and hour of the day.';
COMMENT ON COLUMN arrivals_daily.day IS 'Day.';
COMMENT ON COLUMN arrivals_daily.dimension IS 'device, site or hour; empty: all.';
COMMENT ON COLUMN arrivals_daily.member IS 'Value of the dimension.';
COMMENT ON COLUMN arrivals_daily.ecgs IS 'ECGs recorded there that day; empty: none.';
COMMENT ON COLUMN arrivals_daily.feed_ratio IS 'ECGs relative to the same weekday in the reference.';
COMMENT ON COLUMN arrivals_daily.feed_p IS 'Probability of at most this number by chance, 0 to 1.';
