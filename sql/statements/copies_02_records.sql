-- The same for records whose header needs files of other names, once all their files have their present versions.
WITH copies AS MATERIALIZED (
    SELECT o.id, o.etag AS former, v.etag
    FROM record_versions AS v
    JOIN objects AS o ON o.id = v.object_id
    WHERE o.etag <> v.etag
), records AS (
    UPDATE objects AS o SET etag = c.etag FROM copies AS c WHERE o.id = c.id
), work AS (
    UPDATE worklist AS w SET etag = c.etag FROM copies AS c WHERE w.object_id = c.id AND w.etag = c.former
)
UPDATE quarantine AS q SET etag = c.etag FROM copies AS c WHERE q.object_id = c.id AND q.etag = c.former
