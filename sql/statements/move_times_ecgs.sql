-- Times of ECGs that were read in another time zone: the same reading of the clock, in this one.
UPDATE ecgs
SET acquired_at = (acquired_at AT TIME ZONE local_timezone) AT TIME ZONE :zone, local_timezone = :zone
WHERE local_timezone <> :zone
