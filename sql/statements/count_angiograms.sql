-- Where every angiogram is.
SELECT count(*) FILTER (WHERE state = 'ready') AS ready,
       count(*) FILTER (WHERE state = 'pending' AND study_id IS NOT NULL) AS to_prepare,
       count(*) FILTER (WHERE state = 'pending' AND study_id IS NULL) AS without_study,
       count(*) FILTER (WHERE state = 'quarantined') AS quarantined
FROM angiogram_views
