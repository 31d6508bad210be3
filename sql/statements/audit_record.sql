-- Add an entry to the audit.
SELECT audit.record(CAST(:action AS text), CAST(:subject AS text), CAST(:person AS text), CAST(:reason AS text),
                    CAST(:detail AS jsonb))
