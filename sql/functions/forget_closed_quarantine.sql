-- Retention removes rows of quarantine that are closed; the role that works has no right to delete any.
CREATE OR REPLACE FUNCTION forget_closed_quarantine(before timestamptz, at_most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    gone bigint;
BEGIN
    DELETE FROM quarantine
    WHERE id IN (SELECT id FROM quarantine
                 WHERE state IN ('resolved', 'retried') AND closed_at < before ORDER BY id LIMIT at_most);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;
REVOKE ALL ON FUNCTION forget_closed_quarantine(timestamptz, bigint) FROM PUBLIC;
COMMENT ON FUNCTION forget_closed_quarantine(timestamptz, bigint) IS
    'Remove rows of quarantine that were closed before a time. Returns their number.';
