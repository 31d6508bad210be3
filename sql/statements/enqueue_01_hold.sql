-- Wait until no transaction can still list a file under a lower change number than those that can be seen.
SELECT pg_advisory_xact_lock(hashtext('object_changes'))
