-- ECGs with an open flag of a model for the target that have no page, highest probability first. A flag that was raised
-- before pages are kept gets no other one.
SELECT ecgs.id
FROM flags
JOIN ecgs USING (content_hash)
LEFT JOIN ecg_pages AS pages ON pages.content_hash = flags.content_hash AND pages.model_version = flags.model_version
WHERE flags.state = 'open' AND flags.model_version = :model_version AND flags.target = :target
  AND pages.content_hash IS NULL
  AND (CAST(:kept_from AS timestamptz) IS NULL OR flags.raised_at >= :kept_from)
ORDER BY flags.probability DESC, flags.id
