-- Content hashes of a patient's ECGs, and numbers of the patient's angiograms, by which caches hold them.
SELECT ARRAY(SELECT encode(content_hash, 'hex') FROM ecgs WHERE patient_id = ANY (:patient_ids)
             UNION
             SELECT encode(content_hash, 'hex') FROM ecg_study_pairs WHERE patient_id = ANY (:patient_ids)) AS hashes,
       ARRAY(SELECT object_id FROM angiogram_views WHERE patient_id = ANY (:patient_ids)) AS angiograms
