-- One row per model version: state, last decision, and contents of the manifest.
CREATE VIEW model_versions WITH (security_invoker = true) AS
SELECT models.version,
       models.state,
       CAST(models.manifest ->> 'created_at' AS timestamptz) AS trained_at,
       models.created_at AS registered_at,
       CASE WHEN models.state = 'champion' THEN last.changed_at END AS champion_since,
       CASE WHEN models.state = 'shadow' THEN last.changed_at END AS shadow_since,
       last.changed_by,
       last.changed_at,
       last.reason,
       CAST(models.manifest #>> '{metrics,stenosis_70,auroc,value}' AS double precision) AS auroc_stenosis_70,
       CASE WHEN models.manifest #>> '{gate,result}' IS DISTINCT FROM 'cannot tell'
            THEN CAST(models.manifest #>> '{gate,passed}' AS boolean) END AS gate_passed,
       coalesce(models.manifest #>> '{gate,result}', 'not judged') AS gate_result,
       EXISTS (SELECT FROM model_events WHERE model_events.version = models.version AND model_events.ungated)
           AS promoted_ungated,
       models.manifest -> 'metrics' AS metrics,
       models.manifest -> 'thresholds' AS thresholds,
       models.manifest #>> '{architecture,encoder}' AS encoder,
       models.preprocessing_version,
       models.folder,
       models.sha256
FROM models
LEFT JOIN LATERAL (
    SELECT changed_at, changed_by, reason
    FROM model_events
    WHERE model_events.version = models.version
    ORDER BY id DESC
    LIMIT 1
) AS last ON true;

COMMENT ON VIEW model_versions IS 'Model versions: state, the last decision about each, and their quality.';
COMMENT ON COLUMN model_versions.version IS 'Name of the model version.';
COMMENT ON COLUMN model_versions.state IS 'candidate, shadow, champion, retired or rejected.';
COMMENT ON COLUMN model_versions.trained_at IS 'Time of the training.';
COMMENT ON COLUMN model_versions.registered_at IS 'Time of the registration.';
COMMENT ON COLUMN model_versions.champion_since IS 'Start as champion; empty if the model is not champion.';
COMMENT ON COLUMN model_versions.shadow_since IS 'Start in shadow; empty if the model is not in shadow.';
COMMENT ON COLUMN model_versions.changed_by IS 'Author of the last change of state.';
COMMENT ON COLUMN model_versions.changed_at IS 'Time of the change.';
COMMENT ON COLUMN model_versions.reason IS 'Reason.';
COMMENT ON COLUMN model_versions.auroc_stenosis_70 IS 'AUROC for a stenosis of at least 70 %, on its test patients.';
COMMENT ON COLUMN model_versions.gate_passed IS 'True if the model passed the gate; empty if it was not evaluated or the gate cannot tell.';
COMMENT ON COLUMN model_versions.gate_result IS 'Verdict of the gate: passed, failed, cannot tell or not judged.';
COMMENT ON COLUMN model_versions.promoted_ungated IS 'True if a person made it champion without a verdict of the gate.';
COMMENT ON COLUMN model_versions.metrics IS 'Metrics on the test patients.';
COMMENT ON COLUMN model_versions.thresholds IS 'By target: the threshold and its method.';
COMMENT ON COLUMN model_versions.encoder IS 'ECG encoder.';
COMMENT ON COLUMN model_versions.preprocessing_version IS 'Version of the preprocessing.';
COMMENT ON COLUMN model_versions.folder IS 'Key of the artefact''s folder in the object store.';
COMMENT ON COLUMN model_versions.sha256 IS 'SHA-256 of the artefact''s manifest.json.';
