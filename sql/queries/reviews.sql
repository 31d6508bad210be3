-- Which verdicts did reviewers give on flagged ECGs? All reviews, including overruled reviews, newest first.
--   ecg      only reviews of the ECG with this ecg_id
--   limit    number of reviews
\if :{?ecg} \else \set ecg '' \endif
\if :{?limit} \else \set limit 50 \endif
SELECT reviews.id AS review_id, reviews.reviewed_at, reviews.ecg_id, reviews.outcome, reviews.reviewed_by,
       reviews.note, ecgs.patient_id, ecgs.acquired_at,
       ARRAY(SELECT DISTINCT flags.target
             FROM flags
             WHERE flags.content_hash = ecgs.content_hash AND flags.state <> 'withdrawn'
             ORDER BY flags.target) AS targets
FROM reviews
JOIN ecgs ON ecgs.id = reviews.ecg_id
WHERE :'ecg' = '' OR reviews.ecg_id = CAST(nullif(:'ecg', '') AS bigint)
ORDER BY reviews.id DESC
LIMIT CAST(:'limit' AS bigint);
