-- Cath studies of a time, in an order that has nothing to do with them: their worst and their mean narrowing in
-- percent, and how many segments are narrowed.
SELECT s.max_degree, coalesce(avg(CAST(d.degree AS numeric)), 0) AS mean_degree, count(d.segment) AS narrowed
FROM cath_studies AS s
LEFT JOIN segment_stenoses AS d USING (study_id)
WHERE s.performed_at >= :start AND s.performed_at < :end
GROUP BY s.study_id
ORDER BY md5(s.study_id)
LIMIT :most
