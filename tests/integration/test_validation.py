"""A frozen model measured on patients that it did not learn from: who is in, what is counted and written."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text

from stence import scoring
from stence.cli import main
from stence.cohort import Split
from stence.database import queries
from stence.errors import StenceError
from stence.objects import ObjectStore
from stence.settings import Settings
from stence.validation import Validation, ValidationConfig, validate
from stence.validation.report import ITEMS
from stence.validation.words import figure
from support.environment import set_environment
from support.pseudonyms import split_of
from support.toy_hospital import toy_ecg
from support.validated import MADE, NEW, OLD, Hospital, register

QUICK = ValidationConfig(bootstrap_resamples=100, min_patients=5)


def validated(
    engine: Engine, store: ObjectStore, settings: Settings, version: str, **options: Any
) -> Validation:
    scoring.index(engine, store, settings)
    return validate(engine, store, settings, version, QUICK.model_copy(update=options))


def flow(validation: Validation, what: str = "ecgs") -> dict[str, Any]:
    found: dict[str, Any] = validation.figures["flow"][what]
    assert found["candidates"] == found["used"] + sum(found["left_out"].values())
    return found


def test_every_ecg_and_patient_is_used_or_left_out_for_a_reason(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    hospital = Hospital(store)
    hospital.fill("old", OLD, 20, "north")
    hospital.fill("new", NEW, 12, "north")
    hospital.fill("south", NEW, 3, "south")
    hospital.fill("late", NEW + timedelta(days=60), 2, "north")
    hospital.add("new0", NEW + timedelta(days=1), ill=False, site="north", ecgs=2)
    before, after = NEW - timedelta(days=2), NEW + timedelta(days=2)
    hospital.add_file("again", "new0", before, toy_ecg(20, ill=False))
    hospital.add_file("conflict", "new4", before, toy_ecg(22, ill=False))  # the ECG of new2
    hospital.add_file("flat", "new2", before, np.zeros((12, 5000), np.int16))
    hospital.add_file("after", "new2", after, toy_ecg(99, ill=False))
    hospital.write()

    tested = sum(split_of(f"old{number}") is Split.TEST for number in range(20))
    version = register(engine, store, settings)
    done = validated(
        engine, store, settings, version, since=NEW.date(), until=date(2026, 6, 1), sites=("north",)
    )
    assert flow(done) == {
        "candidates": 20 + 12 + 3 + 2 + 2 + 4,
        "used": 12 - 1 + 2,
        "left_out": {
            "ecg_at_other_site": 3,
            "ecg_duplicate": 1,
            "ecg_flat_lead": 1,
            "ecg_not_before_study": 1,
            "ecg_patient_conflict": 2,
            "patient_learned_from": 20 - tested,
            "study_outside_window": 2 + tested,
        },
    }
    assert flow(done, "patients") == {
        "candidates": 20 + 12 + 3 + 2,
        "used": 11,
        "left_out": {
            "patient_learned_from": 20 - tested,
            "study_outside_window": 2 + tested,
            "no_usable_ecg": 3 + 1,
        },
    }
    assert done.figures["flow"]["new_patients"] == 11
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM ecg_study_pairs")) == 0, (
            "those of the training stay"
        )


def test_the_report_the_json_and_the_database_say_the_same_and_name_no_patient(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    hospital = Hospital(store)
    hospital.fill("PAT-", NEW, 24, "north <ward>")
    hospital.write()
    version = register(engine, store, settings)
    done = validated(engine, store, settings, version)

    with engine.connect() as connection:
        found = connection.execute(text("SELECT * FROM model_validations")).mappings().one()
        _, rows = queries.run(connection, "validations", {})
    assert (found["validation_id"], found["report_key"]) == (done.number, done.report_key)
    assert (found["patients"], found["cases"], found["controls"]) == (24, 12, 12)
    assert found["auroc"] == done.figures["targets"]["stenosis_70"]["auroc"]["value"]
    assert found["auroc_on_card"] == 0.75
    assert len(rows) == 1
    for key, sha256 in found["files"].items():
        content = store.get(key)
        assert hashlib.sha256(content).hexdigest() == sha256
        assert b"PAT-" not in content
        if key.endswith(".json"):
            assert json.loads(content) == found["figures"] == done.figures
    page = done.page.decode()
    assert re.findall(r'<h2 id="item-(\d+)">\1\. ([^<]+) <small>TRIPOD\+AI item \1</small>', page) == [
        (str(number), title) for number, title in ITEMS.items()
    ]
    assert len(ITEMS) == 27
    assert "http" not in page.replace("http-equiv", "")
    assert "north &lt;ward&gt;" in page
    shown = figures_of(done.figures)
    assert len(shown) > 80
    assert [each for each in shown if each not in page] == []
    published = done.figures["pretest"]
    assert (published["patients"], published["labelled"], published["with_symptoms"]) == (24, 24, 24)
    assert "for 24 of 24 patients with a known target" in page
    assert "obstructive disease of &gt;= 50 %" in page


def figures_of(found: Any) -> list[str]:
    """All intervals of the JSON but those of metrics that the page leaves out, as the page writes them."""
    if isinstance(found, list):
        return [each for value in found for each in figures_of(value)]
    if not isinstance(found, dict):
        return []
    if {"value", "lower", "upper"} <= found.keys():
        return [] if found["value"] is None else [figure(found)]
    kept = {key: value for key, value in found.items() if key not in UNSHOWN}
    return [each for key, value in kept.items() for each in figures_of(value) if key != "alerts_per_1000"]


UNSHOWN = {"f1", "accuracy", "balanced_accuracy", "kappa"}


@pytest.mark.slow
def test_patients_of_the_test_split_and_later_patients_are_unseen(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    hospital = Hospital(store)
    hospital.fill("old", OLD, 16)
    for number in range(16):  # who was learned from stays so, also with a later study
        hospital.add(f"old{number}", NEW, ill=False)
    hospital.fill("new", NEW, 10)
    hospital.write()
    version = register(engine, store, settings)
    done = validated(engine, store, settings, version, since=NEW.date())
    tested = sum(split_of(f"old{number}") is Split.TEST for number in range(16))
    assert 0 < tested < 16
    assert flow(done, "patients")["used"] == tested + 10
    assert done.figures["flow"]["new_patients"] == 10

    elsewhere = validated(engine, store, settings, version, since=NEW.date(), trained_elsewhere=True)
    assert flow(elsewhere, "patients")["used"] == 16 + 10


@pytest.mark.slow
def test_reports_that_were_known_at_the_training_count_as_seen_whatever_their_dates(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    hospital = Hospital(store)
    hospital.fill("new", NEW, 12)
    hospital.write()
    version = register(engine, store, settings, by="stence train")
    tested = sum(split_of(f"new{number}") is Split.TEST for number in range(12))
    assert flow(validated(engine, store, settings, version), "patients")["used"] == 12
    with engine.begin() as connection:
        connection.execute(text("UPDATE cath_studies SET first_seen_at = '2026-03-30 00:00+00'"))
    assert flow(validated(engine, store, settings, version), "patients")["used"] == tested > 0
    with pytest.raises(StenceError, match="was trained in this database"):
        validated(engine, store, settings, version, trained_elsewhere=True)


@pytest.mark.slow
def test_held_out_patients_of_the_training_are_unseen_as_of_the_training(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    hospital = Hospital(store)
    hospital.fill("before", OLD, 10, "north")
    hospital.fill("after", NEW, 10, "south")
    for number in range(5):  # also before the cut, and also elsewhere
        hospital.add(f"after{number}", OLD, ill=False, site="north")
    hospital.write()
    made_at = datetime.now(UTC) + timedelta(days=1)
    cut = register(
        engine,
        store,
        settings,
        made_at=made_at,
        name="cut",
        split={"kind": "temporal", "cut": MADE.isoformat()},
    )
    sites = register(
        engine, store, settings, made_at=made_at, name="sites", split={"kind": "site", "sites": ["south"]}
    )
    test_split = {f"{prefix}{n}" for prefix in ("before", "after") for n in range(10)}
    test_split = {patient for patient in test_split if split_of(patient) is Split.TEST}
    later = {f"after{number}" for number in range(5, 10)}
    assert flow(validated(engine, store, settings, cut), "patients")["used"] == len(test_split | later)
    south = {f"after{number}" for number in range(10)}
    assert flow(validated(engine, store, settings, sites), "patients")["used"] == len(test_split | south)


def test_the_command_tells_the_flow_and_the_figures(
    engine: Engine, store: ObjectStore, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_environment(monkeypatch, settings)
    hospital = Hospital(store)
    hospital.fill("new", NEW, 4, "north")
    hospital.write()
    version = register(engine, store, settings)
    scoring.index(engine, store, settings)

    def stence(*arguments: str) -> str:
        return CliRunner().invoke(main, ["validate", *arguments]).output

    page = tmp_path / "page.html"
    told = stence(version, "--since", "2026-04-01", "--site", "north", "--save", str(page))
    assert "cannot tell" not in told
    assert "2 patients with and 2 without; at least 20 of each are needed" in told
    assert re.search(r"used\s*│\s*4 ", told)
    assert "not of all whose ECGs are scored" in told
    assert b"Cannot tell" in page.read_bytes()
    assert "no model version other" in stence("other")
    assert "must be later" in stence(version, "--since", "2026-04-02", "--until", "2026-04-01")
    assert "No ECG is left to validate on, of 4: study_outside_window 4" in stence(
        version, "--until", "2026-04-01"
    )
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM validations")) == 1
