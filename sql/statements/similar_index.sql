-- Index of the nearest studies (pgvector, HNSW), made where it is missing with the owner's rights.
SELECT index_similar_studies()
