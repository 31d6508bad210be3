-- Flags leave the list for a cause. Only flags without a review that stand as expected: was names states, or causes of flags
-- that are withdrawn already. They are looked at again here, since the caller may have seen them before another's change.
CREATE OR REPLACE FUNCTION withdraw_flags(
    ids bigint[], was text[], cause text, person text, reason text, decision bigint DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    PERFORM audit.act_for(person, reason);
    UPDATE flags AS f
    SET state = 'withdrawn', withdrawn_for = cause, withdrawal_id = decision, reviewed_by = person,
        reviewed_at = now(), note = reason
    WHERE f.id = ANY (ids) AND coalesce(f.withdrawn_for, f.state) = ANY (was)
      AND f.state IN ('open', 'withdrawn');
    GET DIAGNOSTICS changed = ROW_COUNT;
    PERFORM audit.end_act();
    RETURN changed;
END
$$;
REVOKE ALL ON FUNCTION withdraw_flags(bigint[], text[], text, text, text, bigint) FROM PUBLIC;
COMMENT ON FUNCTION withdraw_flags(bigint[], text[], text, text, text, bigint) IS
    'Withdraw flags without a review, and write the audit. Returns their number.';
