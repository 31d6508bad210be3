-- One row per validation of a frozen model: window, sites, counts, and figures of the decisive target.
CREATE VIEW model_validations WITH (security_invoker = true) AS
SELECT validations.id AS validation_id,
       validations.model_version,
       validations.ran_at,
       validations.window_start,
       validations.window_end,
       array_to_string(validations.sites, ', ') AS sites,
       validations.ecgs,
       validations.patients,
       CAST(decisive.found ->> 'patients_with' AS bigint) AS cases,
       CAST(decisive.found ->> 'patients_without' AS bigint) AS controls,
       CAST(decisive.found #>> '{auroc,value}' AS double precision) AS auroc,
       CAST(decisive.found #>> '{auroc,lower}' AS double precision) AS auroc_lower,
       CAST(decisive.found #>> '{auroc,upper}' AS double precision) AS auroc_upper,
       CAST(decisive.found #>> '{calibration_slope,value}' AS double precision) AS calibration_slope,
       CAST(decisive.found #>> '{calibration_slope,lower}' AS double precision) AS calibration_slope_lower,
       CAST(decisive.found #>> '{calibration_slope,upper}' AS double precision) AS calibration_slope_upper,
       CAST(decisive.found #>> '{observed_to_expected,value}' AS double precision) AS observed_to_expected,
       decisive.found ->> 'cannot_tell' AS cannot_tell,
       CAST(models.manifest #>> '{metrics,stenosis_70,auroc,value}' AS double precision) AS auroc_on_card,
       validations.figures,
       validations.report_key,
       validations.files,
       validations.code_version
FROM validations
JOIN models ON models.version = validations.model_version
CROSS JOIN LATERAL (SELECT validations.figures #> '{targets,stenosis_70}' AS found) AS decisive;

COMMENT ON VIEW model_validations IS
    'Validations of frozen models on patients that they did not learn from; of cath-lab patients, not of all screened. Names no patient.';
COMMENT ON COLUMN model_validations.validation_id IS 'Number of the validation.';
COMMENT ON COLUMN model_validations.model_version IS 'Model, measured as it is: nothing of it was fitted again.';
COMMENT ON COLUMN model_validations.ran_at IS 'Time of the validation.';
COMMENT ON COLUMN model_validations.window_start IS 'Studies from here on; empty: from the first study on.';
COMMENT ON COLUMN model_validations.window_end IS 'Studies before this time; empty: up to the last study.';
COMMENT ON COLUMN model_validations.sites IS 'Only ECGs of these sites; empty: all sites.';
COMMENT ON COLUMN model_validations.ecgs IS 'ECGs in the figures.';
COMMENT ON COLUMN model_validations.patients IS 'Patients in the figures.';
COMMENT ON COLUMN model_validations.cases IS 'Patients with a stenosis of at least 70 %.';
COMMENT ON COLUMN model_validations.controls IS 'Patients with an ECG before a study without such a stenosis.';
COMMENT ON COLUMN model_validations.auroc IS 'AUROC for a stenosis of at least 70 %, per patient; empty where nothing can be said.';
COMMENT ON COLUMN model_validations.auroc_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN model_validations.auroc_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN model_validations.calibration_slope IS 'Slope of the labels on the logits; 1 is calibrated.';
COMMENT ON COLUMN model_validations.calibration_slope_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN model_validations.calibration_slope_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN model_validations.observed_to_expected IS 'Share of cases over mean predicted risk; 1 is calibrated.';
COMMENT ON COLUMN model_validations.cannot_tell IS 'Why there are no figures; empty if there are.';
COMMENT ON COLUMN model_validations.auroc_on_card IS 'AUROC on the test patients at training, for comparison.';
COMMENT ON COLUMN model_validations.figures IS 'The whole report as JSON.';
COMMENT ON COLUMN model_validations.report_key IS 'Key of the report, an HTML page, in the store.';
COMMENT ON COLUMN model_validations.files IS 'Key and SHA-256 of each file of the report.';
COMMENT ON COLUMN model_validations.code_version IS 'Version of stence.';
