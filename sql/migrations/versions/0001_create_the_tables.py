"""Create the tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER model_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON model_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE ALL ON model_events FROM PUBLIC;
COMMENT ON FUNCTION refuse_change() IS 'Keeps histories append-only.';
"""


def upgrade() -> None:
    op.create_table(
        "manifest_records",
        sa.Column(
            "record_key", sa.Text(), nullable=False, comment="Object key of the ECG without its extension."
        ),
        sa.Column("manifest_key", sa.Text(), nullable=False, comment="Object key of the record_list.csv."),
        sa.Column("patient_id", sa.Text(), nullable=False, comment="subject_id of the row."),
        sa.Column("study_id", sa.Text(), nullable=True, comment="study_id of the row."),
        sa.Column("acquired_at", sa.DateTime(timezone=True), nullable=True, comment="ecg_time of the row."),
        sa.PrimaryKeyConstraint("record_key", name=op.f("manifest_records_pkey")),
        comment="Patients and times that manifests give for ECG files which name none themselves.",
    )
    op.create_table(
        "manifests",
        sa.Column("key", sa.Text(), nullable=False, comment="Object key of a record_list.csv."),
        sa.Column("etag", sa.Text(), nullable=False, comment="Version of the content that was read."),
        sa.Column("rows_read", sa.BigInteger(), nullable=False, comment="Rows taken up."),
        sa.Column("rows_refused", sa.BigInteger(), nullable=False, comment="Rows that could not be used."),
        sa.Column(
            "read_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was read.",
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("manifests_pkey")),
        comment="Manifests that were read, so that an unchanged one is not read again.",
    )
    op.create_table(
        "models",
        sa.Column("version", sa.Text(), nullable=False, comment="Name of the model version."),
        sa.Column("state", sa.Text(), nullable=False, comment="candidate, shadow, champion or retired."),
        sa.Column(
            "folder", sa.Text(), nullable=False, comment="Key of the artefact's folder in the object store."
        ),
        sa.Column("sha256", sa.Text(), nullable=False, comment="SHA-256 of the artefact's manifest.json."),
        sa.Column("preprocessing_version", sa.Text(), nullable=False, comment="How its ECGs are prepared."),
        sa.Column(
            "manifest",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="The artefact's manifest.json.",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was registered.",
        ),
        sa.CheckConstraint(
            "state IN ('candidate', 'shadow', 'champion', 'retired')", name=op.f("models_state_check")
        ),
        sa.PrimaryKeyConstraint("version", name=op.f("models_pkey")),
        comment="Trained models and their state; at most one is champion.",
    )
    op.create_index(
        "models_one_champion",
        "models",
        ["state"],
        unique=True,
        postgresql_where=sa.text("state = 'champion'"),
    )
    op.create_table(
        "objects",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number of the object."
        ),
        sa.Column("key", sa.Text(), nullable=False, comment="Key of the ECG's main file in the store."),
        sa.Column("record_key", sa.Text(), nullable=False, comment="The key without its extension."),
        sa.Column(
            "etag", sa.Text(), nullable=False, comment="Version of the content, of all the record's files."
        ),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, comment="Size of all the record's files."),
        sa.Column(
            "content_hash", sa.LargeBinary(), nullable=True, comment="The ECG that was last read from it."
        ),
        sa.Column("patient_id", sa.Text(), nullable=True, comment="The patient under whom that ECG came."),
        sa.Column(
            "first_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was first listed.",
        ),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When its content was last seen to change.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("objects_pkey")),
        sa.UniqueConstraint("key", name=op.f("objects_key_key")),
        comment="ECG files in the object store, by key.",
    )
    op.create_index(op.f("objects_content_hash_idx"), "objects", ["content_hash"], unique=False)
    op.create_index(op.f("objects_record_key_idx"), "objects", ["record_key"], unique=False)
    op.create_table(
        "schema_views",
        sa.Column("name", sa.Text(), nullable=False, comment="Name of the view."),
        sa.Column("sha256", sa.Text(), nullable=False, comment="SHA-256 of the file it was made from."),
        sa.PrimaryKeyConstraint("name", name=op.f("schema_views_pkey")),
        comment="The views of sql/views as they were last created.",
    )
    op.create_table(
        "ecgs",
        sa.Column(
            "content_hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of signal and sampling rate."
        ),
        sa.Column("patient_id", sa.Text(), nullable=False, comment="Patient, as the hospital numbers them."),
        sa.Column("acquired_at", sa.DateTime(timezone=True), nullable=True, comment="When it was recorded."),
        sa.Column("device", sa.Text(), nullable=True, comment="Electrocardiograph."),
        sa.Column("sex", sa.Text(), nullable=True, comment="F or M, where the file says so."),
        sa.Column("age", sa.Double(), nullable=True, comment="Years, where the file says so."),
        sa.Column("sampling_rate", sa.Double(), nullable=False, comment="Hz, of the file."),
        sa.Column("seconds", sa.Double(), nullable=False, comment="Length."),
        sa.Column(
            "warnings",
            postgresql.ARRAY(sa.Text()),
            server_default="{}",
            nullable=False,
            comment="Remarks on its quality.",
        ),
        sa.Column("object_id", sa.BigInteger(), nullable=False, comment="File it came from."),
        sa.Column(
            "first_read_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was first read.",
        ),
        sa.ForeignKeyConstraint(["object_id"], ["objects.id"], name=op.f("ecgs_object_id_fkey")),
        sa.PrimaryKeyConstraint("content_hash", name=op.f("ecgs_pkey")),
        comment="ECGs by content: the same recording sent twice is one row.",
    )
    op.create_index(op.f("ecgs_patient_id_idx"), "ecgs", ["patient_id"], unique=False)
    op.create_table(
        "model_events",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order of the changes."
        ),
        sa.Column("version", sa.Text(), nullable=False, comment="Which model."),
        sa.Column("from_state", sa.Text(), nullable=True, comment="State before; empty at registration."),
        sa.Column("to_state", sa.Text(), nullable=False, comment="State after."),
        sa.Column("changed_by", sa.Text(), nullable=False, comment="Who changed it."),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why."),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.ForeignKeyConstraint(["version"], ["models.version"], name=op.f("model_events_version_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("model_events_pkey")),
        comment="Append-only history of model states.",
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.UUID(), nullable=False, comment="Number of the run."),
        sa.Column("model_version", sa.Text(), nullable=False, comment="Pinned."),
        sa.Column("preprocessing_version", sa.Text(), nullable=False, comment="How ECGs were prepared."),
        sa.Column("state", sa.Text(), nullable=False, comment="running, finished, interrupted or failed."),
        sa.Column("code_version", sa.Text(), nullable=False, comment="Version of stence."),
        sa.Column("device", sa.Text(), nullable=False, comment="Where the model ran: cpu or cuda."),
        sa.Column("host", sa.Text(), nullable=False, comment="Machine that ran it."),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Start.",
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True, comment="End."),
        sa.Column(
            "indexed", sa.BigInteger(), nullable=True, comment="ECGs on the model's worklist at the end."
        ),
        sa.Column("scored", sa.BigInteger(), nullable=True, comment="Of these: scored, by any run."),
        sa.Column("quarantined", sa.BigInteger(), nullable=True, comment="Of these: in quarantine."),
        sa.Column("pending", sa.BigInteger(), nullable=True, comment="Of these: not yet scored."),
        sa.Column("scored_by_run", sa.BigInteger(), nullable=True, comment="Scored by this run."),
        sa.Column(
            "quarantined_by_run", sa.BigInteger(), nullable=True, comment="Put into quarantine by this run."
        ),
        sa.Column("error", sa.Text(), nullable=True, comment="Why it failed."),
        sa.CheckConstraint(
            "state IN ('running', 'finished', 'interrupted', 'failed')", name=op.f("runs_state_check")
        ),
        sa.ForeignKeyConstraint(["model_version"], ["models.version"], name=op.f("runs_model_version_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("runs_pkey")),
        comment="Runs of the scorer: one model, one process.",
    )
    op.create_table(
        "worklist",
        sa.Column("object_id", sa.BigInteger(), nullable=False, comment="Which file."),
        sa.Column("model_version", sa.Text(), nullable=False, comment="Which model is to score it."),
        sa.Column("etag", sa.Text(), nullable=False, comment="The content this row is about."),
        sa.Column("state", sa.Text(), nullable=False, comment="pending, leased, scored or quarantined."),
        sa.Column(
            "attempt", sa.Integer(), server_default="0", nullable=False, comment="Fences off late writers."
        ),
        sa.Column("run_id", sa.UUID(), nullable=True, comment="The run that holds or ended it."),
        sa.Column(
            "lease_expires_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="From when on another scorer may take it over.",
        ),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the state last changed.",
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'leased', 'scored', 'quarantined')", name=op.f("worklist_state_check")
        ),
        sa.ForeignKeyConstraint(
            ["model_version"], ["models.version"], name=op.f("worklist_model_version_fkey")
        ),
        sa.ForeignKeyConstraint(["object_id"], ["objects.id"], name=op.f("worklist_object_id_fkey")),
        sa.PrimaryKeyConstraint("object_id", "model_version", name=op.f("worklist_pkey")),
        comment="Where every ECG is, for every model that scores it.",
    )
    op.create_index(
        "worklist_open_idx",
        "worklist",
        ["model_version", "object_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'leased')"),
    )
    op.create_index(
        "worklist_run_idx", "worklist", ["run_id"], unique=False, postgresql_where=sa.text("state = 'leased'")
    )
    op.create_table(
        "flags",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number of the flag."
        ),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False, comment="ECG."),
        sa.Column("model_version", sa.Text(), nullable=False, comment="Model."),
        sa.Column("target", sa.Text(), nullable=False, comment="What it warns of."),
        sa.Column("patient_id", sa.Text(), nullable=False, comment="Patient, as in ecgs."),
        sa.Column("probability", sa.Double(), nullable=False, comment="Calibrated probability, 0 to 1."),
        sa.Column(
            "threshold", sa.Double(), nullable=False, comment="Raised because the probability reached this."
        ),
        sa.Column("rule", sa.Text(), nullable=False, comment="How the threshold was chosen."),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="open, reviewed, dismissed, confirmed or withdrawn."
        ),
        sa.Column(
            "raised_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.Column("reviewed_by", sa.Text(), nullable=True, comment="Who last changed the state."),
        sa.Column(
            "reviewed_at", sa.DateTime(timezone=True), nullable=True, comment="When the state last changed."
        ),
        sa.Column("note", sa.Text(), nullable=True, comment="Remark of the reviewer."),
        sa.CheckConstraint(
            "state IN ('open', 'reviewed', 'dismissed', 'confirmed', 'withdrawn')",
            name=op.f("flags_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["content_hash"], ["ecgs.content_hash"], name=op.f("flags_content_hash_fkey")
        ),
        sa.ForeignKeyConstraint(["model_version"], ["models.version"], name=op.f("flags_model_version_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("flags_pkey")),
        sa.UniqueConstraint(
            "content_hash",
            "model_version",
            "target",
            name=op.f("flags_content_hash_model_version_target_key"),
        ),
        comment="Risk flags: an ECG, a target, a probability above its threshold.",
    )
    op.create_index(
        "flags_listed_idx",
        "flags",
        ["probability", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('open', 'reviewed', 'confirmed')"),
    )
    op.create_index(
        "flags_listed_patient_idx",
        "flags",
        ["patient_id", "probability", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('open', 'reviewed', 'confirmed')"),
    )
    op.create_table(
        "monitoring_metrics",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number of the row."
        ),
        sa.Column("run_id", sa.UUID(), nullable=True, comment="The run it is about."),
        sa.Column("model_version", sa.Text(), nullable=True, comment="The model it is about."),
        sa.Column("name", sa.Text(), nullable=False, comment="What was measured, with its unit."),
        sa.Column(
            "slice_key",
            sa.Text(),
            nullable=True,
            comment="What the figure is restricted to, e.g. stage or device.",
        ),
        sa.Column("slice_value", sa.Text(), nullable=True, comment="Which one."),
        sa.Column("value", sa.Double(), nullable=False, comment="The figure."),
        sa.Column("lower", sa.Double(), nullable=True, comment="Lower end of its 95 % interval."),
        sa.Column("upper", sa.Double(), nullable=True, comment="Upper end of its 95 % interval."),
        sa.Column("count", sa.BigInteger(), nullable=True, comment="How many observations it rests on."),
        sa.Column(
            "window_start",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Start of the time it is about.",
        ),
        sa.Column(
            "window_end", sa.DateTime(timezone=True), nullable=False, comment="End of the time it is about."
        ),
        sa.Column(
            "measured_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was computed.",
        ),
        sa.ForeignKeyConstraint(
            ["model_version"], ["models.version"], name=op.f("monitoring_metrics_model_version_fkey")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("monitoring_metrics_run_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("monitoring_metrics_pkey")),
        comment="Figures about runs, inputs, scores and outcomes over time.",
    )
    op.create_index(
        "monitoring_metrics_name_window_end_idx", "monitoring_metrics", ["name", "window_end"], unique=False
    )
    op.create_index(op.f("monitoring_metrics_run_id_idx"), "monitoring_metrics", ["run_id"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number of the row."
        ),
        sa.Column("object_id", sa.BigInteger(), nullable=False, comment="The file."),
        sa.Column("etag", sa.Text(), nullable=False, comment="The content that could not be used."),
        sa.Column("reason", sa.Text(), nullable=False, comment="Code of the reason."),
        sa.Column("detail", sa.Text(), nullable=False, comment="What was found, in words, and what to do."),
        sa.Column("lead", sa.Text(), nullable=True, comment="The lead concerned."),
        sa.Column("value", sa.Double(), nullable=True, comment="What was measured."),
        sa.Column("state", sa.Text(), nullable=False, comment="open, retried, resolved or dismissed."),
        sa.Column("run_id", sa.UUID(), nullable=False, comment="Run."),
        sa.Column(
            "entered_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it came in.",
        ),
        sa.Column("closed_by", sa.Text(), nullable=True, comment="Who or what closed it."),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True, comment="When it was closed."),
        sa.CheckConstraint(
            "state IN ('open', 'retried', 'resolved', 'dismissed')", name=op.f("quarantine_state_check")
        ),
        sa.ForeignKeyConstraint(["object_id"], ["objects.id"], name=op.f("quarantine_object_id_fkey")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("quarantine_run_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("quarantine_pkey")),
        comment="ECG files that could not be scored, and why.",
    )
    op.create_index(
        "quarantine_one_open",
        "quarantine",
        ["object_id"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "scores",
        sa.Column("content_hash", sa.LargeBinary(), nullable=False, comment="ECG."),
        sa.Column("model_version", sa.Text(), nullable=False, comment="Model that scored it."),
        sa.Column("preprocessing_version", sa.Text(), nullable=False, comment="How the ECG was prepared."),
        sa.Column(
            "stenosis_50",
            sa.Double(),
            nullable=False,
            comment="Calibrated probability of stenosis_50, 0 to 1.",
        ),
        sa.Column(
            "stenosis_70",
            sa.Double(),
            nullable=False,
            comment="Calibrated probability of stenosis_70, 0 to 1.",
        ),
        sa.Column(
            "stenosis_90",
            sa.Double(),
            nullable=False,
            comment="Calibrated probability of stenosis_90, 0 to 1.",
        ),
        sa.Column(
            "stenosis_100",
            sa.Double(),
            nullable=False,
            comment="Calibrated probability of stenosis_100, 0 to 1.",
        ),
        sa.Column("rca_70", sa.Double(), nullable=False, comment="Calibrated probability of rca_70, 0 to 1."),
        sa.Column("lca_70", sa.Double(), nullable=False, comment="Calibrated probability of lca_70, 0 to 1."),
        sa.Column("run_id", sa.UUID(), nullable=False, comment="Run."),
        sa.Column(
            "scored_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.ForeignKeyConstraint(
            ["content_hash"], ["ecgs.content_hash"], name=op.f("scores_content_hash_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["model_version"], ["models.version"], name=op.f("scores_model_version_fkey")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("scores_run_id_fkey")),
        sa.PrimaryKeyConstraint(
            "content_hash", "model_version", "preprocessing_version", name=op.f("scores_pkey")
        ),
        comment="Calibrated probabilities of severe stenosis, one row an ECG and model.",
    )
    op.create_index(
        "scores_model_version_stenosis_70_idx",
        "scores",
        ["model_version", sa.literal_column("stenosis_70 DESC")],
        unique=False,
    )
    op.execute(APPEND_ONLY)
