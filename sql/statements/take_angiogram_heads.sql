-- Take up the staged headers, of angiograms that have not changed since they were listed.
UPDATE angiogram_views AS v
SET sop_instance_uid = s.sop_instance_uid, study_instance_uid = s.study_instance_uid,
    accession_number = s.accession_number, dicom_study_id = s.dicom_study_id, patient_id = s.patient_id,
    acquired_at = s.acquired_at, local_timezone = s.local_timezone, primary_angle = s.primary_angle, secondary_angle = s.secondary_angle,
    frames = s.frames, changed_at = now()
FROM staged_angiogram_heads AS s
WHERE v.object_id = s.object_id AND v.etag = s.etag AND v.state = 'pending'
