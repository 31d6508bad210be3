-- What a model and another say of the same ECGs of a time, at most so many, by content hash; age and sex last.
SELECT ours.stenosis_50, ours.stenosis_70, ours.stenosis_90, ours.stenosis_100, ours.rca_70, ours.lca_70,
       theirs.stenosis_50, theirs.stenosis_70, theirs.stenosis_90, theirs.stenosis_100, theirs.rca_70, theirs.lca_70,
       e.age, e.sex
FROM ecgs AS e
JOIN scores AS ours ON ours.content_hash = e.content_hash AND ours.model_version = :model_version
                   AND ours.preprocessing_version = :preprocessing_version
JOIN models AS other ON other.version = :other
JOIN scores AS theirs ON theirs.content_hash = e.content_hash AND theirs.model_version = other.version
                     AND theirs.preprocessing_version = other.preprocessing_version
WHERE coalesce(e.acquired_at, e.first_read_at) >= :start AND coalesce(e.acquired_at, e.first_read_at) < :end
ORDER BY e.content_hash
LIMIT :most
