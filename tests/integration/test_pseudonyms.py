"""Patients under pseudonyms: numbers stand in one map, and reads of it are recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from stence.export.sending import send_csv, send_fhir
from stence.objects import ObjectStore
from stence.preparation import job
from stence.settings import Settings
from support.identity import listed, put_named
from support.models import ShapeScorer
from support.named_patients import PLANTED, answers, name_patients, places_of, reads
from support.pseudonyms import numbers, pseudonym
from support.scoring import ScoreAll


@pytest.fixture
def engine(owner_engine: Engine) -> Engine:
    """The owner's, whom the map hides nothing."""
    return owner_engine


@pytest.fixture
def hospital(engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll) -> Engine:
    """A hospital that names patients in every way."""
    name_patients(engine, store, settings, score_all)
    return engine


# --- where numbers are


def test_no_table_but_the_map_holds_a_number(
    hospital: Engine, store: ObjectStore, settings: Settings
) -> None:
    send_fhir(hospital, store, settings)
    send_csv(hospital, store, settings)
    assert places_of(hospital, PLANTED) == {"identity.patients": 6}
    assert set(numbers(hospital).values()) == {f"{PLANTED}-{number}" for number in (1, 2, 3, 5, 6, 7)}
    exported = b"".join(store.get(each.key) for each in store.list("export/"))
    assert PLANTED.encode() not in exported
    assert pseudonym(f"{PLANTED}-2").encode() in exported


def test_patients_are_told_apart_and_together_as_by_their_numbers(hospital: Engine) -> None:
    assert listed(hospital) == {f"{PLANTED}-2", f"{PLANTED}-6"}
    quarantined = answers(hospital, "SELECT reason FROM quarantine WHERE state = 'open' ORDER BY reason")
    assert [reason for (reason,) in quarantined] == [
        "patient_conflict",
        "patient_conflict",
        "patient_mismatch",
    ]
    assert answers(hospital, "SELECT state, study_id FROM angiogram_views") == [("pending", "S1")]


def test_a_message_holds_the_number_where_settings_say_so_and_the_audit_that_it_was_read(
    hospital: Engine, store: ObjectStore, settings: Settings
) -> None:
    send_csv(hospital, store, settings.model_copy(update={"patient_system": "urn:oid:1.2"}))
    [file] = store.list("export/csv/")
    assert f"{PLANTED}-2".encode() in store.get(file.key)
    patients = sorted(pseudonym(f"{PLANTED}-{number}") for number in (2, 6))
    assert reads(hospital) == [("export of flags", patients)]
    assert places_of(hospital, PLANTED) == {"identity.patients": 6}


def test_the_flows_read_numbers_of_waiting_messages_alone(
    hospital: Engine, store: ObjectStore, settings: Settings
) -> None:
    send_csv(hospital, store, settings)
    everything = "SELECT number FROM identity.numbers_to_send(ARRAY(SELECT id FROM flag_exports))"
    assert answers(hospital, everything) == []
    with hospital.begin() as connection:
        connection.execute(text("UPDATE flag_exports SET sent_at = NULL WHERE id = 1"))
    assert len(answers(hospital, everything)) == 1


def test_the_flows_cannot_write_themselves_a_message_about_anybody(
    hospital: Engine, store: ObjectStore, settings: Settings
) -> None:
    send_csv(hospital, store, settings)
    forged = (
        "INSERT INTO flag_exports (flag_id, format, destination, status, patient_id) "
        "SELECT DISTINCT ON (patient_id) (SELECT min(id) FROM flags), 'csv', patient_id, 'final', patient_id "
        "FROM ecgs"
    )
    with hospital.begin() as connection:
        connection.exec_driver_sql("SET LOCAL ROLE stence_writer")
        connection.exec_driver_sql(forged)
        own = connection.scalar(text("SELECT patient_id FROM flags ORDER BY id LIMIT 1"))
        read = text("SELECT patient_id FROM identity.numbers_to_send(ARRAY(SELECT id FROM flag_exports))")
        assert set(connection.scalars(read)) == {own}


@pytest.mark.parametrize("written", ["UNKNOWN", "4\\5", "9" * 80])
def test_what_is_no_patient_number_is_not_looked_for(
    hospital: Engine, stence: Callable[..., Result], written: str
) -> None:
    said = stence("patients", "find", written, "--why", "a call")
    assert said.exit_code == 1
    assert "is not a patient number" in said.output
    assert reads(hospital) == []


def test_a_child_that_a_file_controls_does_not_spoil_the_map(
    engine: Engine, score_all: ScoreAll, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if a child answered with the number of another patient: its answers come through ``decode``."""
    honest = job.decode

    def lying(message: dict[str, Any], requests: Sequence[job.Request]) -> job.Reply:
        reply = honest(message, requests)
        answers = [answer._replace(facts=answer.facts._replace(number="victim")) for answer in reply.answers]  # type: ignore[union-attr]
        return reply._replace(answers=answers)

    monkeypatch.setattr(job, "decode", lying)
    put_named(store, "1", "attacker", 1)
    assert score_all(ShapeScorer(threshold=0)).scored_by_run == 1
    assert numbers(engine) == {}


# --- reading the map


def test_a_number_is_found_by_pseudonym_and_a_pseudonym_by_number_also_a_former_one(
    hospital: Engine, stence: Callable[..., Result]
) -> None:
    former, present = pseudonym(f"{PLANTED}-3"), pseudonym(f"{PLANTED}-2")
    found = stence("patients", "find", f" {PLANTED}-3 ", "--why", "call of the ward")
    assert found.output == f"Pseudonym {former}, now {present}\n"
    assert f"{PLANTED}-2" in stence("patients", "number", present, "--why", "ward round").output
    assert stence("patients", "find", "4711-unknown", "--why", "call of the ward").exit_code == 1
    assert reads(hospital) == [
        ("call of the ward", [former]),
        ("ward round", [present]),
        ("call of the ward", []),
    ]


def test_the_list_shows_numbers_to_whoever_gives_a_reason(
    hospital: Engine, stence: Callable[..., Result]
) -> None:
    assert PLANTED not in stence("query", "flagged_patients", "--csv").output
    assert stence("query", "flagged_patients", "--identified").exit_code == 2
    assert stence("query", "flag_counts", "--identified", "--why", "ward round").exit_code == 2
    shown = stence("query", "flagged_patients", "--csv", "--identified", "--why", "ward round").output
    named = {line.split(",")[0] for line in shown.splitlines()[1:]}
    with hospital.connect() as connection:
        in_sql = set(connection.scalars(text("SELECT number FROM identity.flagged_patients('ward round')")))
        connection.commit()
    assert named == in_sql > set()
    ((first, patients), again) = reads(hospital)
    assert (first, len(patients)) == ("ward round", len(named))
    assert again == (first, patients)


@pytest.mark.parametrize("why", ["NULL", "''", "' '"])
@pytest.mark.parametrize("read", ["numbers_of(ARRAY['a'], {})", "find('a', {})", "flagged_patients({})"])
def test_nobody_reads_the_map_without_a_reason(engine: Engine, read: str, why: str) -> None:
    with pytest.raises(DBAPIError, match="says why"):
        answers(engine, f"SELECT * FROM identity.{read.format(why)}")  # noqa: S608


def test_who_may_add_to_the_map_cannot_read_it(engine: Engine) -> None:
    grants = "GRANT USAGE ON SCHEMA identity TO adds; GRANT EXECUTE ON FUNCTION identity.remember TO adds"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE adds; {grants}; SET LOCAL ROLE adds"))
        connection.execute(text("SELECT identity.remember(ARRAY['p', 'p'], ARRAY['n', 'n'])"))
        connection.execute(text("SELECT identity.remember(ARRAY['p'], ARRAY['n'])"))
        for read in (
            "identity.patients",
            "identity.visible(ARRAY['p'])",
            "identity.numbers_of(ARRAY['p'], 'curious')",
        ):
            with pytest.raises(DBAPIError, match="permission denied"), connection.begin_nested():
                connection.execute(text(f"SELECT * FROM {read}"))  # noqa: S608
        connection.execute(text("RESET ROLE; DROP OWNED BY adds; DROP ROLE adds"))
    assert numbers(engine) == {"p": "n"}


def test_a_number_never_gets_a_second_pseudonym(engine: Engine) -> None:
    answers(engine, "SELECT identity.remember(ARRAY['p'], ARRAY['n'])")
    with engine.begin() as connection:
        connection.execute(text("SELECT identity.remember(ARRAY['p'], ARRAY['n'])"))
        with pytest.raises(DBAPIError, match="another key"), connection.begin_nested():
            connection.execute(text("SELECT identity.remember(ARRAY['q'], ARRAY['n'])"))
