-- How does each area of the monitoring stand?
SELECT area, light, critical, warnings, infos, day, figures
FROM monitoring_lights
ORDER BY place;
