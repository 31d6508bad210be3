-- Wait until no transaction writes by an earlier state of the opt-out list, and keep others waiting.
SELECT pg_advisory_xact_lock(hashtext('opted_out'))
