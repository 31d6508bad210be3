-- Patients whom the login may see, of some pseudonyms, present or former: all for the owner, those of their sites for a
-- clinician.
CREATE OR REPLACE FUNCTION identity.visible(patient_ids text[]) RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT pg_has_role(session_user, 'stence_owner', 'MEMBER') THEN
        RETURN QUERY
        SELECT p.patient_id FROM identity.patients AS p
        LEFT JOIN public.patient_aliases AS a ON a.patient_id = p.patient_id
        WHERE p.patient_id = ANY (visible.patient_ids)
          AND EXISTS (SELECT FROM access.patients AS seen
                      WHERE seen.patient_id = coalesce(a.present_id, p.patient_id))
        ORDER BY 1;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT p.patient_id FROM identity.patients AS p WHERE p.patient_id = ANY (visible.patient_ids) ORDER BY 1;
END
$$;
REVOKE ALL ON FUNCTION identity.visible(text[]) FROM PUBLIC;
COMMENT ON FUNCTION identity.visible(text[]) IS 'Of some pseudonyms, those of patients whom the login may see.';
