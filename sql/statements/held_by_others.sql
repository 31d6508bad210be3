-- Whether other scorers hold ECGs of a portion of a model's worklist; see claim.sql.
SELECT EXISTS (
    SELECT FROM worklist
    WHERE model_version = :model_version AND state = 'leased' AND run_id <> :run_id
      AND archive BETWEEN (CAST(:portion AS text) = 'archive') AND (CAST(:portion AS text) <> 'new')
)
