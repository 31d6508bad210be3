-- Keep which number each pseudonym stands for. Writers add to the map, and cannot read it.
CREATE OR REPLACE FUNCTION identity.remember(patient_ids text[], numbers text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Sorted, so that two writers with the same new patients wait for each other in one order.
    INSERT INTO identity.patients (patient_id, number)
    SELECT DISTINCT new.patient_id, new.number
    FROM unnest(remember.patient_ids, remember.numbers) AS new (patient_id, number)
    WHERE NOT EXISTS (SELECT FROM identity.patients AS old WHERE old.patient_id = new.patient_id)
    ORDER BY 1
    ON CONFLICT DO NOTHING;
    IF EXISTS (SELECT FROM unnest(remember.patient_ids, remember.numbers) AS new (patient_id, number)
               JOIN identity.patients AS old ON old.number = new.number
               WHERE old.patient_id <> new.patient_id) THEN
        RAISE EXCEPTION 'a patient has a pseudonym by another key already';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION identity.remember(text[], text[]) FROM PUBLIC;
COMMENT ON FUNCTION identity.remember(text[], text[]) IS 'Keep which number each pseudonym stands for.';
