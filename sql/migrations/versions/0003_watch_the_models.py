"""Watch what goes in and what comes out: measurements, embeddings, reviews, reference profiles, alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

HISTORIES = """
CREATE TRIGGER reviews_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reviews
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER alert_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON alert_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE ALL ON reviews, alert_events FROM PUBLIC;
"""

# A function runs for anybody unless told otherwise, and this one writes: the hospital grants who may review.
# SECURITY DEFINER, so that a reviewer needs no right to the tables.
REVIEW = """
CREATE FUNCTION review_ecg(ecg_id bigint, outcome text, reviewed_by text, note text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    hash bytea;
    review bigint;
BEGIN
    IF review_ecg.outcome IS NULL OR review_ecg.outcome NOT IN ('confirmed', 'dismissed') THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the outcome of a review is confirmed or dismissed';
    END IF;
    IF coalesce(btrim(review_ecg.reviewed_by), '') = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a review says who reviewed';
    END IF;
    SELECT content_hash INTO hash FROM ecgs WHERE id = review_ecg.ecg_id;
    IF NOT FOUND THEN
        RAISE no_data_found USING MESSAGE = format('there is no ECG %s', review_ecg.ecg_id);
    END IF;
    -- The flags first: of two reviews of one ECG the second waits, and the newest decides what they say.
    UPDATE flags
    SET state = review_ecg.outcome, reviewed_by = btrim(review_ecg.reviewed_by), reviewed_at = now(),
        note = review_ecg.note
    WHERE content_hash = hash AND state <> 'withdrawn';
    IF NOT FOUND THEN
        RAISE no_data_found USING MESSAGE = format('ECG %s has no flag to review', review_ecg.ecg_id);
    END IF;
    INSERT INTO reviews (ecg_id, outcome, reviewed_by, note)
    VALUES (review_ecg.ecg_id, review_ecg.outcome, btrim(review_ecg.reviewed_by), review_ecg.note)
    RETURNING id INTO review;
    RETURN review;
END
$$;
REVOKE ALL ON FUNCTION review_ecg(bigint, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION review_ecg(bigint, text, text, text) IS
    'Record what a person found out about a flagged ECG; its flags follow. Returns the number of the review.';
"""

# What was judged before reviews had a table of their own.
EARLIER_REVIEWS = """
INSERT INTO reviews (ecg_id, outcome, reviewed_by, reviewed_at, note)
SELECT DISTINCT ecgs.id, flags.state, flags.reviewed_by, flags.reviewed_at, flags.note
FROM flags JOIN ecgs USING (content_hash)
WHERE flags.state IN ('confirmed', 'dismissed') AND flags.reviewed_by IS NOT NULL
  AND flags.reviewed_at IS NOT NULL
ORDER BY flags.reviewed_at, ecgs.id
"""


def upgrade() -> None:
    _change_tables()
    _create_tables()
    op.execute(EARLIER_REVIEWS)
    op.execute(HISTORIES)
    op.execute(REVIEW)


def _change_tables() -> None:
    op.add_column(
        "ecgs",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number of the ECG."
        ),
    )
    op.add_column(
        "ecgs",
        sa.Column(
            "site",
            sa.Text(),
            nullable=True,
            comment="Where it was recorded, as the file or its manifest says.",
        ),
    )
    op.add_column(
        "ecgs",
        sa.Column(
            "indication",
            sa.Text(),
            nullable=True,
            comment="Why it was ordered, as the file or its manifest says.",
        ),
    )
    op.create_unique_constraint(op.f("ecgs_id_key"), "ecgs", ["id"])
    op.create_index("ecgs_time_idx", "ecgs", [sa.text("coalesce(acquired_at, first_read_at)")], unique=False)
    op.add_column("manifest_records", sa.Column("site", sa.Text(), nullable=True, comment="site of the row."))
    op.add_column(
        "manifest_records",
        sa.Column("indication", sa.Text(), nullable=True, comment="indication of the row."),
    )
    op.add_column(
        "cath_studies",
        sa.Column(
            "first_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When a report first named it: what was scored before could not know it.",
        ),
    )
    op.execute("UPDATE cath_studies SET first_seen_at = changed_at")
    op.create_index(
        "monitoring_metrics_once_idx",
        "monitoring_metrics",
        [
            "window_start",
            "window_end",
            "name",
            sa.text("coalesce(model_version, '')"),
            sa.text("coalesce(slice_key, '')"),
            sa.text("coalesce(slice_value, '')"),
        ],
        unique=True,
        postgresql_where=sa.text("run_id IS NULL"),
    )


def _create_tables() -> None:
    op.create_table(
        "monitor_runs",
        sa.Column("id", sa.UUID(), nullable=False, comment="Number of the run."),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Start.",
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True, comment="End."),
        sa.Column("state", sa.Text(), nullable=False, comment="running, finished, interrupted or failed."),
        sa.Column("days", sa.Integer(), nullable=False, comment="How many days it looked at."),
        sa.Column("metrics", sa.Integer(), nullable=True, comment="How many figures it wrote."),
        sa.Column("alerts_opened", sa.Integer(), nullable=True, comment="How many alerts it raised."),
        sa.Column("error", sa.Text(), nullable=True, comment="Why it failed."),
        sa.CheckConstraint(
            "state IN ('running', 'finished', 'interrupted', 'failed')", name=op.f("monitor_runs_state_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("monitor_runs_pkey")),
        comment="Runs of the monitor.",
    )
    op.create_table(
        "alerts",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number of the alert."
        ),
        sa.Column("rule", sa.Text(), nullable=False, comment="Name of the rule that raised it."),
        sa.Column("severity", sa.Text(), nullable=False, comment="info, warning or critical."),
        sa.Column("metric", sa.Text(), nullable=False, comment="The metric that the rule looks at."),
        sa.Column("model_version", sa.Text(), nullable=True, comment="The model it is about."),
        sa.Column("slice_key", sa.Text(), nullable=True, comment="What the metric is restricted to."),
        sa.Column("slice_value", sa.Text(), nullable=True, comment="Which one."),
        sa.Column("state", sa.Text(), nullable=False, comment="open, acknowledged or resolved."),
        sa.Column("value", sa.Double(), nullable=True, comment="The metric's value when it was last seen."),
        sa.Column(
            "detail",
            sa.Text(),
            nullable=False,
            comment="What was found, in words, and what to do; no patient.",
        ),
        sa.Column(
            "opened_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was raised.",
        ),
        sa.Column(
            "last_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When its condition was last found to hold.",
        ),
        sa.Column(
            "last_window_end",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="End of the window in which it last held.",
        ),
        sa.Column(
            "acknowledged_at", sa.DateTime(timezone=True), nullable=True, comment="When somebody took it up."
        ),
        sa.Column("acknowledged_by", sa.Text(), nullable=True, comment="Who."),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True, comment="When it was resolved."),
        sa.Column("resolved_by", sa.Text(), nullable=True, comment="Who or what resolved it."),
        sa.Column("note", sa.Text(), nullable=True, comment="Remark of who last changed the state."),
        sa.CheckConstraint("severity IN ('info', 'warning', 'critical')", name=op.f("alerts_severity_check")),
        sa.CheckConstraint("state IN ('open', 'acknowledged', 'resolved')", name=op.f("alerts_state_check")),
        sa.ForeignKeyConstraint(
            ["model_version"], ["models.version"], name=op.f("alerts_model_version_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("alerts_pkey")),
        comment="Alerts; of one cause at most one that is not resolved.",
    )
    op.create_index(
        "alerts_one_a_cause",
        "alerts",
        [
            "rule",
            sa.text("coalesce(model_version, '')"),
            sa.text("coalesce(slice_key, '')"),
            sa.text("coalesce(slice_value, '')"),
        ],
        unique=True,
        postgresql_where=sa.text("state <> 'resolved'"),
    )
    op.create_table(
        "reference_profiles",
        sa.Column("model_version", sa.Text(), nullable=False, comment="Model it belongs to."),
        sa.Column(
            "made_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was made.",
        ),
        sa.Column(
            "window_start",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Start of the time its ECGs are from.",
        ),
        sa.Column("window_end", sa.DateTime(timezone=True), nullable=False, comment="End of that time."),
        sa.Column("ecgs", sa.Integer(), nullable=False, comment="How many ECGs it rests on."),
        sa.Column(
            "profile",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Distributions of inputs, scores and embeddings.",
        ),
        sa.ForeignKeyConstraint(
            ["model_version"], ["models.version"], name=op.f("reference_profiles_model_version_fkey")
        ),
        sa.PrimaryKeyConstraint("model_version", name=op.f("reference_profiles_pkey")),
        comment="What a model's ECGs and scores looked like when all was well; drift is measured against it.",
    )
    op.create_table(
        "alert_events",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order of the events."
        ),
        sa.Column("alert_id", sa.BigInteger(), nullable=False, comment="Which alert."),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False, comment="When."
        ),
        sa.Column("event", sa.Text(), nullable=False, comment="opened, acknowledged, resolved or reopened."),
        sa.Column("by_whom", sa.Text(), nullable=False, comment="Who or what did it."),
        sa.Column("why", sa.Text(), nullable=True, comment="Why."),
        sa.CheckConstraint(
            "event IN ('opened', 'acknowledged', 'resolved', 'reopened')",
            name=op.f("alert_events_event_check"),
        ),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("alert_events_alert_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("alert_events_pkey")),
        comment="Append-only history of alerts.",
    )
    op.create_index(op.f("alert_events_alert_id_idx"), "alert_events", ["alert_id"], unique=False)
    op.create_table(
        "ecg_embeddings",
        sa.Column("content_hash", sa.LargeBinary(), nullable=False, comment="ECG."),
        sa.Column("model_version", sa.Text(), nullable=False, comment="Model of the encoder."),
        sa.Column(
            "sketch",
            postgresql.ARRAY(sa.REAL()),
            nullable=False,
            comment="Fixed random projection of its embedding.",
        ),
        sa.ForeignKeyConstraint(
            ["content_hash"], ["ecgs.content_hash"], name=op.f("ecg_embeddings_content_hash_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["model_version"], ["models.version"], name=op.f("ecg_embeddings_model_version_fkey")
        ),
        sa.PrimaryKeyConstraint("content_hash", "model_version", name=op.f("ecg_embeddings_pkey")),
        comment="What each model's encoder made of each ECG, in short, to see whether ECGs move.",
    )
    op.create_table(
        "ecg_measurements",
        sa.Column("content_hash", sa.LargeBinary(), nullable=False, comment="ECG."),
        sa.Column(
            "heart_rate",
            sa.Double(),
            nullable=True,
            comment="Beats a minute; empty where no beats were found.",
        ),
        sa.Column(
            "r_mv",
            postgresql.ARRAY(sa.Double()),
            nullable=False,
            comment="Height of R in mV, I II III aVR aVL aVF V1-V6.",
        ),
        sa.Column(
            "s_mv",
            postgresql.ARRAY(sa.Double()),
            nullable=False,
            comment="Depth of Q or S in mV, by lead as r_mv.",
        ),
        sa.Column(
            "noise_uv",
            postgresql.ARRAY(sa.Double()),
            nullable=False,
            comment="Noise above 40 Hz in µV, by lead as r_mv.",
        ),
        sa.ForeignKeyConstraint(
            ["content_hash"], ["ecgs.content_hash"], name=op.f("ecg_measurements_content_hash_fkey")
        ),
        sa.PrimaryKeyConstraint("content_hash", name=op.f("ecg_measurements_pkey")),
        comment="What was measured in each ECG when it was first scored, to see whether inputs move.",
    )
    op.create_table(
        "reviews",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order of the reviews."
        ),
        sa.Column("ecg_id", sa.BigInteger(), nullable=False, comment="Number of the ECG."),
        sa.Column("outcome", sa.Text(), nullable=False, comment="confirmed or dismissed."),
        sa.Column("reviewed_by", sa.Text(), nullable=False, comment="Who."),
        sa.Column(
            "reviewed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.Column("note", sa.Text(), nullable=True, comment="Remark of the reviewer."),
        sa.CheckConstraint("outcome IN ('confirmed', 'dismissed')", name=op.f("reviews_outcome_check")),
        sa.ForeignKeyConstraint(["ecg_id"], ["ecgs.id"], name=op.f("reviews_ecg_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("reviews_pkey")),
        comment="Append-only history of what people found out about flagged ECGs. review_ecg() writes it.",
    )
    op.create_index(op.f("reviews_ecg_id_idx"), "reviews", ["ecg_id"], unique=False)
