-- One process at a time takes up reports: each makes the tables equal to what it has read.
LOCK TABLE cath_studies IN SHARE ROW EXCLUSIVE MODE
