"""A patient is forgotten: nothing is left but the audit's line, nothing comes back, and the counts add up."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, text

from stence import forgetting, scoring
from stence.database import audit, queries
from stence.database.tables import (
    angiogram_views,
    cath_studies,
    ecg_pages,
    ecgs,
    flags,
    patient_merges,
)
from stence.errors import ForgettingError, ReceiverUnavailableError
from stence.export import send_csv, send_fhir
from stence.files import try_lock
from stence.objects import ObjectStore
from stence.settings import Settings
from support.fhir import FhirServer
from support.forgetting import (
    FORMER,
    NAMES,
    OTHER,
    PATIENT,
    TABLES,
    all_audit,
    forget,
    found_in_tables,
    hashes_of,
    ingest,
)
from support.identity import listed, patients_by_key, put_manifest, put_named
from support.models import ShapeScorer
from support.pseudonyms import pseudonym
from support.scoring import ScoreAll, all_rows, in_quarantine


@pytest.fixture
def engine(owner_engine: Engine) -> Engine:
    """The owner's: stence patients forget and opt-out act with it."""
    return owner_engine


@pytest.fixture
def score(score_all: ScoreAll) -> ScoreAll:
    """Score with a model that flags every ECG."""
    return lambda version="shape-1": score_all(ShapeScorer(version, threshold=0))


TRAINED = """
INSERT INTO training_runs (id, preset, state, config, model_version, data_as_of)
VALUES (gen_random_uuid(), 'small', 'finished', '{}', 'shape-1', now() + interval '1 day')
"""


def ecg_of(engine: Engine, patient: str) -> int:
    rows = all_rows(engine, ecgs.c.id, ecgs.c.patient_id)
    return next(number for number, who in rows if who == patient)


def found_in_files(folders: Iterable[Path], needles: Iterable[str]) -> list[Path]:
    return [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and any(needle.encode() in path.read_bytes() for needle in needles)
    ]


def reviewed_and_snoozed(connection: Connection, engine: Engine, note: str | None = None) -> int:
    """The number of an ECG of the patient, after a person has seen it."""
    number = ecg_of(engine, PATIENT)
    scoring.reviews.review(connection, number, outcome="confirmed", by="Dr B", note=note)
    scoring.reviews.snooze(connection, number, until=date(2026, 12, 1), by="Dr B", why="on leave")
    return number


def test_nothing_is_left_of_a_patient_but_the_audits_line(
    two_patients: None, engine: Engine, store: ObjectStore, settings: Settings, score: ScoreAll
) -> None:
    hashes = hashes_of(engine, PATIENT)
    assert len(hashes) == 3
    everything = [*NAMES, *hashes]
    assert all_rows(engine, angiogram_views.c.state) == [("ready",)]
    assert len(list(store.list("features/"))) == 1
    with engine.begin() as connection:
        number = reviewed_and_snoozed(connection, engine, note=f"spoke with {PATIENT}")
        page = {
            "model_version": "shape-1",
            "object_key": f"pages/shape-1/{number}.html",
            "patient_id": PATIENT,
        }
        connection.execute(insert(ecg_pages).values(page | {"content_hash": bytes.fromhex(hashes[0])}))
    store.put(f"pages/shape-1/{number}.html", f"<b>{PATIENT}</b>".encode())
    store.put("pages/ward-list-2026-03-02.html", f"<b>{pseudonym(PATIENT)}</b>".encode())
    store.put("pages/ward-list-2026-03-01.html", f"<b>{pseudonym(OTHER)}</b>".encode())
    send_csv(engine, store, settings)
    theirs, others = folder_with(settings, "a", hashes), folder_with(settings, "b", ["00" * 32])

    done = forget(engine, store, settings, FORMER)

    assert done.rows["scores"] == done.rows["ecgs"] == 3
    assert (done.rows["reviews"], done.rows["snoozes"], done.rows["ecg_pages"]) == (1, 1, 1)
    assert done.rows["angiogram_features"] == 1
    assert list(store.list("features/")) == []
    assert done.rows["cath_studies"] == done.rows["patient_merges"] == done.rows["manifest_rows"] == 1
    assert found_in_tables(engine, everything) == []
    own = [settings.data_dir / "store" / name for name in ("pages", "features", "models")]
    assert found_in_files([*own, settings.data_dir / "training"], everything) == []
    assert [item.key for item in store.list("pages/")] == ["pages/ward-list-2026-03-01.html"]
    assert (theirs.exists(), others.exists()) == (False, True)
    entry = all_audit(engine, "patient.")[-1]
    assert (entry.action, entry.person, entry.reason) == ("patient.forgotten", "Dr A", "asked by letter")
    assert entry.detail["rows"]["scores"] == 3
    assert audit.verify(engine).faults == []


def folder_with(settings: Settings, name: str, hashes: list[str]) -> Path:
    """A training's working folder with these ECGs."""
    folder = settings.data_dir / "training" / name
    (folder / "cohort").mkdir(parents=True)
    (folder / "lock").touch()
    (folder / "cohort" / "cohort.json").write_text(
        json.dumps({"ecgs": [{"content": each} for each in hashes]})
    )
    return folder


def test_nothing_comes_back_and_the_counts_add_up(
    two_patients: None, engine: Engine, store: ObjectStore, settings: Settings, score: ScoreAll
) -> None:
    needles = [*NAMES, *hashes_of(engine, PATIENT)]
    forget(engine, store, settings)
    files = ("angio/1.dcm", *(f"ecg/{n}.hea" for n in "123"))
    assert in_quarantine(engine) == dict.fromkeys(files, "opted_out")
    for version in ("shape-1", "shape-2"):  # another model reads the whole archive
        put_named(store, f"{version}-new", PATIENT, 6)
        put_manifest(store, (PATIENT, "3"), (OTHER, "4"), (FORMER, "7"), key=f"ecg/{version}/record_list.csv")
        put_manifest(store, (PATIENT, "3"), (OTHER, "4"), (PATIENT, version))
        summary = score(version)
        ingest(engine, store, settings)
        assert summary.indexed == summary.scored + summary.quarantined + summary.pending
        assert (summary.scored, summary.pending) == (2, 0)
        assert set(in_quarantine(engine).values()) == {"opted_out"}
        assert found_in_tables(engine, needles) == []
    assert patients_by_key(engine) == {"ecg/4.hea": OTHER, "ecg/5.hea": OTHER}
    assert all_rows(engine, cath_studies.c.patient_id) == [(OTHER,)]
    assert all_rows(engine, patient_merges.c.former_id) == []
    for query, column in (("worklist", "indexed"), ("flag_counts", "flags"), ("list_counts", "flagged")):
        with engine.connect() as connection:
            columns, rows = queries.run(connection, query, {})
        assert column in columns
        assert rows
    assert listed(engine) == {OTHER}


def test_a_dry_run_counts_and_changes_nothing(
    two_patients: None, engine: Engine, store: ObjectStore, settings: Settings, stence: Any
) -> None:
    before = everything_in(engine)
    ask = ("patients", "forget", PATIENT, "--by", "Dr A", "--why", "letter")
    result = stence(*ask)
    assert result.exit_code == 0, result.output
    assert "repeat the command with --yes" in result.output
    assert PATIENT not in result.output
    assert everything_in(engine) == before
    would = forgetting.try_forgetting(engine, settings, PATIENT)
    assert stence(*ask, "--yes").output.endswith("Forgotten.\n")
    assert would.rows["flags"] == 3
    assert forget(engine, store, settings).rows["flags"] == 0  # a second time there is nothing


def everything_in(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        tables = list(connection.scalars(text(TABLES)))
        counts = (connection.scalar(text(f"SELECT count(*) FROM {table}")) for table in tables)  # noqa: S608
        return dict(zip(tables, counts, strict=True))


@pytest.mark.parametrize("number", ["", "UNKNOWN", "a\\b"])
def test_what_is_no_patient_number_is_refused(engine: Engine, settings: Settings, number: str) -> None:
    with pytest.raises(ForgettingError, match="patient number"):
        forgetting.try_forgetting(engine, settings, number)


def test_a_training_at_work_keeps_its_folder_until_it_ends(
    two_patients: None, engine: Engine, store: ObjectStore, settings: Settings, stence: Any
) -> None:
    hashes = hashes_of(engine, PATIENT)
    folder = folder_with(settings, "a", hashes)
    unfinished = folder_with(settings, "b", [])
    (unfinished / "cohort" / "cohort.json").unlink()
    yes = ("patients", "forget", PATIENT, "--by", "Dr A", "--why", "letter", "--yes")
    with (folder / "lock").open("r+") as lock:
        assert try_lock(lock)
        result = stence(*yes)
    assert result.exit_code == 1
    assert "repeated after its end" in " ".join(result.output.split())
    assert listed(engine) == {OTHER}
    assert (folder.exists(), unfinished.exists()) == (True, False)
    assert stence(*yes).exit_code == 0
    assert not folder.exists()


class Told:
    """What a FHIR server holds."""

    def __init__(self, server: FhirServer) -> None:
        self._server = server

    @property
    def statuses(self) -> list[str]:
        return sorted(each["status"] for each in self._server.of("RiskAssessment"))


@pytest.fixture
def with_server(settings: Settings, fhir_server: FhirServer) -> Settings:
    from pydantic import SecretStr

    given = {"fhir_url": fhir_server.url, "fhir_token": SecretStr("sesame"), "outage_seconds": 0}
    return settings.model_copy(update=given)


def test_the_receiver_is_told_first(
    two_patients: None, engine: Engine, store: ObjectStore, with_server: Settings, fhir_server: FhirServer
) -> None:
    send_fhir(engine, store, with_server)
    told = Told(fhir_server)
    assert told.statuses == ["final"] * 5
    fhir_server.faults = ["unheard"]
    with pytest.raises(ReceiverUnavailableError):
        forget(engine, store, with_server)
    assert len(all_rows(engine, flags.c.id)) == 5  # nothing is lost that is still to be told
    done = forget(engine, store, with_server)
    assert told.statuses == ["entered-in-error"] * 3 + ["final"] * 2
    assert (done.untold, list(done.receivers.values())) == ([], [3])
    assert found_in_tables(engine, NAMES) == []


def test_exported_files_lose_the_patient_and_tell_their_receiver(
    two_patients: None, engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    send_fhir(engine, store, settings)
    send_csv(engine, store, settings)
    whole = store.get("export/csv/000000000006.csv").decode().splitlines()
    done = forget(engine, store, settings)
    kept = store.get("export/csv/000000000006.csv").decode().splitlines()
    assert (len(whole), len(kept)) == (6, 3)
    assert set(kept) <= set(whole)
    statuses = [json.loads(store.get(item.key)) for item in store.list("export/fhir/")]
    found = sorted(
        entry["resource"]["status"]
        for bundle in statuses
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "RiskAssessment"
    )
    assert found == ["entered-in-error"] * 3 + ["final"] * 2
    assert len(done.kept_files) == 4  # a file each in FHIR, one as CSV


def test_a_receiver_that_the_settings_do_not_name_is_not_told(
    two_patients: None, engine: Engine, store: ObjectStore, with_server: Settings, settings: Settings
) -> None:
    send_fhir(engine, store, with_server)
    done = forget(engine, store, settings)
    assert done.untold == list(done.receivers) == [with_server.fhir_url]


def test_models_that_learned_from_the_patient_are_named(
    two_patients: None, engine: Engine, settings: Settings, store: ObjectStore, stence: Any
) -> None:
    with engine.begin() as connection:
        connection.execute(text(TRAINED))
    output = stence("patients", "forget", PATIENT, "--by", "Dr A", "--why", "letter", "--yes").output
    assert "shape-1" in output
    assert "cannot unlearn" in output
    detail = all_audit(engine, "patient.")[-1].detail
    assert [each["model_version"] for each in detail["models"]] == ["shape-1"]


@pytest.mark.parametrize("change", ["UPDATE reviews SET note = ''", "DELETE FROM snoozes"])
def test_histories_stay_append_only_afterwards(
    two_patients: None, engine: Engine, store: ObjectStore, settings: Settings, change: str
) -> None:
    with engine.begin() as connection:
        reviewed_and_snoozed(connection, engine)
    forget(engine, store, settings)
    with pytest.raises(Exception, match="append-only"), engine.begin() as connection:
        connection.execute(text(change))
