"""Keep an audit: entries that nobody changes, chained by hashes in the order of their commits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0022"
down_revision = "0021"

HISTORIES = """
CREATE TRIGGER entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER links_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.links
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE ALL ON audit.entries, audit.links FROM PUBLIC;
"""
# current_user is the owner inside the function: the role of the caller is the one that SET ROLE chose.
RECORD = """
CREATE FUNCTION audit.record(action text, subject text, person text, reason text, detail jsonb DEFAULT '{}')
RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO audit.entries (login, role, person, action, subject, reason, detail)
    VALUES (session_user, coalesce(nullif(current_setting('role'), 'none'), session_user),
            record.person, record.action, record.subject, record.reason, record.detail)
    RETURNING id
$$;
REVOKE ALL ON FUNCTION audit.record(text, text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION audit.record(text, text, text, text, jsonb) IS
    'Add an entry to the audit, with the login and the role of the session. Returns its number.';
"""
# At the commit, so that no transaction waits for another while it works: the lock is the last one it takes.
# Each statement of the function sees what was committed before it: its newest link is the newest there is.
LINK = """
CREATE FUNCTION audit.canonical(entry audit.entries) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT convert_to(CAST(jsonb_build_array(
        entry.id, CAST(extract(epoch FROM entry.at) * 1000000 AS bigint), entry.login, entry.role,
        entry.person, entry.action, entry.subject, entry.reason, entry.detail) AS text), 'UTF8')
$$;
COMMENT ON FUNCTION audit.canonical(audit.entries) IS 'The text of an entry that its link hashes, in UTF-8.';
CREATE FUNCTION audit.link() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    newest audit.links;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('stence audit'));
    SELECT * INTO newest FROM audit.links ORDER BY position DESC LIMIT 1;
    INSERT INTO audit.links (position, entry_id, hash)
    VALUES (coalesce(newest.position, 0) + 1, NEW.id,
            sha256(coalesce(newest.hash, '') || audit.canonical(NEW)));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION audit.link() IS 'Chains an entry to the one before it.';
REVOKE ALL ON FUNCTION audit.canonical(audit.entries), audit.link() FROM PUBLIC;
CREATE CONSTRAINT TRIGGER entries_link AFTER INSERT ON audit.entries DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit.link();
"""
# Entries keep digests of scores: this function never changes, nor what it reads of a score.
DIGEST = """
CREATE FUNCTION audit.digest(score scores) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CAST(CAST('x' || encode(substring(sha256(
        score.content_hash || convert_to(score.model_version || ' ' || score.preprocessing_version, 'UTF8')
        || float8send(score.stenosis_50) || float8send(score.stenosis_70) || float8send(score.stenosis_90)
        || float8send(score.stenosis_100) || float8send(score.rca_70) || float8send(score.lca_70)
        || coalesce(array_send(score.lower) || array_send(score.upper), '')
        || coalesce(float8send(score.novelty), '')) FROM 1 FOR 8), 'hex') AS bit(64)) AS bigint)
$$;
COMMENT ON FUNCTION audit.digest(scores) IS
    'The first 64 bits of SHA-256 over a score. Digests of many are combined by exclusive or, in any order.';
REVOKE ALL ON FUNCTION audit.digest(scores) FROM PUBLIC;
"""
# What there is before the first entry: how flags stand, and the scores of runs. sql/functions tells the rest.
BASELINE = """
SELECT audit.record('flags.raised', 'flags', 'stence', 'they were there before the audit',
                    jsonb_build_object('to', standing, 'flags', jsonb_agg(id ORDER BY id)))
FROM (SELECT id, coalesce(withdrawn_for, state) AS standing,
             (row_number() OVER (ORDER BY id) - 1) / 10000 AS part
      FROM flags) AS numbered
GROUP BY standing, part;
SELECT audit.record('scores.written', format('runs %s', run_id), 'stence', 'they were there before the audit',
                    jsonb_build_object('scores', scores, 'digest', digest))
FROM (SELECT run_id, count(*) AS scores, bit_xor(audit.digest(s)) AS digest
      FROM scores AS s GROUP BY run_id) AS by_run;
"""


def upgrade() -> None:
    op.execute("CREATE SCHEMA audit")
    op.execute("COMMENT ON SCHEMA audit IS 'Who did what, when and why; written by functions alone.'")
    _create_entries()
    _create_links()
    op.execute(HISTORIES)
    op.execute(RECORD)
    op.execute(LINK)
    op.create_table(
        "schema_functions",
        sa.Column("name", sa.Text(), nullable=False, comment="Name of the file."),
        sa.Column("sha256", sa.Text(), nullable=False, comment="SHA-256 of the file."),
        sa.PrimaryKeyConstraint("name", name=op.f("schema_functions_pkey")),
        comment="The files of sql/functions as they were last applied.",
    )
    op.execute(DIGEST)
    op.execute(BASELINE)


def _create_entries() -> None:
    op.create_table(
        "entries",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number of the entry."
        ),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When.",
        ),
        sa.Column("login", sa.Text(), nullable=False, comment="Login that Postgres checked."),
        sa.Column("role", sa.Text(), nullable=False, comment="Role in which the session acted."),
        sa.Column("person", sa.Text(), nullable=False, comment="Person whom the caller named, or stence."),
        sa.Column("action", sa.Text(), nullable=False, comment="What was done."),
        sa.Column("subject", sa.Text(), nullable=False, comment="To what: a table and number, or a version."),
        sa.Column("reason", sa.Text(), comment="Why, as the caller said."),
        sa.Column(
            "detail",
            JSONB(),
            server_default="{}",
            nullable=False,
            comment="Numbers, states and counts; no patient in it.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("entries_pkey")),
        schema="audit",
        comment="Append-only: what was done, by which login and person, when and why.",
    )


def _create_links() -> None:
    op.create_table(
        "links",
        sa.Column(
            "position",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Place in the order of commits, 1 for the first.",
        ),
        sa.Column("entry_id", sa.BigInteger(), nullable=False, comment="Entry."),
        sa.Column(
            "hash",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 over the hash before and the text of the entry.",
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["audit.entries.id"], name=op.f("links_entry_id_fkey")),
        sa.PrimaryKeyConstraint("position", name=op.f("links_pkey")),
        sa.UniqueConstraint("entry_id", name=op.f("links_entry_id_key")),
        schema="audit",
        comment="Append-only: the chain of the entries, which a changed or missing entry breaks.",
    )
