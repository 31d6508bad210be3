-- The training studies nearest to a place in a model's shared space, but none of one patient.
WITH nearest AS (
    SELECT e.study_id, e.number, s.max_degree, s.intervention_at IS NOT NULL AS intervention,
           1 - (e.embedding::halfvec(256) <=> CAST(:place AS halfvec(256))) AS similarity
    FROM study_embeddings AS e
    JOIN cath_studies AS s USING (study_id)
    WHERE e.model_version = :model_version AND s.split = 'train' AND s.patient_id <> :patient_id
    ORDER BY e.embedding::halfvec(256) <=> CAST(:place AS halfvec(256))
    LIMIT :count
)
SELECT n.similarity, n.number, n.max_degree, n.intervention,
       found.segments, found.degrees, ecg.days_before, ecg.sex, ecg.age
FROM nearest AS n
LEFT JOIN LATERAL (
    SELECT array_agg(segment ORDER BY degree DESC, segment) AS segments,
           array_agg(degree ORDER BY degree DESC, segment) AS degrees
    FROM segment_stenoses WHERE study_id = n.study_id
) AS found ON true
LEFT JOIN LATERAL (
    SELECT p.days_before, e.sex, e.age
    FROM ecg_study_pairs AS p
    LEFT JOIN ecgs AS e USING (content_hash)
    WHERE p.study_id = n.study_id
    ORDER BY p.days_before, p.content_hash
    LIMIT 1
) AS ecg ON true
ORDER BY n.similarity DESC, n.number
