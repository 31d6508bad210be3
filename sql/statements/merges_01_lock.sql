-- One process at a time changes which numbers are one patient's.
LOCK TABLE patient_merges IN SHARE ROW EXCLUSIVE MODE
