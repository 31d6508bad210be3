-- Who was snoozed, by whom and why? All snoozes, newest first.
--   limit    number of snoozes
\if :{?limit} \else \set limit 50 \endif
SELECT snoozes.id AS snooze_id, snoozes.snoozed_at, snoozes.ecg_id, ecgs.patient_id, snoozes.until,
       snoozes.snoozed_by, snoozes.reason
FROM snoozes
JOIN ecgs ON ecgs.id = snoozes.ecg_id
ORDER BY snoozes.id DESC
LIMIT CAST(:'limit' AS bigint);
