-- A patient's angiograms with features in the store.
SELECT DISTINCT f.backbone, v.sop_instance_uid, f.etag
FROM angiogram_features AS f JOIN angiogram_views AS v USING (object_id)
WHERE v.patient_id = ANY (:patient_ids) AND v.sop_instance_uid IS NOT NULL
ORDER BY f.backbone, v.sop_instance_uid, f.etag
