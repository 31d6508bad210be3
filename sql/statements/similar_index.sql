-- pgvector and the index of the nearest studies (HNSW), made where they are missing with the owner's rights.
SELECT index_similar_studies()
