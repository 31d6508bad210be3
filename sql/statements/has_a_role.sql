-- Whether the login has a role of stence that may work with it; the owner is for migrations alone.
SELECT bool_or(pg_has_role(session_user, role, 'MEMBER'))
FROM unnest(ARRAY['stence_writer', 'stence_reader', 'stence_clinician', 'stence_approver']) AS roles (role)
