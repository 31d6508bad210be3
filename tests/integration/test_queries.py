"""Ready queries answer the same in psql and in ``stence query``, and the views they ask tell the truth."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, insert, text

from stence.cli import main
from stence.database import queries
from stence.database.tables import flag_decisions, flags
from stence.errors import ConfigurationError
from stence.export import ledger
from stence.monitoring import alerts
from stence.monitoring.alerts import Cause, Finding
from stence.settings import Settings
from support.database import filled, tampering
from support.psql import as_read, in_psql
from support.synthetic import load

CALLS: list[tuple[str, dict[str, str]]] = [
    ("alert_history", {}),
    ("alert_history", {"limit": "1"}),
    ("alerts_open", {}),
    ("audit", {}),
    ("audit", {"action": "flags.raised", "limit": "2"}),
    ("angiograms", {}),
    ("flag_counts", {}),
    ("flag_decisions", {}),
    ("flag_decisions", {"limit": "1"}),
    ("flag_exports", {}),
    ("flagged_patients", {}),
    ("flagged_patients", {"limit": "3"}),
    ("flagged_patients", {"include_known": "yes", "since": "2020-01-02 12:00+00"}),
    ("flagged_patients", {"include_snoozed": "yes", "limit": "3"}),
    ("flagged_patients", {"site": "'; DROP TABLE flags; --"}),
    ("highest_risk", {"limit": "7"}),
    ("list_counts", {}),
    ("model_agreement", {}),
    ("model_decisions", {}),
    ("model_history", {}),
    ("model_forms", {}),
    ("model_forms", {"limit": "1"}),
    ("patient_history", {"patient": "p7"}),
    ("patient_history", {"patient": "p7", "limit": "1"}),
    ("patient_risk", {}),
    ("patient_risk", {"limit": "3"}),
    ("promotion_refusals", {}),
    ("promotion_requests", {}),
    ("promotion_refusals", {"limit": "1"}),
    ("quarantine_by_reason", {}),
    ("quarantine_open", {}),
    ("quarantine_open", {"reason": "flat_lead", "limit": "2"}),
    ("recent_runs", {}),
    ("unusable_rows", {}),
    ("unusable_rows", {"kind": "report", "state": "open", "limit": "1"}),
    ("patient_numbers", {"patient": "p1"}),
    ("reviews", {}),
    ("reviews", {"limit": "3"}),
    ("reviews", {"ecg": "-1"}),
    ("snoozes", {}),
    ("snoozes", {"limit": "1"}),
    ("run_metrics", {}),
    ("run_metrics", {"run": "00000000-0000-0000-0000-000000000001"}),
    ("trace_flag", {"flag": "1"}),
    ("training_runs", {}),
    ("validations", {}),
    ("validations", {"limit": "1"}),
    ("verification_sample", {}),
    ("verification_sample", {"state": "", "limit": "2"}),
    ("ward_list", {}),
    ("ward_list", {"limit": "2"}),
    ("ward_list", {"site": "-1"}),
    ("worklist", {}),
]
EMPTY = {"'; DROP TABLE flags; --", "-1"}


@pytest.fixture(scope="module")
def template(postgres: Engine) -> Iterator[str]:
    with filled(postgres, fill) as name:
        yield name


@pytest.fixture
def hospital(engine: Engine) -> Engine:
    """An engine on a database with 2,000 scored ECGs of 300 patients, two alerts, and flags to export."""
    return engine


def fill(engine: Engine) -> None:
    load(engine, ecgs=2000, patients=300)
    causes = [Cause("device_gain", None, "device", of) for of in ("Cardio 200", "Rest 12")]
    findings = [
        Finding(cause, True, "critical", "input_ks", 0.6, "It is high; check it.") for cause in causes
    ]
    with tampering(engine) as connection:
        alerts.settle(connection, findings, datetime(2020, 1, 3, tzinfo=UTC), [])
        for why in ("leads swapped", "wrong patient"):
            row = {"decision": "withdrawn", "decided_by": "Dr A", "reason": why, "flags": 0}
            connection.execute(insert(flag_decisions).values(row))
        connection.execute(text("SELECT request_promotion('synthetic-1', 'Ada', 'better')"))
        ledger.plan(connection, ledger.Receiver("csv", "file:///exported"))


def ask(engine: Engine, name: str, **params: str) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        columns, rows = queries.run(connection, name, params)
    return [dict(zip(columns, row, strict=True)) for row in rows]


@pytest.mark.parametrize(("name", "params"), CALLS)
def test_psql_and_stence_answer_the_same(
    hospital: Engine, settings: Settings, name: str, params: dict[str, str]
) -> None:
    ours, theirs = ask(hospital, name, **params), in_psql(settings, name, params)
    assert bool(ours) != bool(EMPTY & set(params.values()))
    assert as_read(theirs, ours) == ours


def test_every_ready_query_is_tried_and_says_what_it_answers() -> None:
    names = {name for name, _ in queries.available() if not name.startswith("monitoring_")}
    assert names == {name for name, _ in CALLS}  # the others: test_monitoring_report
    for _, answers in queries.available():
        assert "?" in answers


def test_a_patient_leaves_the_list_when_the_last_flag_is_dismissed(hospital: Engine) -> None:
    [first, *_] = ask(hospital, "flagged_patients")
    with tampering(hospital) as connection:
        dismiss = flags.update().values(state="dismissed").where(flags.c.patient_id == first["patient_id"])
        connection.execute(dismiss)
    assert first["patient_id"] not in {row["patient_id"] for row in ask(hospital, "flagged_patients")}


def test_reviews_are_shown_newest_first_and_by_ecg(hospital: Engine, stence: Any) -> None:
    [first, *_] = ask(hospital, "flagged_patients")
    ecg = str(first["ecg_id"])
    before = ask(hospital, "reviews", ecg=ecg)
    said = stence("review", ecg, "--outcome", "dismissed", "--by", "Dr A", "--note", "an old infarct")
    assert said.output.startswith(f"ECG {ecg} is dismissed (review ")
    stence("review", ecg, "--outcome", "confirmed", "--by", "Dr B")

    newest, older, *rest = ask(hospital, "reviews", ecg=ecg)
    assert (newest["outcome"], newest["reviewed_by"], newest["note"]) == ("confirmed", "Dr B", None)
    assert (older["outcome"], older["reviewed_by"], older["note"]) == ("dismissed", "Dr A", "an old infarct")
    assert (newest["patient_id"], rest) == (first["patient_id"], before)
    assert ask(hospital, "reviews", limit="1") == [newest]
    [traced] = ask(hospital, "trace_flag", flag=str(first["flag_id"]))
    assert (traced["ecg_id"], traced["state"], traced["reviewed_by"]) == (int(ecg), "confirmed", "Dr B")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["9999999", "--outcome", "confirmed", "--by", "Dr A"], "there is no ECG 9999999"),
        (["1", "--outcome", "confirmed", "--by", "  "], "a review says who reviewed"),
        (["1", "--outcome", "reviewed", "--by", "Dr A"], "'reviewed' is not one of 'confirmed', 'dismissed'"),
        (["x", "--outcome", "confirmed", "--by", "Dr A"], "'x' is not a valid integer range"),
    ],
)
def test_a_review_that_cannot_be_recorded_says_why(
    hospital: Engine, stence: Any, arguments: list[str], complaint: str
) -> None:
    result = stence("review", *arguments)
    assert result.exit_code != 0
    assert complaint in result.output


def test_the_worklist_adds_up(hospital: Engine) -> None:
    [row] = ask(hospital, "worklist")
    assert row["indexed"] == 2000 == row["scored"] + row["quarantined"] + row["pending"]


def test_the_summary_of_the_quarantine_shows_no_object_key(hospital: Engine) -> None:
    found = {(row["kind"], row["reason"]): row["example"] for row in ask(hospital, "quarantine_by_reason")}
    assert found == {
        ("ecg", "flat_lead"): "lead V1 of … is flat; look at the electrode",
        ("ecg", "too_short"): "2.1 s",
        ("angiogram", "not_xa"): "a DICOM file, but not an X-ray angiogram",
    }


def test_every_angiogram_is_counted_once(hospital: Engine) -> None:
    found = {(row["state"], row["reason"]): row["angiograms"] for row in ask(hospital, "angiograms")}
    assert found == {
        ("ready", None): 8,
        ("pending", "not_prepared"): 2,
        ("pending", "no_report"): 1,
        ("quarantined", "not_xa"): 1,
    }


def test_a_pair_shows_what_was_found_in_the_study(hospital: Engine) -> None:
    with hospital.connect() as connection:
        rows = connection.execute(text("SELECT * FROM cath_pairs ORDER BY study_id")).mappings().all()
    assert len(rows) == 10
    first = rows[0]
    assert (first["study_id"], first["severe_segments"], first["angiograms"]) == ("s1", [6], 1)
    assert (first["performed_at"] - first["acquired_at"]).days == 2


def test_a_flag_is_traced_to_file_model_run_and_threshold(hospital: Engine) -> None:
    [row] = ask(hospital, "trace_flag", flag="1")
    assert row["object_key"].endswith(".hea")
    assert row["model_folder"] == "models/synthetic-2/"
    assert row["code_version"] == "0"
    assert row["probability"] >= row["threshold"]


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("nothing", {}, "no query 'nothing'; available: alert_history, alerts_open"),
        ("../views/ecg_risk", {}, "no query"),
        (
            "flagged_patients",
            {"limits": "3"},
            "no parameter limits; it has: include_known, include_snoozed, since",
        ),
        ("patient_history", {}, "--param patient="),
        ("flagged_patients", {"limit": "three"}, 'type bigint: "three"'),
        ("flagged_patients", {"since": "yesterdays"}, "yesterdays"),
    ],
)
def test_a_wrong_call_is_told_in_words(
    engine: Engine, name: str, params: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message), engine.connect() as connection:
        queries.run(connection, name, params)


@pytest.fixture
def stence(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The command line on the test's database."""
    assert settings.database_url is not None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STENCE_DATABASE_URL", settings.database_url.get_secret_value())
    return lambda *arguments: CliRunner().invoke(main, list(arguments))


def test_the_command_line_lists_runs_and_exports_queries(hospital: Engine, stence: Any) -> None:
    assert "Who is on the list?" in stence("query").output
    first, second = ask(hospital, "flagged_patients", limit="2")
    shown = stence("query", "flagged_patients", "--param", "limit=1").output
    assert first["patient_id"] in shown
    assert second["patient_id"] not in shown
    exported = stence("query", "flagged_patients", "--csv", "--param", "limit=2").output
    assert [row["patient_id"] for row in csv.DictReader(io.StringIO(exported))] == [
        first["patient_id"],
        second["patient_id"],
    ]
    assert "synthetic-2" in stence("models", "list").output


def test_keys_and_details_steer_neither_terminal_nor_spreadsheet(hospital: Engine, stence: Any) -> None:
    hostile = "=cmd|' /C calc'!A0\x1b]0;owned\x07\x1b[2J\u202e"
    with tampering(hospital) as connection:
        row = connection.scalar(text("SELECT min(id) FROM quarantine WHERE state = 'open'"))
        values = {"row": row, "hostile": hostile}
        connection.execute(text("UPDATE quarantine SET detail = :hostile WHERE id = :row"), values)
        connection.execute(
            text(
                "UPDATE objects SET key = :hostile "
                "FROM quarantine q WHERE q.id = :row AND objects.id = object_id"
            ),
            values,
        )
    for command in (
        ["query", "quarantine_open"],
        ["query", "quarantine_open", "--csv"],
        ["quarantine", "list"],
    ):
        output = stence(*command).output
        assert not set(output) & set("\x1b\x07\u202e")
        assert "cmd|" in output
    exported = csv.DictReader(io.StringIO(stence("query", "quarantine_open", "--csv").output))
    cells = {(row["detail"], row["object_key"]) for row in exported if "cmd|" in row["detail"]}
    assert cells == {("'=cmd|' /C calc'!A0]0;owned[2J",) * 2}


def test_the_command_line_tells_of_a_wrong_call(engine: Engine, stence: Any) -> None:
    result = stence("query", "trace_flag")
    assert result.exit_code == 1
    assert result.output == "Error: Query trace_flag needs a value: --param flag=…\n"


def test_a_text_column_is_never_taken_for_a_statement(hospital: Engine) -> None:
    ask(hospital, "flagged_patients", site="'; DROP TABLE flags; --")
    with hospital.connect() as connection:
        assert connection.scalar(text("SELECT count(*) > 0 FROM flags"))


def test_models_are_compared_on_the_ecgs_that_both_have_scored(hospital: Engine) -> None:
    [row] = ask(hospital, "model_agreement")
    with hospital.connect() as connection:
        risks = connection.execute(
            text(
                "SELECT o.stenosis_70, c.stenosis_70 FROM scores AS o JOIN scores AS c USING (content_hash) "
                "WHERE o.model_version = 'synthetic-1' AND c.model_version = 'synthetic-2'"
            )
        ).all()
    both = [(other >= 0.3, champion >= 0.648) for other, champion in risks]
    counts = (len(both), *(sum(flagged) for flagged in zip(*both, strict=True)), sum(map(all, both)))
    assert (row["version"], row["state"]) == ("synthetic-1", "retired")
    assert (row["ecgs"], row["flagged"], row["flagged_by_champion"], row["flagged_by_both"]) == counts
    assert row["correlation"] == 1


def test_the_ward_list_says_whether_more_patients_are_on_the_list(hospital: Engine) -> None:
    assert [row["more"] for row in ask(hospital, "ward_list", limit="2")] == [True, True]
    patients = len(ask(hospital, "flagged_patients", limit="100000"))
    rows = ask(hospital, "ward_list", limit=f"{patients}")
    assert (len(rows), {row["more"] for row in rows}) == (patients, {False})
