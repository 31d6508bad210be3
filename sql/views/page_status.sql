-- One row per flagged ECG and model: its page in the store, and whether the deletion test held.
CREATE VIEW page_status WITH (security_invoker = true) AS
SELECT ecgs.id AS ecg_id,
       pages.model_version,
       pages.object_key,
       pages.written_at,
       pages.marked_drop,
       (SELECT max(dropped) FROM unnest(pages.random_drops) AS dropped) AS largest_random_drop,
       pages.marked_drop > (SELECT max(dropped) FROM unnest(pages.random_drops) AS dropped) AS shows_marks
FROM ecg_pages AS pages
JOIN ecgs ON ecgs.content_hash = pages.content_hash;

COMMENT ON VIEW page_status IS
    'Pages of flagged ECGs in the store, with their deletion tests. No patient is in it.';
COMMENT ON COLUMN page_status.ecg_id IS 'Number of the ECG.';
COMMENT ON COLUMN page_status.model_version IS 'Model that flagged the ECG.';
COMMENT ON COLUMN page_status.object_key IS 'Key of the page in the object store.';
COMMENT ON COLUMN page_status.written_at IS 'Time of the writing.';
COMMENT ON COLUMN page_status.marked_drop IS
    'Drop of the log-odds without the parts that the model looked at; empty where there was nothing to mark.';
COMMENT ON COLUMN page_status.largest_random_drop IS 'Largest drop without random parts of equal size.';
COMMENT ON COLUMN page_status.shows_marks IS 'True if the marks moved the score more than every random choice.';
