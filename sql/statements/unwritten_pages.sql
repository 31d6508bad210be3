-- ECGs with an open flag of a model for the target that have no page, highest probability first.
SELECT ecgs.id
FROM flags
JOIN ecgs USING (content_hash)
LEFT JOIN ecg_pages AS pages ON pages.content_hash = flags.content_hash AND pages.model_version = flags.model_version
WHERE flags.state = 'open' AND flags.model_version = :model_version AND flags.target = :target
  AND pages.content_hash IS NULL
ORDER BY flags.probability DESC, flags.id
