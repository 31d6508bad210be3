-- Index of the nearest studies (pgvector, HNSW): made as soon as the extension is there.
CREATE INDEX IF NOT EXISTS study_embeddings_nearest_idx ON study_embeddings
    USING hnsw ((embedding::halfvec(256)) halfvec_cosine_ops)
