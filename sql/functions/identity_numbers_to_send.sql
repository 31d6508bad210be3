-- Patient numbers for messages that wait to be sent, and of nobody else: the flows have no other way to a number.
CREATE OR REPLACE FUNCTION identity.numbers_to_send(message_ids bigint[])
RETURNS TABLE (patient_id text, number text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seen text[] := ARRAY(SELECT DISTINCT e.patient_id FROM public.flag_exports AS e
                         WHERE e.id = ANY (message_ids) AND e.sent_at IS NULL ORDER BY 1);
BEGIN
    PERFORM identity.note_read(seen, 'export of flags');
    RETURN QUERY SELECT p.patient_id, p.number FROM identity.patients AS p WHERE p.patient_id = ANY (seen);
END
$$;
REVOKE ALL ON FUNCTION identity.numbers_to_send(bigint[]) FROM PUBLIC;
COMMENT ON FUNCTION identity.numbers_to_send(bigint[]) IS
    'Patient numbers for messages that wait to be sent; the audit keeps the read.';
