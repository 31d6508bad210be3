-- What the last listing passed over, by extension or name: these counts in place of those before.
WITH gone AS (
    DELETE FROM ignored_objects WHERE kind <> ALL (CAST(:kinds AS text[]))
)
INSERT INTO ignored_objects AS i (kind, files)
SELECT kind, files FROM unnest(CAST(:kinds AS text[]), CAST(:files AS bigint[])) AS listed (kind, files)
ON CONFLICT (kind) DO UPDATE SET files = EXCLUDED.files, listed_at = now()
