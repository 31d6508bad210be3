-- The lowest change number from which on files are on a model's worklist; 0: all are.
SELECT oldest FROM worklist_marks WHERE model_version = :model_version
