-- How many angiograms are ready, waiting or in quarantine, and why? Most frequent first.
SELECT state, reason, angiograms, studies, oldest, newest
FROM angiogram_status
ORDER BY angiograms DESC, state, reason;
