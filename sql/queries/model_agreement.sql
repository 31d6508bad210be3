-- How many ECGs do other models flag, compared with the champion? At least 70 %, ECGs scored by both models.
WITH judged AS (
    SELECT models.version, models.state, scores.content_hash, scores.stenosis_70 AS risk,
           scores.stenosis_70 >= CAST(models.manifest #>> '{thresholds,stenosis_70,value}' AS double precision)
               AS flagged
    FROM models
    JOIN scores ON scores.model_version = models.version
               AND scores.preprocessing_version = models.preprocessing_version
)
SELECT other.version, other.state, count(*) AS ecgs,
       count(*) FILTER (WHERE other.flagged) AS flagged,
       count(*) FILTER (WHERE champion.flagged) AS flagged_by_champion,
       count(*) FILTER (WHERE other.flagged AND champion.flagged) AS flagged_by_both,
       round(CAST(corr(other.risk, champion.risk) AS numeric), 3) AS correlation
FROM judged AS other
JOIN judged AS champion ON champion.content_hash = other.content_hash AND champion.state = 'champion'
WHERE other.state <> 'champion'
GROUP BY other.version, other.state
ORDER BY other.version;
