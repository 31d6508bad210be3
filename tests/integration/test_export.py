"""Flags go out to other systems once each, whatever fails, and say nothing personal."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from multiprocessing.process import BaseProcess
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import SecretStr
from sqlalchemy import Engine, delete, select, text

from stence import registry
from stence.cli import main
from stence.database.tables import flag_exports, flags
from stence.errors import ConfigurationError, ReceiverUnavailableError
from stence.export import Sent, send_fhir
from stence.objects import ObjectStore
from stence.settings import Settings
from support.database import tampering
from support.environment import set_environment
from support.exporting import FEW, change, open_flags, withdraw
from support.fhir import FhirServer, validate
from support.processes import start_exporter
from support.scoring import all_rows

Export = Callable[..., Sent]
OF_ONE_ECG = """
UPDATE flags SET state = 'withdrawn', withdrawn_for = :why
WHERE content_hash = (SELECT content_hash FROM flags WHERE id = :f)
"""


@pytest.fixture
def server(fhir_server: FhirServer) -> FhirServer:
    return fhir_server


@pytest.fixture
def settings(settings: Settings, server: FhirServer) -> Settings:
    given = {"fhir_url": server.url, "fhir_token": SecretStr("sesame"), "outage_seconds": 0}
    return settings.model_copy(update=given)


@pytest.fixture
def export(engine: Engine, store: ObjectStore, settings: Settings) -> Export:
    """Send to the server, with other settings where they are given."""
    return lambda **other: send_fhir(engine, store, settings.model_copy(update=other))


def statuses(server: FhirServer) -> Counter[str]:
    return Counter(each["status"] for each in server.of("RiskAssessment"))


def ledger(engine: Engine) -> list[tuple[Any, ...]]:
    e = flag_exports.c
    return all_rows(engine, e.flag_id, e.status, e.sent_at.is_not(None), e.refusal.is_not(None))


@pytest.mark.slow
def test_a_thousand_flags_exported_twice_are_a_thousand_resources(
    engine: Engine, server: FhirServer, export: Export
) -> None:
    open_flags(engine, 1000, ecgs=12000)
    assert export() == Sent(1000, 0, 0, 0)
    assert export() == Sent(0, 0, 0, 0)
    assert server.posts == 1000
    change(engine, "DELETE FROM flag_exports")  # as after the restoration of an old backup
    assert export() == Sent(1000, 0, 0, 0)
    assert len(server.of("RiskAssessment")) == len(server.of("Provenance")) == 1000
    assert len(server.of("Device")) == 1
    assert {each["meta"]["versionId"] for each in server.of("RiskAssessment")} == {"1"}


def test_only_open_flags_of_the_champion_are_sent(engine: Engine, few: list[int], export: Export) -> None:
    change(engine, "UPDATE flags SET state = 'confirmed' WHERE id = :f", f=few[0])
    change(engine, "UPDATE flags SET model_version = 'synthetic-1' WHERE id = :f", f=few[1])
    assert export() == Sent(FEW - 2, 0, 0, 0)
    assert {flag for flag, *_ in ledger(engine)} == set(few[2:])


def test_a_withdrawn_flag_is_sent_as_an_error_and_corrected_when_it_comes_back(
    engine: Engine, server: FhirServer, few: list[int], export: Export
) -> None:
    export()
    change(engine, "DELETE FROM scores WHERE model_version = 'synthetic-1'")  # it has flags of its own
    with engine.begin() as connection:
        registry.rollback(connection, by="ada", why="worse")
    assert export() == Sent(0, 0, FEW, 0)
    assert statuses(server) == {"entered-in-error": FEW}
    assert "the model is not in use any more" in server.of("RiskAssessment")[0]["note"][0]["text"]
    assert export() == Sent(0, 0, 0, 0)
    change(engine, "UPDATE flags SET state = 'open', withdrawn_for = NULL WHERE id = :f", f=few[0])
    assert export() == Sent(0, 1, 0, 0)
    assert statuses(server) == {"entered-in-error": FEW - 1, "corrected": 1}
    assert len(server.of("Provenance")) == 2 * FEW + 1


def test_a_flag_that_goes_to_another_patient_is_corrected(
    engine: Engine, server: FhirServer, few: list[int], export: Export
) -> None:
    system = "urn:oid:1.2.3"
    numbers = {patient for (patient,) in all_rows(engine, flags.c.patient_id)} | {"another"}
    server.resources["Patient"] = {
        f"Patient/{number}": {"identifier": [{"system": system, "value": number}]} for number in numbers
    }
    export(patient_system=system)
    change(engine, "INSERT INTO identity.patients VALUES ('pseudonym of another', 'another')")
    change(engine, "UPDATE flags SET patient_id = 'pseudonym of another' WHERE id = :f", f=few[2])
    assert export(patient_system=system) == Sent(0, 1, 0, 0)
    [changed] = [each for each in server.of("RiskAssessment") if each["status"] == "corrected"]
    ecg = server.resources["DocumentReference"][changed["basis"][0]["reference"]]
    assert changed["subject"]["identifier"]["value"] == ecg["subject"]["identifier"]["value"] == "another"


def test_the_ecg_of_an_uncertain_patient_is_an_error_too(
    engine: Engine, server: FhirServer, few: list[int], export: Export
) -> None:
    export()
    change(engine, OF_ONE_ECG, why="patient_unclear", f=few[0])
    change(engine, OF_ONE_ECG, why="replaced", f=few[-1])
    export()
    ecgs = {ecg for flag, ecg in all_rows(engine, flags.c.id, flags.c.content_hash) if flag in few}
    assert Counter(each["status"] for each in server.of("DocumentReference")) == {
        "current": len(ecgs) - 1,
        "entered-in-error": 1,
    }


# --- what fails


@pytest.mark.parametrize("fault", ["lost", "unheard", 503, 429])
def test_an_outage_is_waited_out_and_nothing_is_doubled(
    few: list[int], server: FhirServer, export: Export, fault: int | str
) -> None:
    server.faults = [fault, fault]
    assert export(outage_seconds=30) == Sent(FEW, 0, 0, 0)
    assert len(server.of("RiskAssessment")) == len(server.of("Provenance")) == FEW


def test_a_long_outage_ends_the_export_and_the_next_one_goes_on(
    engine: Engine, few: list[int], server: FhirServer, export: Export
) -> None:
    export_until_lost(server, export, after=3)
    assert sum(sent for _, _, sent, _ in ledger(engine)) == 3
    assert export() == Sent(FEW - 3, 0, 0, 0)
    assert statuses(server) == {"final": FEW}


def export_until_lost(server: FhirServer, export: Export, after: int) -> None:
    """The answer to one message is lost, after others were confirmed."""
    answered = count(1)
    server.on_carried_out = lambda: next(answered) <= after
    with pytest.raises(ReceiverUnavailableError, match="does not answer"):
        export()
    server.on_carried_out = None


def test_a_flag_that_was_withdrawn_while_its_answer_was_lost_is_an_error_at_the_server(
    engine: Engine, few: list[int], server: FhirServer, export: Export
) -> None:
    export_until_lost(server, export, after=0)
    withdraw(engine, few[0])
    assert export() == Sent(FEW - 1, 0, 1, 0)
    assert statuses(server) == {"final": FEW - 1, "entered-in-error": 1}


def test_a_flag_that_changed_its_patient_while_its_answer_was_lost_is_corrected(
    engine: Engine, few: list[int], server: FhirServer, export: Export
) -> None:
    export_until_lost(server, export, after=0)
    before = server.of("RiskAssessment")[0]["subject"]
    change(engine, "UPDATE flags SET patient_id = 'another' WHERE id = :f", f=few[0])
    assert export() == Sent(FEW - 1, 1, 0, 0)
    assert server.of("RiskAssessment")[0]["subject"] != before


def test_a_refused_flag_costs_itself_only_and_is_tried_again(
    engine: Engine, few: list[int], server: FhirServer, export: Export
) -> None:
    export_until_lost(server, export, after=0)
    refused = server.of("RiskAssessment")[0]["identifier"][0]["value"]
    server.resources.clear()
    server.refused = {refused}
    assert export() == Sent(FEW - 1, 0, 0, 1)
    assert (few[0], "final", False, True) in ledger(engine)
    server.refused = set()
    assert export() == Sent(1, 0, 0, 0)
    assert (few[0], "final", True, False) in ledger(engine)


def test_an_entry_that_failed_in_an_answer_of_success_is_a_refusal(
    engine: Engine, few: list[int], server: FhirServer, export: Export
) -> None:
    server.faults = ["half"]
    assert export() == Sent(FEW - 1, 0, 0, 1)
    assert (few[0], "final", False, True) in ledger(engine)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"fhir_token": SecretStr("simsalabim")}, "check STENCE_FHIR_TOKEN"),
        ({"fhir_url": "{url}/r5"}, "correct STENCE_FHIR_URL"),
    ],
)
def test_a_wrong_setting_is_named_and_everything_waits(
    engine: Engine, server: FhirServer, export: Export, wrong: dict[str, Any], words: str
) -> None:
    given = {name: v.format(url=server.url) if isinstance(v, str) else v for name, v in wrong.items()}
    with pytest.raises(ConfigurationError, match=words) as caught:
        export(**given)
    assert "simsalabim" not in str(caught.value)
    assert {(sent, refused) for _, _, sent, refused in ledger(engine)} == {(False, False)}


def test_exporters_side_by_side_send_each_flag_once(
    few: list[int], server: FhirServer, export: Export
) -> None:
    with ThreadPoolExecutor(4) as pool:
        sent = [future.result() for future in [pool.submit(export) for _ in range(4)]]
    assert sum(each.raised for each in sent) == server.posts == FEW


@pytest.mark.slow
def test_killed_exporters_neither_lose_nor_double_a_flag(
    engine: Engine, few: list[int], server: FhirServer, settings: Settings, export: Export
) -> None:
    running: list[BaseProcess] = []
    carried_out = count()

    def answer_every_second() -> bool:
        """Kill the exporter between the server's work and the row in the ledger, or let it go on."""
        if next(carried_out) % 2:
            return True
        running[-1].kill()
        return False

    server.on_carried_out = answer_every_second
    while len(server.of("RiskAssessment")) < FEW:
        running.append(start_exporter(settings))
        running[-1].join(60)
        assert running[-1].exitcode == -9
    assert len(running) == FEW
    assert actions(engine) == ["export.begun"] * FEW
    server.on_carried_out = None
    withdraw(engine, few[0])
    export()
    assert statuses(server) == {"final": FEW - 1, "entered-in-error": 1}
    assert {sent for _, _, sent, _ in ledger(engine)} == {True}
    assert len(server.of("Provenance")) == FEW + 1
    assert {each["meta"]["versionId"] for each in server.of("RiskAssessment")} == {"1", "2"}


# --- what is said


def test_every_bundle_in_the_store_is_valid_and_twice_gives_no_more(
    few: list[int], store: ObjectStore, export: Export
) -> None:
    assert export(fhir_url=None) == Sent(FEW, 0, 0, 0)
    assert export(fhir_url=None) == Sent(0, 0, 0, 0)
    keys = [each.key for each in store.list("export/fhir/")]
    assert len(keys) == FEW
    for key in keys:
        validate(json.loads(store.get(key)))


def test_nothing_personal_leaves_but_a_pseudonym(
    engine: Engine, few: list[int], store: ObjectStore, export: Export
) -> None:
    withdrawn = few[:2]
    change(
        engine, "UPDATE ecgs SET device = 'Cardio of Dr Grey', site = 'ward seven', sex = 'F', age = 77.25"
    )
    export(fhir_url=None)
    for flag in withdrawn:
        withdraw(engine, flag)
    change(engine, "UPDATE flags SET reviewed_by = 'Dr Grey', note = 'not Mrs Smith'")
    export(fhir_url=None)
    said = b"".join(store.get(each.key) for each in store.list("export/fhir/")).decode()
    secrets = [patient for (patient,) in all_rows(engine, flags.c.patient_id)]
    for secret in (*secrets, "Grey", "Smith", "seven", "77.25", "ecg/p"):
        assert not re.search(rf"\b{re.escape(secret)}\b", said), secret


def test_a_patient_is_known_by_the_pseudonym_of_the_tables_in_a_system_of_the_key(
    engine: Engine, few: list[int], store: ObjectStore, export: Export
) -> None:
    seen = []
    for key in (SecretStr("one"), SecretStr("one"), SecretStr("two")):
        with tampering(engine) as connection:
            connection.execute(delete(flag_exports))
        export(fhir_url=None, pseudonym_key=key)
        newest = max(store.list("export/fhir/"), key=lambda each: each.key)
        seen.append(subject_in(json.loads(store.get(newest.key))))
    with engine.connect() as connection:
        pseudonym = connection.scalar(select(flags.c.patient_id).filter_by(id=few[-1]))
    assert {each["value"] for each in seen} == {pseudonym}
    assert seen[0] == seen[1]
    assert seen[2]["system"] != seen[0]["system"]
    assert reads(engine) == []


def actions(engine: Engine) -> list[str]:
    """What the audit tells of exports."""
    told = "SELECT action FROM audit.entries WHERE action LIKE 'export.%' ORDER BY id"
    with engine.connect() as connection:
        return list(connection.scalars(text(told)))


def reads(engine: Engine) -> list[tuple[str, int]]:
    """Reason and number of patients of every read of the map."""
    read = "FROM audit.entries WHERE action = 'patients.identified' ORDER BY id"
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT reason, CAST(detail ->> 'count' AS int) {read}"))
        return [(reason, count) for reason, count in found]


def subject_in(bundle: Any) -> Any:
    [risk] = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "RiskAssessment"]
    return risk["subject"]["identifier"]


def test_the_hospitals_own_number_leads_to_its_patient_on_the_server(
    engine: Engine, few: list[int], server: FhirServer, export: Export
) -> None:
    numbers = dict(all_rows(engine, flags.c.id, flags.c.patient_id))
    number = numbers[few[0]]
    others = sum(numbers[flag] != number for flag in few)
    system = "https://hospital.example/patients"
    server.resources["Patient"]["Patient/77"] = {"identifier": [{"system": system, "value": number}]}
    assert export(patient_system=system).refused == others > 0  # the server does not know them
    assert {risk["subject"]["reference"] for risk in server.of("RiskAssessment")} == {"Patient/77"}
    for kind in ("Device", "DocumentReference", "RiskAssessment", "Provenance"):
        for resource in server.of(kind):
            beside = {name: said for name, said in resource.items() if name != "subject"}
            assert number not in json.dumps(beside), f"a {kind} names its patient elsewhere too"
    assert reads(engine) == [("export of flags", len(set(numbers[flag] for flag in few)))]


def test_the_assessment_says_what_was_found_by_which_model(
    engine: Engine, few: list[int], server: FhirServer, export: Export
) -> None:
    export()
    scored = (
        "SELECT f.target, f.probability, f.threshold, s.run_id FROM flags AS f "
        "JOIN scores AS s USING (content_hash, model_version) WHERE f.id = :f"
    )
    with engine.connect() as connection:
        row = connection.execute(text(scored), {"f": few[0]}).one()
    risk, origin = server.of("RiskAssessment")[0], server.of("Provenance")[0]
    first, *others = risk["prediction"]
    assert first["probabilityDecimal"] == pytest.approx(100 * row.probability)
    assert first["qualitativeRisk"]["coding"][0]["code"] == "high"
    assert len(others) == 5
    assert not any("qualitativeRisk" in each for each in others)
    assert f"threshold {100 * row.threshold:.1f} %" in risk["note"][0]["text"]
    device = server.resources["Device"][risk["performer"]["reference"]]
    assert device["identifier"][0]["value"] == f"nih:sha-256;{'2' * 64}"
    assert device["version"] == [{"value": "synthetic-2"}]
    assert origin["target"][0]["reference"] in server.resources["RiskAssessment"]
    assert [each["what"].get("identifier", {}).get("value") for each in origin["entity"]][1] == row.run_id.urn


# --- the command


def test_the_command_counts_and_says_where_a_refusal_is_told(
    engine: Engine, few: list[int], server: FhirServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch, settings)
    server.faults = [422]
    done = CliRunner().invoke(main, ["export", "fhir"])
    assert done.exit_code == 1
    assert "The server refused 1 flags: stence query flag_exports" in done.output
    assert CliRunner().invoke(main, ["export", "fhir"]).exit_code == 0
    assert CliRunner().invoke(main, ["export", "csv"]).exit_code == 0
    told = CliRunner().invoke(main, ["query", "flag_exports", "--csv"]).output
    assert f"final,{FEW},0,0" in told
