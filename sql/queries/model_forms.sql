-- In which numeric forms may a model score, and in which does it? The last measurement first.
--   limit    number of rows
\if :{?limit} \else \set limit 50 \endif
SELECT decided_at, model_version, device, form, chosen, refused,
       CAST(figures ->> 'speed' AS double precision) AS speed,
       (SELECT max(CAST(value AS double precision)) FROM jsonb_each_text(figures -> 'largest')) AS largest_change,
       (SELECT min(CAST(value AS double precision)) FROM jsonb_each_text(figures -> 'rank')) AS rank_correlation,
       CAST(figures ->> 'flags' AS bigint) AS changed_flags,
       CAST(figures ->> 'ecgs' AS bigint) AS ecgs,
       library, hardware, decided_by, reason
FROM model_forms
ORDER BY id DESC
LIMIT CAST(:'limit' AS bigint);
