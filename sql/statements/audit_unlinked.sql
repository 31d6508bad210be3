-- The first entry of the audit without a link; a transaction adds both.
SELECT min(id) FROM audit.entries AS e WHERE NOT EXISTS (SELECT FROM audit.links AS l WHERE l.entry_id = e.id)
