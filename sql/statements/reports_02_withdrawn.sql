-- Studies that the reports no longer hold, or only with a fault, are none. Their angiograms wait again. Those of
-- reports or folders that could not be read stay: what they say now is not known.
DELETE FROM cath_studies AS c
WHERE NOT EXISTS (SELECT FROM staged_studies AS s WHERE s.study_id = c.study_id)
  AND NOT EXISTS (SELECT FROM unnest(CAST(:kept AS text[])) AS k (prefix) WHERE starts_with(c.report_key, k.prefix))
