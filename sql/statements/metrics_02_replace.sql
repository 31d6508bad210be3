-- Drop what was measured of this window before: of no model, or of the models that are measured now.
DELETE FROM monitoring_metrics
WHERE run_id IS NULL
  AND window_start = :window_start AND window_end = :window_end
  AND (model_version IS NULL OR model_version = ANY(CAST(:versions AS text[])))
  AND (CAST(:names AS text[]) IS NULL OR name = ANY(CAST(:names AS text[])))
