-- Which ECGs and angiograms are in quarantine, and why? Newest first.
--   reason   only this reason, e.g. flat_lead
--   limit    number of rows
\if :{?reason} \else \set reason '' \endif
\if :{?limit} \else \set limit 50 \endif
SELECT id, kind, object_key, reason, lead, value, detail, entered_at
FROM quarantine_open
WHERE :'reason' IN ('', reason)
ORDER BY entered_at DESC, id
LIMIT CAST(:'limit' AS bigint);
