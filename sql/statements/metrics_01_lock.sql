-- One monitor at a time writes: each makes a window's figures and the alerts equal to what it has measured.
LOCK TABLE monitoring_metrics IN SHARE ROW EXCLUSIVE MODE
