-- One row per record whose header needs signal files of other names. The version covers all files.
CREATE VIEW record_versions WITH (security_invoker = true) AS
SELECT parts.object_id,
       encode(sha256(convert_to(
           max(headers.listed_etag) || E'\n'
           || string_agg(parts.key || E'\t' || coalesce(files.listed_etag, '-'), E'\n' ORDER BY parts.key COLLATE "C"),
           'UTF8')), 'hex') AS etag
FROM record_parts AS parts
JOIN objects AS headers ON headers.id = parts.object_id
LEFT JOIN objects AS files ON files.key = parts.key
GROUP BY parts.object_id;

COMMENT ON VIEW record_versions IS
    'Versions of records with signal files whose names differ from the header''s name.';
COMMENT ON COLUMN record_versions.object_id IS 'The header.';
COMMENT ON COLUMN record_versions.etag IS 'Version of the header, the files of its name and those of other names.';
