-- Put the staged angiograms into quarantine, unless their content has changed since.
WITH refused AS (
    UPDATE angiogram_views AS v
    SET state = 'quarantined', study_id = NULL, changed_at = now()
    FROM staged_refused_angiograms AS s
    WHERE v.object_id = s.object_id AND v.etag = s.etag AND v.state <> 'quarantined'
    RETURNING v.object_id, v.etag, s.reason, s.detail
)
INSERT INTO quarantine AS q (object_id, etag, reason, detail, state)
SELECT object_id, etag, reason, detail, 'open' FROM refused ORDER BY object_id
ON CONFLICT (object_id) WHERE state = 'open' DO UPDATE
    SET etag = EXCLUDED.etag, reason = EXCLUDED.reason, detail = EXCLUDED.detail, entered_at = now()
