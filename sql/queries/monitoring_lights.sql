-- What is the state of each area of monitoring?
SELECT area, light, critical, warnings, infos, day, figures
FROM monitoring_lights
ORDER BY place;
