-- One row per state of angiograms and reason.
CREATE VIEW angiogram_status WITH (security_invoker = true) AS
SELECT views.state,
       CASE WHEN views.state = 'quarantined' THEN refused.reason
            WHEN views.state = 'pending' AND views.sop_instance_uid IS NULL THEN 'not_read'
            WHEN views.study_id IS NULL THEN 'no_report'
            WHEN views.state = 'pending' THEN 'not_prepared' END AS reason,
       count(*) AS angiograms,
       count(DISTINCT views.study_id) AS studies,
       min(views.changed_at) AS oldest,
       max(views.changed_at) AS newest
FROM angiogram_views AS views
LEFT JOIN LATERAL (
    SELECT quarantine.reason
    FROM quarantine
    WHERE quarantine.object_id = views.object_id
    ORDER BY quarantine.id DESC
    LIMIT 1
) AS refused ON views.state = 'quarantined'
GROUP BY 1, 2;

COMMENT ON VIEW angiogram_status IS
    'Angiograms by state (ready, pending, quarantined) and reason; names no patient.';
COMMENT ON COLUMN angiogram_status.state IS 'ready, pending or quarantined.';
COMMENT ON COLUMN angiogram_status.reason IS
    'Quarantine reason; no_report: without a cath study; not_read, not_prepared: the next retraining does this.';
COMMENT ON COLUMN angiogram_status.angiograms IS 'Number of angiograms.';
COMMENT ON COLUMN angiogram_status.studies IS 'Number of cath studies.';
COMMENT ON COLUMN angiogram_status.oldest IS 'Oldest time of a last change.';
COMMENT ON COLUMN angiogram_status.newest IS 'Newest time of a last change.';
