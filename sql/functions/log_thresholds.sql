-- Thresholds of a registered model: its manifest never changes by stence, so that a change is somebody's.
CREATE OR REPLACE FUNCTION audit.log_thresholds() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM audit.log('model.thresholds', format('models %s', NEW.version), jsonb_build_object(
        'from', OLD.manifest -> 'thresholds', 'to', NEW.manifest -> 'thresholds',
        'decisive', NEW.manifest -> 'decisive'));
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION audit.log_thresholds() FROM PUBLIC;
COMMENT ON FUNCTION audit.log_thresholds() IS 'Writes the audit of a model whose manifest changes.';

CREATE OR REPLACE TRIGGER models_log_thresholds AFTER UPDATE OF manifest ON models
    FOR EACH ROW WHEN (OLD.manifest <> NEW.manifest) EXECUTE FUNCTION audit.log_thresholds();
