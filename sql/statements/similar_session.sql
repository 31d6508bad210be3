-- For this transaction: look on in the index until enough studies pass the conditions (pgvector 0.8).
SELECT set_config('hnsw.iterative_scan', 'strict_order', true), set_config('hnsw.ef_search', '100', true)
