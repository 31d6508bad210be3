-- Flags follow their ECGs, those of every model and in every state.
SELECT move_flags(array_agg(f.id), 'stence', 'the numbers of a patient were merged or separated')
FROM flags AS f
JOIN ecgs AS e USING (content_hash)
JOIN objects AS o ON o.id = e.object_id
JOIN changed_patients AS c ON c.patient_id = o.patient_id
WHERE f.patient_id <> e.patient_id
HAVING count(*) > 0
