-- An angiogram is ready, unless its content has changed since.
WITH ready AS (
    UPDATE angiogram_views SET state = 'ready', key_frame = :key_frame
    WHERE object_id = :object_id AND etag = :etag AND state <> 'quarantined'
    RETURNING object_id, etag
)
INSERT INTO angiogram_features AS f (object_id, backbone, etag, versions, frames)
SELECT object_id, :backbone, etag, :versions, :frames FROM ready
ON CONFLICT (object_id, backbone) DO UPDATE
    SET etag = EXCLUDED.etag, versions = EXCLUDED.versions, frames = EXCLUDED.frames, computed_at = now()
