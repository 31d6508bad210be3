-- Nobody opts out until this transaction ends: what it writes of a patient is there to be forgotten afterwards.
SELECT pg_advisory_xact_lock_shared(hashtext('opted_out'))
