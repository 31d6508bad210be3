"""The key of pseudonyms: it is not mixed, it changes with all that it made, and earlier databases get one."""

from __future__ import annotations

import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr
from sqlalchemy import Engine, text

from stence import database, scoring
from stence.cli import main
from stence.database import migrate
from stence.database.identity import KEPT_KEY, PRACTICE_KEY
from stence.domain.merged_patients import Patients
from stence.domain.pseudonyms import Pseudonyms
from stence.domain.splits import Split, split_of
from stence.errors import ConfigurationError
from stence.export.sending import send_csv
from stence.ingest.patients import load_patients
from stence.objects import ObjectStore
from stence.pseudonym_key import FILE_NAME
from stence.resources import sql_folder
from stence.settings import Settings
from support import synthetic
from support.database import url_of
from support.environment import set_environment
from support.identity import listed
from support.models import ShapeScorer
from support.named_patients import answers, name_patients, places_of
from support.pseudonyms import numbers
from support.scoring import ScoreAll

LIST = "SELECT patient_id, probability FROM flagged_patients_all ORDER BY probability, patient_id"


@pytest.fixture
def engine(owner_engine: Engine) -> Engine:
    """The owner's, whom the map hides nothing."""
    return owner_engine


@pytest.fixture
def hospital(engine: Engine, store: ObjectStore, settings: Settings, score_all: ScoreAll) -> Engine:
    """A hospital that names patients in every way."""
    name_patients(engine, store, settings, score_all)
    return engine


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
