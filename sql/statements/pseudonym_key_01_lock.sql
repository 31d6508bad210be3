-- One process at a time decides which key of pseudonyms this database has.
SELECT pg_advisory_xact_lock(:lock)
