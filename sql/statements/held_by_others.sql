-- Whether other scorers hold ECGs of a model's worklist.
SELECT EXISTS (
    SELECT FROM worklist
    WHERE model_version = :model_version AND state = 'leased' AND run_id <> :run_id
)
