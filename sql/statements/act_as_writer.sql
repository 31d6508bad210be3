-- Act as the flows do in this session, if the login may; people with other roles keep their own.
SELECT set_config('role', 'stence_writer', false) WHERE pg_has_role(session_user, 'stence_writer', 'MEMBER')
