-- Give known files of the staged listing their present versions, in the worklist and in quarantine too: they are copies.
WITH copies AS MATERIALIZED (
    SELECT o.id, o.etag AS former, o.etag = o.listed_etag AS is_alone, s.listed_etag
    FROM objects AS o
    JOIN staged_objects AS s ON s.key = o.key AND s.size_bytes = o.size_bytes
    WHERE o.listed_etag <> s.listed_etag
), files AS (
    UPDATE objects AS o
    SET listed_etag = c.listed_etag, etag = CASE WHEN c.is_alone THEN c.listed_etag ELSE o.etag END
    FROM copies AS c
    WHERE o.id = c.id
), work AS (
    UPDATE worklist AS w SET etag = c.listed_etag
    FROM copies AS c
    WHERE w.object_id = c.id AND w.etag = c.former AND c.is_alone
), refused AS (
    UPDATE quarantine AS q SET etag = c.listed_etag
    FROM copies AS c
    WHERE q.object_id = c.id AND q.etag = c.former AND c.is_alone
)
SELECT count(*) FROM copies
