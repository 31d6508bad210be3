-- One process at a time takes up manifests and merges: each makes the tables equal to what it has read.
LOCK TABLE manifest_records IN SHARE ROW EXCLUSIVE MODE
