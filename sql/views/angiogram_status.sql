-- One row for each state that angiograms are in, and the reason for it.
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

COMMENT ON VIEW angiogram_status IS 'Where every angiogram is: ready, pending or in quarantine, and why; no patient in it.';
COMMENT ON COLUMN angiogram_status.state IS 'ready, pending or quarantined.';
COMMENT ON COLUMN angiogram_status.reason IS
    'Quarantine reason; no_report: no cath study of it is known; not_read, not_prepared: its turn comes.';
COMMENT ON COLUMN angiogram_status.angiograms IS 'How many.';
COMMENT ON COLUMN angiogram_status.studies IS 'Of how many cath studies.';
COMMENT ON COLUMN angiogram_status.oldest IS 'When the first of them was last changed.';
COMMENT ON COLUMN angiogram_status.newest IS 'When the last of them was last changed.';
