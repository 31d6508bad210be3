-- As whom the session acts, its login, and why the login may do more than the flows need; NULL: it may not.
SELECT current_user, session_user,
       CASE WHEN rolsuper THEN 'a superuser'
            WHEN pg_has_role(session_user, 'stence_owner', 'MEMBER') THEN 'a member of stence_owner' END
FROM pg_roles
WHERE rolname = session_user
