-- Whether other scorers hold ECGs of a portion of a model's worklist; see claim.sql.
SELECT EXISTS (
    SELECT FROM worklist AS w
    WHERE model_version = :model_version AND state = 'leased' AND run_id <> :run_id
      AND (CAST(:portion AS text) = 'all' OR (:portion = 'new') = (
          SELECT o.changed_at >= m.created_at
          FROM objects AS o, models AS m
          WHERE o.id = w.object_id AND m.version = w.model_version
      ))
)
