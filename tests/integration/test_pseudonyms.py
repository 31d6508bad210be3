"""Patients under pseudonyms: numbers stand in one map, reads of it are recorded, and keys are not mixed."""

from __future__ import annotations

import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from stence import cohort, database, scoring
from stence.angiography.indexing import index_angiograms
from stence.cli import main
from stence.database import migrate
from stence.database.identity import KEPT_KEY, PRACTICE_KEY
from stence.domain.merged_patients import Patients
from stence.domain.pseudonyms import Pseudonyms
from stence.domain.splits import Split, split_of
from stence.errors import ConfigurationError
from stence.export.sending import send_csv, send_fhir
from stence.ingest.patients import load_patients
from stence.objects import ObjectStore
from stence.preparation import job
from stence.pseudonym_key import FILE_NAME
from stence.resources import sql_folder
from stence.settings import Settings
from support import synthetic
from support.angiograms import run
from support.database import tampering, url_of
from support.ecgs import heartbeats, store_ecg
from support.environment import set_environment
from support.identity import listed, put_manifest, put_named
from support.models import ShapeScorer
from support.pseudonyms import numbers, pseudonym
from support.scoring import ScoreAll


@pytest.fixture
def engine(owner_engine: Engine) -> Engine:
    """The owner's, whom the map hides nothing."""
    return owner_engine


PLANTED = "PLANTED"
"""Part of every patient number of these tests, and of nothing else."""
TABLES = """
SELECT CAST(c.oid::regclass AS text) FROM pg_class AS c
WHERE c.relkind = 'r' AND c.relnamespace::regnamespace::text NOT LIKE 'pg\\_%'
  AND c.relnamespace <> 'information_schema'::regnamespace
"""
LIST = "SELECT patient_id, probability FROM flagged_patients_all ORDER BY probability, patient_id"


@pytest.fixture
def stence(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    set_environment(monkeypatch, settings)
    return lambda *arguments: CliRunner().invoke(main, arguments)


@pytest.fixture
def hospital(engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll) -> Engine:
    """A hospital whose ECGs, manifests, reports, angiograms and merges name patients, in every way."""
    put_named(store, "1", f"{PLANTED}-1", 1)
    put_named(store, "2", f"{PLANTED}-2", 2)
    put_named(store, "3", f"{PLANTED}-3", 3)
    put_named(store, "wrong", f"{PLANTED}-4", 4)
    put_named(store, "twin", f"{PLANTED}-5", 1)
    store_ecg(store, "ecg/by-manifest.hea", heartbeats(6))
    put_manifest(store, (f"{PLANTED}-6", "by-manifest"), (f"{PLANTED}-7", "wrong"))
    rows = ("study_id,patient_id,performed_at,segment,degree", f"S1,{PLANTED}-2,2026-03-10T12:00:00,6,90", "")
    store.put("reports/r.csv", "\n".join(rows).encode())
    store.put("angio/a.dcm", run(f"{PLANTED}-2", 1, accession="S1"))
    store.put("patients/merges.csv", f"former_id,present_id\n{PLANTED}-3,{PLANTED}-2\n".encode())
    score_all(ShapeScorer(threshold=0))
    cohort.index_reports(engine, store, settings)
    index_angiograms(engine, store, settings)
    return engine


def places_of(engine: Engine, planted: str) -> dict[str, int]:
    """Tables of every schema with rows that hold a text, in a column of any type, and the number of rows."""
    found = {}
    with tampering(engine) as connection:
        for table in connection.scalars(text(TABLES)).all():
            count = text(f"SELECT count(*) FROM {table} AS t WHERE CAST(to_jsonb(t) AS text) LIKE :planted")  # noqa: S608
            if rows := connection.scalar(count, {"planted": f"%{planted}%"}):
                found[table] = rows
    return found


def reads(engine: Engine) -> list[tuple[Any, ...]]:
    """Reason and patients of every recorded read of the map."""
    read = "FROM audit.entries WHERE action = 'patients.identified' ORDER BY id"
    return answers(engine, f"SELECT reason, detail -> 'patients' {read}")


def answers(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with tampering(engine) as connection:
        return [tuple(row) for row in connection.execute(text(query))]


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


def test_a_child_that_a_file_controls_does_not_spoil_the_map(
    engine: Engine, score_all: ScoreAll, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if a child answered with the number of another patient: its answers come through ``decode``."""
    honest = job.decode

    def lying(message: dict[str, Any]) -> job.Reply:
        reply = honest(message)
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
    assert stence("patients", "find", "nobody", "--why", "call of the ward").exit_code == 1
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


# --- the key


@pytest.fixture
def keyless(settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings without a key, of a database that has had none."""
    monkeypatch.delenv("STENCE_PSEUDONYM_KEY")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM installation"))
    return settings.model_copy(update={"pseudonym_key": None, "data_dir": settings.data_dir / "new"})


def connect(settings: Settings) -> None:
    with database.connect(settings):
        pass


def test_the_first_host_draws_a_key_that_postgres_does_not_hold(engine: Engine, keyless: Settings) -> None:
    connect(keyless)
    file = keyless.data_dir / FILE_NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert places_of(engine, file.read_text().strip()) == {}
    connect(keyless)


def test_a_host_with_another_key_or_none_is_refused_before_it_writes(
    engine: Engine, settings: Settings
) -> None:
    before = answers(engine, "SELECT * FROM installation")
    for key, said in ((SecretStr("other"), "STENCE_PSEUDONYM_KEY is another one"), (None, "key is missing")):
        with pytest.raises(ConfigurationError, match=said):
            connect(settings.model_copy(update={"pseudonym_key": key}))
    assert not (settings.data_dir / FILE_NAME).exists()
    assert answers(engine, "SELECT * FROM installation") == before


def test_a_key_that_postgres_held_moves_to_the_file(engine: Engine, keyless: Settings) -> None:
    keep = text("INSERT INTO installation (name, value) VALUES (:name, 'kept key of exports')")
    with engine.begin() as connection:
        connection.execute(keep, {"name": KEPT_KEY})
    connect(keyless)
    assert (keyless.data_dir / FILE_NAME).read_text().strip() == "kept key of exports"
    assert places_of(engine, "kept key") == {}


def test_the_practice_hospital_has_a_key_of_its_own_that_no_other_may_have(
    engine: Engine, keyless: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, keyless.model_copy(update={"pseudonym_key": SecretStr("")}))
    monkeypatch.delenv("STENCE_PSEUDONYM_KEY")
    assert CliRunner().invoke(main, ["simulate", "--patients", "3"]).exit_code == 0
    assert (keyless.data_dir / FILE_NAME).read_text().strip() == PRACTICE_KEY
    connect(keyless)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM installation"))
    with pytest.raises(ConfigurationError, match="public key of the practice hospital"):
        connect(keyless)


def test_a_new_key_changes_every_pseudonym_and_nothing_else(
    hospital: Engine,
    settings: Settings,
    stence: Callable[..., Result],
    store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with hospital.connect() as connection:
        old = load_patients(connection)
    known, on_list = numbers(hospital), listed(hospital)
    sent = send_csv(hospital, store, settings).raised
    command = ("patients", "rekey", str(tmp_path / "new.key"), "--by", "Dr A", "--why", "yearly")
    dry = stence(*command)
    assert "Nothing was changed" in dry.output
    assert numbers(hospital) == known

    done = stence(*command, "--yes")
    assert done.exit_code == 0, done.output
    assert "identity.patients" in done.output
    new = Pseudonyms.by((tmp_path / "new.key").read_text().strip())
    assert numbers(hospital) == {new.of(number): number for number in known.values()}
    assert [places_of(hospital, patient) for patient in known] == [{}] * len(known)
    assert listed(hospital) == on_list
    with hospital.connect() as connection:
        patients = load_patients(connection)
    assert {patients.split_of(new.of(n)) == old.split_of(p) for p, n in known.items()} == {True}

    assert "is another one" in stence("query").output + str(stence("patients", "show", "x").output)
    monkeypatch.delenv("STENCE_PSEUDONYM_KEY")
    key = SecretStr((tmp_path / "new.key").read_text().strip())
    renewed = settings.model_copy(update={"pseudonym_key": key})
    with database.connect(renewed) as engine:
        scoring.index(engine, store, renewed)
        with scoring.open_run(engine, store, renewed, ShapeScorer(threshold=0)) as run:
            while run.score(limit=64):
                pass
        assert run.summary().scored_by_run == 0
        assert listed(engine) == on_list
        assert send_csv(engine, store, renewed).corrected == sent  # receivers learn the new pseudonyms


def test_a_living_run_has_the_old_key_and_is_waited_for(
    hospital: Engine, store: ObjectStore, settings: Settings, stence: Callable[..., Result], tmp_path: Path
) -> None:
    with scoring.open_run(hospital, store, settings, ShapeScorer(threshold=0)):
        said = stence("patients", "rekey", str(tmp_path / "k"), "--by", "A", "--why", "w", "--yes")
    assert said.exit_code == 1
    assert "1 runs are alive" in said.output


# --- databases of earlier releases


@pytest.fixture
def earlier(
    postgres: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Settings, Engine]]:
    """A database of the schema before pseudonyms, with scored ECGs; it is migrated by the next connection."""
    folder = shutil.copytree(sql_folder(), tmp_path / "sql")
    monkeypatch.setattr(migrate, "sql_folder", lambda: folder)
    newer = [path for path in (folder / "migrations" / "versions").glob("*.py") if path.name >= "0024"]
    for kind in ("identity_*", "forget_*", "promotion_requests", "withdraw_opted_out"):
        newer += (folder / "functions").glob(f"{kind}.sql")
    newer += (folder / "grants").glob("*.sql")
    for path in newer:
        shutil.move(path, folder / path.name)
    database.create_database(postgres, name := f"earlier_{uuid.uuid4().hex}")
    settings = Settings(data_dir=tmp_path, database_url=SecretStr(url_of(postgres, name)))
    with database.connect_as_owner(settings) as engine:
        synthetic.load(engine, ecgs=400, patients=100)
        with engine.begin() as connection:
            connection.execute(text(OF_EARLIER_RELEASES))
        for path in newer:
            shutil.move(folder / path.name, path)
        yield settings, engine


OF_EARLIER_RELEASES = """
INSERT INTO cath_studies (study_id, patient_id, performed_at, split, max_degree, report_key, fingerprint)
VALUES ('S1', 'p1', '2026-01-01Z', 'test', 90, 'reports/r.csv', 'hash of p1');
INSERT INTO patient_merges (former_id, present_id, state, source, made_by, reason)
VALUES ('p2', 'p3', 'active', 'command', 'Dr A', 'one person');
INSERT INTO patient_aliases VALUES ('p2', 'p3');
INSERT INTO patient_splits (patient_id, split) VALUES ('p2', 'train'), ('p3', 'train');
INSERT INTO ecg_moments VALUES (1);
DELETE FROM installation WHERE name = 'pseudonym_fingerprint';
INSERT INTO installation VALUES ('pseudonym_key', 'kept key of exports')
"""


def test_a_database_of_an_earlier_release_has_the_same_list_and_splits_under_pseudonyms(
    earlier: tuple[Settings, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, engine = earlier
    monkeypatch.delenv("STENCE_PSEUDONYM_KEY")
    before = answers(engine, LIST)
    former = dict(answers(engine, "SELECT patient_id, present_id FROM patient_aliases"))
    decided = dict(answers(engine, "SELECT patient_id, split FROM patient_splits"))
    old = Patients(former, {patient: Split(split) for patient, split in decided.items()})
    drawn = settings.model_copy(update={"pseudonym_key": None})
    connect(drawn)

    new = Pseudonyms.by("kept key of exports")
    assert (settings.data_dir / FILE_NAME).read_text().strip() == "kept key of exports"
    known = numbers(engine)
    assert set(known.values()) >= {f"p{number}" for number in range(100)}
    assert set(known) == {new.of(number) for number in known.values()}
    assert {(known[patient], probability) for patient, probability in answers(engine, LIST)} == set(before)
    with engine.connect() as connection:
        patients = load_patients(connection)
    assert {patients.split_of(p) is old.split_of(number) for p, number in known.items()} == {True}
    assert any(split_of(patient) is not split_of(number) for patient, number in known.items())
    assert patients.present(new.of("p2")) == new.of("p3")
    assert set(answers(engine, "SELECT fingerprint FROM cath_studies")) == {("",)}
    assert answers(engine, "SELECT count(*) FROM ecg_moments") == [(0,)]
    assert places_of(engine, '"p77"') == {"identity.patients": 1}
    assert places_of(engine, "kept key") == {}
    connect(drawn)
