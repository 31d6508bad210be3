-- Rank of a probability among the ECGs that were recorded from one time to another, and their number.
SELECT count(*) FILTER (WHERE probability > :probability) + 1 AS rank, count(*) AS ecgs
FROM valid_scores
WHERE model_version = :model_version AND ecg_at >= :start AND ecg_at < :end
