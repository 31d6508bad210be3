-- One transaction at a time sends to a receiver. It is idle while it does, and must not be ended for that.
SELECT set_config('idle_in_transaction_session_timeout', '0', true), pg_advisory_xact_lock(:lock)
