-- One row per area of monitoring, with its state.
CREATE VIEW monitoring_lights WITH (security_invoker = true) AS
SELECT areas.place,
       areas.area,
       CASE WHEN alerted.critical > 0 THEN 'act'
            WHEN alerted.warnings > 0 THEN 'look'
            WHEN measured.day IS NULL THEN 'not measured'
            ELSE 'quiet' END AS light,
       coalesce(alerted.critical, 0) AS critical,
       coalesce(alerted.warnings, 0) AS warnings,
       coalesce(alerted.infos, 0) AS infos,
       measured.day,
       coalesce(measured.figures, 0) AS figures
FROM (
    VALUES (1, 'operations'),
           (2, 'inputs'),
           (3, 'embeddings'),
           (4, 'scores'),
           (5, 'workload'),
           (6, 'reports'),
           (7, 'outcomes')
) AS areas (place, area)
LEFT JOIN (
    SELECT area,
           count(*) FILTER (WHERE severity = 'critical') AS critical,
           count(*) FILTER (WHERE severity = 'warning') AS warnings,
           count(*) FILTER (WHERE severity = 'info') AS infos
    FROM alerts_open
    GROUP BY area
) AS alerted ON alerted.area = areas.area
LEFT JOIN (
    SELECT DISTINCT ON (area) area, day, count(*) AS figures
    FROM monitoring_daily
    GROUP BY area, day
    ORDER BY area, day DESC
) AS measured ON measured.area = areas.area;

COMMENT ON VIEW monitoring_lights IS 'Areas of monitoring with their state: quiet, look, act, or not measured.';
COMMENT ON COLUMN monitoring_lights.place IS 'Position in the list.';
COMMENT ON COLUMN monitoring_lights.area IS
    'Operations, inputs, embeddings, scores, workload, reports (cath) or outcomes.';
COMMENT ON COLUMN monitoring_lights.light IS
    'act: a critical alert is open; look: a warning is open; quiet: neither is open; not measured: no metrics.';
COMMENT ON COLUMN monitoring_lights.critical IS 'Critical alerts that are not resolved.';
COMMENT ON COLUMN monitoring_lights.warnings IS 'Warnings that are not resolved.';
COMMENT ON COLUMN monitoring_lights.infos IS 'Remarks that are not resolved.';
COMMENT ON COLUMN monitoring_lights.day IS 'Newest day with metrics.';
COMMENT ON COLUMN monitoring_lights.figures IS 'Number of metrics of that day.';
