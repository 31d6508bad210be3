-- Withdrawn flags come back, those of the causes in was. A flag that waited for its model follows the newest review of its
-- ECG since it was raised, as it would have without the withdrawal; any other is open.
CREATE OR REPLACE FUNCTION reopen_flags(ids bigint[], was text[], person text, reason text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    PERFORM audit.act_for(person, reason);
    UPDATE flags AS f
    SET state = coalesce(back.outcome, 'open'), withdrawn_for = NULL, withdrawal_id = NULL,
        reviewed_by = back.reviewed_by, reviewed_at = back.reviewed_at, note = back.note
    FROM (
        SELECT withdrawn.id, review.outcome, review.reviewed_by, review.reviewed_at, review.note
        FROM flags AS withdrawn
        JOIN ecgs USING (content_hash)
        LEFT JOIN LATERAL (
            SELECT r.outcome, r.reviewed_by, r.reviewed_at, r.note
            FROM reviews AS r
            WHERE r.ecg_id = ecgs.id AND r.reviewed_at >= withdrawn.raised_at
            ORDER BY r.id DESC
            LIMIT 1
        ) AS review ON withdrawn.withdrawn_for = 'model_retired'
        WHERE withdrawn.id = ANY (ids)
    ) AS back
    WHERE f.id = back.id AND f.state = 'withdrawn' AND coalesce(f.withdrawn_for, f.state) = ANY (was);
    GET DIAGNOSTICS changed = ROW_COUNT;
    PERFORM audit.end_act();
    RETURN changed;
END
$$;
REVOKE ALL ON FUNCTION reopen_flags(bigint[], text[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION reopen_flags(bigint[], text[], text, text) IS
    'Bring withdrawn flags back, and write the audit. Returns their number.';
