"""The audit: what is recorded, and what is refused."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError

from stence import registry, scoring
from stence.database import audit
from stence.database.tables import quarantine
from stence.export import send_csv
from stence.monitoring import alerts
from stence.objects import ObjectStore
from stence.scoring import withdrawals
from stence.settings import Settings
from support import synthetic
from support.audit import entries, execute, flag_ids, last
from support.ecgs import heartbeats, store_ecg
from support.models import ShapeScorer
from support.scoring import ScoreAll

TABLES = ("audit.entries", "audit.links", "flags", "scores")


@pytest.fixture
def engine(owner_engine: Engine) -> Engine:
    """The owner's: what is refused to them is refused to everybody. The other roles: test_roles.py."""
    return owner_engine


@pytest.fixture
def hospital(engine: Engine) -> Engine:
    """A champion with scores and flags, and an older model."""
    synthetic.load(engine, ecgs=400, patients=100)
    return engine


def test_an_entry_names_login_role_person_and_reason(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE ROLE ward_auditor")
        connection.exec_driver_sql("GRANT USAGE ON SCHEMA audit TO ward_auditor")
        connection.exec_driver_sql("GRANT EXECUTE ON FUNCTION audit.record TO ward_auditor")
        connection.exec_driver_sql("SET LOCAL ROLE ward_auditor")
        audit.record(connection, "test.added", "thing 1", by="Dr A", why="a test", number=3)
    execute(engine, "DROP OWNED BY ward_auditor; DROP ROLE ward_auditor")
    with engine.connect() as connection:
        found = connection.execute(text("SELECT login, role, person, action, detail FROM audit.entries"))
        assert found.one() == ("postgres", "ward_auditor", "Dr A", "test.added", {"number": 3})


def test_nobody_may_record_until_they_are_let(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE ROLE ward_stranger")
        connection.exec_driver_sql("GRANT USAGE ON SCHEMA audit TO ward_stranger")
        connection.exec_driver_sql("SET LOCAL ROLE ward_stranger")
        with pytest.raises(DBAPIError, match="permission denied for function record"):
            audit.record(connection, "test.added", "thing 1", by="Dr A", why="a test")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_results_and_audit_are_not_changed_by_statements(hospital: Engine, table: str, change: str) -> None:
    column = {"audit.entries": "person", "audit.links": "hash", "flags": "note", "scores": "rca_70"}[table]
    with pytest.raises(DBAPIError, match=r"append-only|write the audit alone"):
        execute(hospital, change.format(table, column, column))


@pytest.mark.parametrize(
    "change", ["UPDATE scores SET rca_70 = 0", "TRUNCATE scores", "TRUNCATE flags CASCADE"]
)
def test_not_even_for_a_reason_are_scores_altered_or_tables_emptied(hospital: Engine, change: str) -> None:
    with hospital.connect() as connection:
        connection.execute(text("SELECT audit.act_for('Dr A', 'because')"))
        with pytest.raises(DBAPIError, match="write the audit alone"):
            connection.execute(text(change))


@pytest.mark.parametrize(("person", "reason"), [("", "why"), ("Dr A", " ")])
def test_a_change_without_a_person_or_a_reason_is_refused(hospital: Engine, person: str, reason: str) -> None:
    with pytest.raises(DBAPIError, match="says who decided, and why"):
        execute(
            hospital,
            "SELECT delete_scores(ARRAY['x'::bytea], :person, :reason)",
            person=person,
            reason=reason,
        )


def test_the_person_ends_with_the_function(hospital: Engine) -> None:
    with hospital.connect() as connection:
        connection.execute(text("SELECT delete_scores('{}', 'Dr A', 'because')"))
        with pytest.raises(DBAPIError, match="write the audit alone"):
            connection.execute(text("DELETE FROM flags"))


WITHDRAW = "SELECT withdraw_flags(CAST(:ids AS bigint[]), '{open}', 'by_person', 'Dr A', 'wrong leads')"
REOPEN = "SELECT reopen_flags(CAST(:ids AS bigint[]), '{model_retired}', 'Dr A', 'right leads')"


def test_flags_change_only_where_they_stand_as_expected(hospital: Engine) -> None:
    one, two = flag_ids(hospital)[:2]
    with hospital.begin() as connection:
        assert connection.scalar(text(WITHDRAW), {"ids": [one]}) == 1
        assert connection.scalar(text(WITHDRAW), {"ids": [one, two]}) == 1
        assert connection.scalar(text(REOPEN), {"ids": [one, two]}) == 0
    [first, second] = [entry for entry in entries(hospital) if entry.reason == "wrong leads"]
    assert (first.action, first.subject, first.person) == ("flags.changed", "flags", "Dr A")
    about = {"from": "open", "to": "by_person", "moved": False, "altered": False}
    assert (first.detail, second.detail) == (about | {"flags": [one]}, about | {"flags": [two]})


def test_reviewed_flags_are_neither_withdrawn_nor_opened(hospital: Engine) -> None:
    """Not even by a caller that expects reviewed ones."""
    reviewed = flag_ids(hospital, "confirmed")
    withdraw = text(WITHDRAW.replace("{open}", "{open,confirmed}"))
    reopen = text(REOPEN.replace("{model_retired}", "{model_retired,confirmed}"))
    with hospital.begin() as connection:
        assert connection.scalar(withdraw, {"ids": reviewed}) == 0
        assert connection.scalar(reopen, {"ids": reviewed}) == 0


def test_a_direct_change_with_a_name_leaves_its_trace(hospital: Engine) -> None:
    """An owner's session can do it; what it did is in the chain, with its login."""
    flag = flag_ids(hospital)[0]
    after = last(hospital)
    with hospital.begin() as connection:
        connection.execute(text("SELECT audit.act_for('Dr A', 'moved by hand')"))
        connection.execute(text("UPDATE flags SET probability = 1 WHERE id = :id"), {"id": flag})
        connection.execute(text("UPDATE flags SET patient_id = 'x' WHERE id = :id"), {"id": flag})
        connection.execute(text("DELETE FROM flags WHERE id = :id"), {"id": flag})
    told = [(entry.action, entry.detail) for entry in entries(hospital, after)]
    about = {"from": "open", "to": "open", "flags": [flag]}
    assert told == [
        ("flags.changed", about | {"moved": False, "altered": True}),
        ("flags.changed", about | {"moved": True, "altered": False}),
        ("flags.deleted", {"to": None, "flags": [flag]}),
    ]
    assert audit.verify(hospital).faults == []


def test_a_score_run_is_one_entry_with_its_counts(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    for number in (1, 2):
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number), comments=(f"<subject_id>: {number}",))
    score_all(ShapeScorer(threshold=0))
    told = entries(engine)
    assert {entry.action for entry in told} == {"scores.written", "flags.raised"}
    [written] = [entry for entry in told if entry.action == "scores.written"]
    assert (written.reason, written.detail["scores"]) == ("the run is finished", 2)
    [raised] = [entry for entry in told if entry.action == "flags.raised"]
    assert raised.detail == {"to": "open", "flags": flag_ids(engine)}
    assert audit.verify(engine).faults == []


def test_scores_that_are_added_behind_a_run_are_told_at_once(hospital: Engine) -> None:
    after = last(hospital)
    execute(
        hospital,
        "INSERT INTO scores SELECT content_hash, model_version, 'new', 0, 0, 0, 0, 0, 0, run_id FROM scores",
    )
    assert {entry.action for entry in entries(hospital, after)} == {"scores.written"}
    assert audit.verify(hospital).faults == []


def test_scores_that_are_void_are_taken_from_their_run(
    engine: Engine, store: ObjectStore, score_all: ScoreAll
) -> None:
    store_ecg(store, "ecg/1.hea", heartbeats(1), comments=("<subject_id>: 1",))
    score_all(ShapeScorer(threshold=0))
    after = last(engine)
    store_ecg(store, "ecg/2.hea", heartbeats(1), comments=("<subject_id>: 2",))
    score_all(ShapeScorer(threshold=0))
    told = {entry.action: entry for entry in entries(engine, after)}
    assert told.keys() == {"flags.changed", "scores.deleted", "scores.written"}
    assert told["scores.deleted"].detail["scores"] == 1
    assert told["scores.deleted"].reason == "the same ECG lies under more than one patient"
    assert told["flags.changed"].detail["to"] == "patient_conflict"
    assert audit.verify(engine).faults == []


FLAGGED = "SELECT ecgs.id FROM ecgs JOIN flags USING (content_hash) WHERE state = 'open' ORDER BY 1"


def test_what_people_decide_is_told(hospital: Engine, settings: Settings) -> None:
    execute(hospital, "INSERT INTO worklist SELECT object_id, 'synthetic-1', etag, 'scored' FROM worklist")
    after = last(hospital)
    with hospital.begin() as connection:
        ecg = connection.scalar(text(FLAGGED))
        scoring.reviews.review(connection, ecg, outcome="confirmed", by="Dr A", note="Mr Smith's LAD")
        scoring.reviews.snooze(connection, ecg, until=date(2999, 1, 1), by="Dr B", why="Mr Smith travels")
        selection = withdrawals.Selection("UTC", model_version="synthetic-2")
        found = withdrawals.find(connection, selection)
        decided = withdrawals.withdraw(connection, selection, found, by="Dr C", why="a bad device")
        withdrawals.restore(connection, decided.number, by="Dr D", why="a good one")
        registry.rollback(connection, by="Dr E", why="the new one is worse")
    told = entries(hospital, after)
    assert [(entry.action, entry.person) for entry in told if not entry.action.startswith("flags.ch")] == [
        ("review.added", "Dr A"),
        ("snooze.added", "Dr B"),
        ("flags.decided", "Dr C"),
        ("flags.decided", "Dr D"),
        ("model.changed", "Dr E"),
        ("model.changed", "Dr E"),
        ("flags.raised", "postgres"),
    ]
    changed = [
        (entry.detail["from"], entry.detail["to"]) for entry in told if entry.action == "flags.changed"
    ]
    assert ("open", "confirmed") in changed
    assert ("open", "by_person") in changed
    assert ("by_person", "model_retired") in changed
    assert ("model_retired", "open") in changed
    assert "Smith" not in str(told)
    assert audit.verify(hospital).faults == []


OTHERS = {
    "model.thresholds": "UPDATE models SET manifest = '{}' WHERE state = 'champion'",
    "model.form": "INSERT INTO model_forms (model_version, device, form, library, hardware, figures, chosen,"
    " decided_by, reason) SELECT version, 'cpu', 'bf16', '', '', '{}', true, 'Dr A', 'faster'"
    " FROM models WHERE state = 'champion'",
}


@pytest.mark.parametrize("action", OTHERS)
def test_thresholds_and_forms_are_told(hospital: Engine, action: str) -> None:
    after = last(hospital)
    execute(hospital, OTHERS[action])
    [told] = entries(hospital, after)
    assert told.action == action


def test_closed_quarantine_is_told(engine: Engine, store: ObjectStore, score_all: ScoreAll) -> None:
    store.put("ecg/bad.hea", b"no header")
    score_all(ShapeScorer(threshold=0))
    after = last(engine)
    with engine.begin() as connection:
        number = connection.scalar(select(quarantine.c.id))
        scoring.quarantine.dismiss(connection, ids=[number], by="Dr A")
    [told] = entries(engine, after)
    assert (told.action, told.person) == ("quarantine.closed", "Dr A")
    assert told.detail == {"from": "open", "to": "dismissed", "rows": [number]}


def test_an_acknowledged_alert_is_told(engine: Engine) -> None:
    execute(
        engine,
        "INSERT INTO alerts (rule, severity, metric, state, detail) VALUES ('r', 'info', 'm', 'open', '')",
    )
    with engine.begin() as connection:
        number = connection.scalar(text("SELECT id FROM alerts"))
        alerts.acknowledge(connection, number, by="Dr A", note="seen")
    [told] = entries(engine)
    assert (told.action, told.person, told.reason) == ("alert.changed", "Dr A", "seen")
    assert told.detail == {"alert_id": number, "event": "acknowledged"}


def test_an_export_is_told_with_its_counts(hospital: Engine, store: ObjectStore, settings: Settings) -> None:
    after = last(hospital)
    sent = send_csv(hospital, store, settings)
    assert send_csv(hospital, store, settings).raised == 0
    begun, told = entries(hospital, after)
    assert (begun.action, begun.detail) == ("export.begun", {})
    assert (told.action, told.detail) == ("export.sent", {"final": sent.raised})
    assert begun.subject == told.subject
    assert told.subject.startswith("csv ")


@pytest.mark.parametrize("role", ["stence_writer", "stence_approver"])
@pytest.mark.parametrize("action", ["flags.changed", "scores.written"])
def test_entries_that_the_verification_believes_are_the_triggers_own(
    engine: Engine, role: str, action: str
) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
        audit.record(connection, "test.added", "thing", by="Dr A", why="a test")
        with pytest.raises(DBAPIError, match="by their triggers alone"):
            audit.record(connection, action, "flags", by="Dr A", why="forged")


def test_a_writer_who_names_a_person_changes_no_flag(hospital: Engine) -> None:
    """It may lock flags, and so it has the right to update the number, to its default at least."""
    with hospital.connect() as connection:
        connection.exec_driver_sql("SET LOCAL ROLE stence_writer; SET LOCAL stence.person = 'Dr A'")
        with pytest.raises(DBAPIError, match="write the audit alone"):
            connection.exec_driver_sql("UPDATE flags SET id = DEFAULT")
