-- Patient numbers for messages that wait to be sent, and of nobody else: the flows have no other way to a number. A message
-- is about the patient of its flag, which the flows cannot change: they cannot write themselves a message about anybody.
CREATE OR REPLACE FUNCTION identity.numbers_to_send(message_ids bigint[])
RETURNS TABLE (patient_id text, number text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seen text[] := ARRAY(SELECT DISTINCT e.patient_id
                         FROM public.flag_exports AS e
                         JOIN public.flags AS f ON f.id = e.flag_id AND f.patient_id = e.patient_id
                         WHERE e.id = ANY (message_ids) AND e.sent_at IS NULL ORDER BY 1);
BEGIN
    PERFORM identity.note_read(seen, 'export of flags');
    RETURN QUERY SELECT p.patient_id, p.number FROM identity.patients AS p WHERE p.patient_id = ANY (seen);
END
$$;
REVOKE ALL ON FUNCTION identity.numbers_to_send(bigint[]) FROM PUBLIC;
COMMENT ON FUNCTION identity.numbers_to_send(bigint[]) IS
    'Patient numbers for messages that wait to be sent; the audit keeps the read.';
