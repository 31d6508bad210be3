"""Requests and approvals of promotions, by two people where the settings say so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

# SECURITY DEFINER: session_user is the login that Postgres checked, whatever role the session has taken.
FUNCTIONS = """
CREATE TRIGGER promotion_requests_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON promotion_requests
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE ALL ON promotion_requests FROM PUBLIC;

CREATE FUNCTION note_promotion(version text, event text, person text, reason text)
RETURNS void LANGUAGE sql SET search_path = public, pg_temp AS $$
    INSERT INTO promotion_requests (version, event, person, login, reason)
    VALUES (note_promotion.version, note_promotion.event, btrim(note_promotion.person), session_user,
            note_promotion.reason);
    SELECT audit.record('promotion ' || note_promotion.event, note_promotion.version,
                        btrim(note_promotion.person), note_promotion.reason);
$$;
COMMENT ON FUNCTION note_promotion(text, text, text, text) IS
    'Adds an event of a request; for the functions of requests alone.';
CREATE FUNCTION last_promotion_event(version text) RETURNS promotion_requests
LANGUAGE sql SET search_path = public, pg_temp AS $$
    SELECT * FROM promotion_requests AS p
    WHERE p.version = last_promotion_event.version ORDER BY id DESC LIMIT 1
$$;
COMMENT ON FUNCTION last_promotion_event(text) IS
    'The last event of a model''s requests; for the functions of requests alone.';

CREATE FUNCTION request_promotion(version text, person text, reason text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    LOCK TABLE promotion_requests IN SHARE ROW EXCLUSIVE MODE;
    IF coalesce(btrim(person), '') = '' OR coalesce(btrim(reason), '') = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'A request says who requests, and why.';
    END IF;
    IF (last_promotion_event(version)).event IN ('requested', 'approved') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'This promotion is requested already; stence models requests shows by whom.';
    END IF;
    PERFORM note_promotion(version, 'requested', person, reason);
END
$$;
COMMENT ON FUNCTION request_promotion(text, text, text) IS 'Request the promotion of a model.';

CREATE FUNCTION answer_promotion(version text, approve boolean, person text, reason text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    request promotion_requests;
BEGIN
    LOCK TABLE promotion_requests IN SHARE ROW EXCLUSIVE MODE;
    request = last_promotion_event(version);
    IF request.event IS DISTINCT FROM 'requested' THEN
        RAISE no_data_found USING
            MESSAGE = 'No request waits for an answer: stence models request comes first.';
    END IF;
    IF coalesce(btrim(person), '') = '' OR coalesce(btrim(reason), '') = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'An answer says who answers, and why.';
    END IF;
    IF approve AND lower(btrim(person)) IN (lower(request.person), 'stence') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'Another person than the one who requested the promotion must approve it.';
    END IF;
    IF approve AND request.person <> 'stence' AND request.login = session_user THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'The request came from the same login of Postgres, %s: approve it with your own login in '
            'STENCE_DATABASE_URL.', session_user);
    END IF;
    PERFORM note_promotion(version, CASE WHEN approve THEN 'approved' ELSE 'refused' END, person, reason);
END
$$;
COMMENT ON FUNCTION answer_promotion(text, boolean, text, text) IS
    'Approve or refuse a requested promotion; who requested it, by name or login, cannot approve it.';

CREATE FUNCTION use_approval(version text, person text, reason text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    LOCK TABLE promotion_requests IN SHARE ROW EXCLUSIVE MODE;
    IF (last_promotion_event(version)).event IS DISTINCT FROM 'approved' THEN
        RAISE no_data_found USING MESSAGE =
            'This promotion needs a second person: stence models request, then stence models approve.';
    END IF;
    PERFORM note_promotion(version, 'promoted', person, reason);
END
$$;
COMMENT ON FUNCTION use_approval(text, text, text) IS 'Use the approval of a promotion; it holds once.';
REVOKE ALL ON FUNCTION note_promotion(text, text, text, text), last_promotion_event(text),
    request_promotion(text, text, text), answer_promotion(text, boolean, text, text),
    use_approval(text, text, text) FROM PUBLIC;
"""


def upgrade() -> None:
    op.create_table(
        "promotion_requests",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order of the events."
        ),
        sa.Column("version", sa.Text(), nullable=False, comment="Model version."),
        sa.Column(
            "event", sa.Text(), nullable=False, comment="requested, then approved or refused, then promoted."
        ),
        sa.Column("person", sa.Text(), nullable=False, comment="Name of the person, or stence."),
        sa.Column("login", sa.Text(), nullable=False, comment="Login that Postgres checked."),
        sa.Column("reason", sa.Text(), nullable=False, comment="Reason."),
        sa.Column(
            "made_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.CheckConstraint(
            "event IN ('requested', 'approved', 'refused', 'promoted')",
            name=op.f("promotion_requests_event_check"),
        ),
        sa.ForeignKeyConstraint(
            ["version"], ["models.version"], name=op.f("promotion_requests_version_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("promotion_requests_pkey")),
        comment="Append-only history of requests to promote a model, and of their answers.",
    )
    op.create_index("promotion_requests_version_id_idx", "promotion_requests", ["version", "id"])
    op.execute(FUNCTIONS)
