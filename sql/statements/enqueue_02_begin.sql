-- The highest change number of all files. A model without a worklist begins there: what is older follows from there
-- downwards.
WITH listed AS (
    SELECT coalesce(max(change_number), 0) AS newest FROM objects WHERE kind = 'ecg'
), begun AS (
    INSERT INTO worklist_marks (model_version, newest, oldest)
    SELECT :model_version, newest, newest + 1 FROM listed
    ON CONFLICT (model_version) DO NOTHING
)
SELECT newest FROM listed
