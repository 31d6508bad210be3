-- Keep which number each staged row's pseudonym stands for; in parts, because a manifest may be long.
SELECT identity.remember(array_agg(patient_id), array_agg(number))
FROM (SELECT DISTINCT patient_id, number FROM staged_manifest_rows WHERE number IS NOT NULL) AS named
GROUP BY left(patient_id, 2)
