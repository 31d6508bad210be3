-- Studies that the reports no longer hold, or only with a fault, are none. Their angiograms wait again. Those of
-- reports that could not be fetched stay: what they say now is not known.
DELETE FROM cath_studies AS c
WHERE NOT EXISTS (SELECT FROM staged_studies AS s WHERE s.study_id = c.study_id)
  AND c.report_key <> ALL (CAST(:kept AS text[]))
