-- A model is champion again: what was withdrawn because it retired is open again. Flags of an ECG that was reviewed
-- since they were raised follow its newest review, as they would have without the withdrawal.
UPDATE flags AS f
SET state = coalesce(back.outcome, 'open'), reviewed_by = back.reviewed_by, reviewed_at = back.reviewed_at,
    note = back.note, withdrawn_for = NULL
FROM (
    SELECT withdrawn.id, review.outcome, review.reviewed_by, review.reviewed_at, review.note
    FROM flags AS withdrawn
    JOIN ecgs USING (content_hash)
    LEFT JOIN LATERAL (
        SELECT r.outcome, r.reviewed_by, r.reviewed_at, r.note
        FROM reviews AS r
        WHERE r.ecg_id = ecgs.id AND r.reviewed_at >= withdrawn.raised_at
        ORDER BY r.id DESC
        LIMIT 1
    ) AS review ON true
    WHERE withdrawn.model_version = :model_version AND withdrawn.withdrawn_for = 'model_retired'
) AS back
WHERE f.id = back.id
