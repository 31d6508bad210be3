-- The version of a record covers these files from now on. What was read is that version, where the header was the
-- one that is listed.
WITH read AS (
    SELECT s.object_id FROM staged_results AS s JOIN objects AS o ON o.id = s.object_id AND o.etag = s.etag
), versions AS (
    UPDATE objects AS o
    SET etag = v.etag
    FROM record_versions AS v
    WHERE v.object_id = o.id AND o.etag <> v.etag AND o.id IN (SELECT object_id FROM staged_results)
    RETURNING o.id, o.etag
)
UPDATE staged_results AS s
SET etag = versions.etag
FROM versions JOIN read ON read.object_id = versions.id
WHERE s.object_id = versions.id
