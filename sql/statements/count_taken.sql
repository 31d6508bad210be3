-- How many ECGs that could be read were taken in a time.
SELECT count(*)
FROM ecgs
WHERE coalesce(acquired_at, first_read_at) >= :start AND coalesce(acquired_at, first_read_at) < :end
