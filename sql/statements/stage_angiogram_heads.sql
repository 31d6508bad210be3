-- What headers say, on its way into angiogram_views.
CREATE TEMP TABLE IF NOT EXISTS staged_angiogram_heads (
    object_id bigint, etag text, sop_instance_uid text, study_instance_uid text, accession_number text,
    dicom_study_id text, patient_id text, number text, acquired_at timestamptz, local_timezone text, primary_angle double precision,
    secondary_angle double precision, frames integer
) ON COMMIT DELETE ROWS
