"""The list: one question, a patient's newest ECG, and what is known of the patient already."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text

from stence import scoring
from stence.cli import main
from stence.database import queries
from stence.scoring.reviews import ReviewError
from stence.settings import Settings
from support.database import filled, tampering
from support.synthetic import load

ECGS = """
SELECT e.patient_id, e.id, e.acquired_at, s.stenosis_70, f.id AS flag, f.state
FROM ecgs AS e
JOIN objects AS o ON o.id = e.object_id
JOIN scores AS s ON s.content_hash = e.content_hash AND s.model_version = 'synthetic-2'
JOIN worklist AS w ON w.object_id = o.id AND w.model_version = 'synthetic-2'
LEFT JOIN flags AS f ON f.content_hash = e.content_hash
WHERE w.state = 'scored'
ORDER BY e.acquired_at
"""
LISTED = ("open", "confirmed")


class Reading(NamedTuple):
    """A scored ECG and its flag."""

    patient: str
    ecg: int
    at: Any
    probability: float
    flag: int | None
    state: str | None


@pytest.fixture(scope="module")
def template(postgres: Engine) -> Iterator[str]:
    with filled(postgres, fill) as name:
        yield name


@pytest.fixture
def hospital(engine: Engine) -> Engine:
    """An engine on a database with 2,000 scored ECGs of 300 patients."""
    return engine


def fill(engine: Engine) -> None:
    load(engine, ecgs=2000, patients=300)
    with tampering(engine) as connection:  # of what the other tests are not about
        connection.execute(text("ALTER TABLE snoozes DISABLE TRIGGER snoozes_append_only"))
        connection.execute(text("DELETE FROM snoozes"))
        connection.execute(text("DELETE FROM cath_studies"))


@pytest.fixture
def stence(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The command line on the test's database."""
    assert settings.database_url is not None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STENCE_DATABASE_URL", settings.database_url.get_secret_value())
    return lambda *arguments: CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def ask(engine: Engine, name: str, **params: str) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        columns, rows = queries.run(connection, name, params)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def the_list(engine: Engine, **params: str) -> dict[str, dict[str, Any]]:
    return {row["patient_id"]: row for row in ask(engine, "flagged_patients", limit="1000", **params)}


def readings(engine: Engine) -> dict[str, list[Reading]]:
    """The scored ECGs of each patient, oldest first."""
    found = defaultdict(list)
    with engine.connect() as connection:
        for row in connection.execute(text(ECGS)):
            found[row.patient_id].append(Reading(*row))
    return found


def change(engine: Engine, statement: str, **values: Any) -> None:
    with tampering(engine) as connection:
        assert connection.execute(text(statement), values).rowcount


def add_study(engine: Engine, patient: str, degree: float, day: str, intervention: str | None = None) -> None:
    change(
        engine,
        "INSERT INTO cath_studies (study_id, patient_id, performed_at, split, max_degree, intervention_at, "
        "report_key, fingerprint) "
        "VALUES ('s' || :day, :patient, CAST(:day AS timestamptz), 'train', :degree, "
        "CAST(:intervention AS timestamptz), '', '')",
        patient=patient,
        degree=degree,
        day=f"{day}Z",
        intervention=intervention,
    )


DISAGREE = """
SELECT count(*) FROM flagged_patients_all
WHERE listed IS DISTINCT FROM (off_list IS NULL)
   OR newest IS DISTINCT FROM (off_list IS DISTINCT FROM 'newer ECG')
"""


def counts(engine: Engine) -> dict[str, int]:
    """Patients by why they are off the list; every row says the same in words and in booleans."""
    [row] = ask(engine, "list_counts")
    with engine.connect() as connection:
        assert connection.scalar(text(DISAGREE)) == 0
    assert (
        row["flagged"]
        == row["listed"] + row["newer_ecg"] + row["known_severe"] + row["answered"] + row["snoozed"]
    )
    return {
        name: row[name] for name in ("flagged", "listed", "newer_ecg", "known_severe", "answered", "snoozed")
    }


def test_the_newest_ecg_decides_and_the_highest_probability_comes_first(hospital: Engine) -> None:
    newest = {patient: ecgs[-1] for patient, ecgs in readings(hospital).items()}
    flagged = [reading for reading in newest.values() if reading.state in LISTED]
    flagged.sort(key=lambda reading: (reading.probability, reading.flag), reverse=True)
    assert list(the_list(hospital)) == [reading.patient for reading in flagged]
    assert len(flagged) > 10


def test_patients_whose_newest_ecg_has_no_flag_are_counted(hospital: Engine) -> None:
    ever = [ecgs for ecgs in readings(hospital).values() if any(each.state in LISTED for each in ecgs)]
    off = sum(ecgs[-1].state not in LISTED for ecgs in ever)
    found = counts(hospital)
    assert (found["flagged"], found["newer_ecg"]) == (len(ever), off)
    assert off > 10


def test_a_newer_ecg_whose_file_was_replaced_does_not_count(hospital: Engine) -> None:
    """Nor does one in quarantine: only valid scores say what the present risk is."""
    off = next(
        ecgs
        for ecgs in readings(hospital).values()
        if len(ecgs) > 1 and ecgs[-2].state in LISTED and ecgs[-1].state not in LISTED
    )
    assert off[-1].patient not in the_list(hospital)
    change(
        hospital,
        "UPDATE objects SET content_hash = NULL FROM ecgs WHERE objects.id = object_id AND ecgs.id = :ecg",
        ecg=off[-1].ecg,
    )
    assert the_list(hospital)[off[-1].patient]["ecg_id"] == off[-2].ecg


def test_trend_and_number_are_of_the_patients_valid_scores(hospital: Engine) -> None:
    history = readings(hospital)
    for patient, row in the_list(hospital).items():
        values = [reading.probability for reading in history[patient]]
        assert row["ecgs"] == len(values)
        assert row["change"] == (None if len(values) == 1 else pytest.approx(values[-1] - values[-2]))


def test_the_risk_of_every_patient_is_that_of_the_newest_ecg(hospital: Engine) -> None:
    history = readings(hospital)
    found = {row["patient_id"]: row for row in ask(hospital, "patient_risk", limit="1000")}
    assert found.keys() == history.keys()
    for patient, ecgs in history.items():
        values = [reading.probability for reading in ecgs]
        row = found[patient]
        assert (row["ecg_id"], row["probability"], row["ecgs"]) == (ecgs[-1].ecg, values[-1], len(values))
        assert row["highest_probability"] == max(values)
        assert row["mean_probability"] == pytest.approx(sum(values) / len(values))


def test_known_severe_disease_is_off_the_list_and_can_be_asked_for(hospital: Engine) -> None:
    mild, severe, *_ = the_list(hospital)
    before = counts(hospital)
    add_study(hospital, severe, 70, "2018-01-01", intervention="2018-01-02Z")
    add_study(hospital, severe, 30, "2021-01-01")
    add_study(hospital, mild, 69, "2019-01-01")
    listed = the_list(hospital)
    assert severe not in listed
    assert listed[mild]["last_study_degree"] == 69
    assert counts(hospital) == before | {"listed": before["listed"] - 1, "known_severe": 1}
    known = the_list(hospital, include_known="yes")[severe]
    assert (known["off_list"], known["last_study_degree"]) == ("known severe", 30)
    with hospital.connect() as connection:
        query = "SELECT * FROM flagged_patients_all WHERE patient_id = :patient"
        row = connection.execute(text(query), {"patient": severe}).mappings().one()
    assert (row["worst_degree"], row["intervention_at"].date()) == (70, date(2018, 1, 2))
    assert row["days_since_study"] == (date.today() - date(2021, 1, 1)).days


def test_a_cath_study_after_the_ecg_has_answered_its_flag(hospital: Engine) -> None:
    first, *_ = the_list(hospital)
    before = counts(hospital)
    add_study(hospital, first, 69, "2025-01-01")
    assert first not in the_list(hospital)
    assert counts(hospital) == before | {"listed": before["listed"] - 1, "answered": 1}
    assert the_list(hospital, include_known="yes")[first]["off_list"] == "answered"


def test_a_snoozed_patient_comes_back_after_the_day(hospital: Engine, stence: Any) -> None:
    first, second, *_ = the_list(hospital).values()
    before = counts(hospital)
    ecg = str(first["ecg_id"])
    options = ["--by", "Dr A", "--why", "treated first"]
    assert f"{date.today()} (snooze " in stence("snooze", ecg, "--until", str(date.today()), *options).output
    listed = the_list(hospital)
    assert first["patient_id"] not in listed
    assert second["patient_id"] in listed
    assert counts(hospital) == before | {"listed": before["listed"] - 1, "snoozed": 1}
    assert the_list(hospital, include_snoozed="yes")[first["patient_id"]]["off_list"] == "snoozed"
    stence("snooze", ecg, "--until", "2020-01-01", *options)
    assert first["patient_id"] in the_list(hospital)
    newest, older = ask(hospital, "snoozes")
    assert [each["until"] for each in (newest, older)] == [date(2020, 1, 1), date.today()]
    assert (newest["snoozed_by"], newest["reason"], str(newest["ecg_id"])) == ("Dr A", "treated first", ecg)


def test_a_snooze_holds_for_the_patient_whatever_the_number(hospital: Engine) -> None:
    """The patient's number changes by a merge; the snooze was said of an ECG and goes with it."""
    [first, *_] = the_list(hospital).values()
    with hospital.begin() as connection:
        scoring.reviews.snooze(connection, first["ecg_id"], until=date(2999, 1, 1), by="Dr A", why="later")
    values = {"old": first["patient_id"]}
    change(hospital, "UPDATE ecgs SET patient_id = 'new' WHERE patient_id = :old", **values)
    change(hospital, "UPDATE flags SET patient_id = 'new' WHERE patient_id = :old", **values)
    assert "new" not in the_list(hospital)
    assert the_list(hospital, include_snoozed="yes")["new"]["off_list"] == "snoozed"


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"ecg_id": 10**9}, "there is no ECG 1000000000"),
        ({"by": " "}, "says who decided, and why"),
        ({"why": ""}, "says who decided, and why"),
    ],
)
def test_a_snooze_without_ecg_person_or_reason_is_refused(
    hospital: Engine, values: dict[str, Any], complaint: str
) -> None:
    given = {"ecg_id": 1, "until": date(2999, 1, 1), "by": "Dr A", "why": "later"} | values
    with pytest.raises(ReviewError, match=complaint), hospital.begin() as connection:
        scoring.reviews.snooze(connection, given.pop("ecg_id"), **given)
    assert ask(hospital, "snoozes") == []


def test_the_last_review_of_the_patient_stands_beside_the_flag(hospital: Engine) -> None:
    ecgs = next(
        ecgs for ecgs in readings(hospital).values() if ecgs[-1].state == "open" and ecgs[0].flag is not None
    )
    with tampering(hospital) as connection:
        connection.execute(text("UPDATE flags SET state = 'open' WHERE id = :flag"), {"flag": ecgs[0].flag})
        scoring.reviews.review(connection, ecgs[0].ecg, outcome="dismissed", by="Dr A")
    assert the_list(hospital)[ecgs[0].patient]["last_review"] == "dismissed"


def test_what_is_new_since_a_time(hospital: Engine) -> None:
    raised = {}
    with hospital.connect() as connection:
        raised = dict(tuple(row) for row in connection.execute(text("SELECT id, raised_at FROM flags")))
    everybody = the_list(hospital)
    times = sorted(raised[row["flag_id"]] for row in everybody.values())
    since = times[len(times) // 2]
    new = {patient for patient, row in everybody.items() if raised[row["flag_id"]] >= since}
    assert the_list(hospital, since=since.isoformat()).keys() == new
    assert 0 < len(new) < len(everybody)


@pytest.mark.slow
def test_a_question_of_the_champions_own_choice(hospital: Engine) -> None:
    """Flags of another target are not on its list."""
    change(hospital, """UPDATE models SET manifest = manifest || '{"decisive": "stenosis_90"}'""")
    assert the_list(hospital) == {}
    change(hospital, "UPDATE flags SET target = 'stenosis_90'")
    listed = the_list(hospital)
    assert listed
    own = {row["patient_id"]: row["probability"] for row in ask(hospital, "patient_risk", limit="1000")}
    with hospital.connect() as connection:
        query = "SELECT patient_id, stenosis_90 FROM patient_risk WHERE model_version = 'synthetic-2'"
        assert own == dict(tuple(row) for row in connection.execute(text(query)))


def test_one_row_is_shown_from_top_to_bottom(hospital: Engine, stence: Any) -> None:
    [first] = ask(hospital, "flagged_patients", limit="1")
    lines = stence("query", "flagged_patients", "-p", "limit=1").output.splitlines()
    [found] = [line for line in lines if "patient_id" in line]
    assert first["patient_id"] in found
    assert len(lines) > len(first)


def test_the_list_leaves_as_csv_and_as_parquet(hospital: Engine, stence: Any, tmp_path: Path) -> None:
    rows = list(the_list(hospital).values())
    exported = stence("query", "flagged_patients", "-p", "limit=1000", "--csv").output
    assert [row["patient_id"] for row in csv.DictReader(io.StringIO(exported))] == [
        row["patient_id"] for row in rows
    ]
    path = tmp_path / "list.parquet"
    said = stence("query", "flagged_patients", "-p", "limit=1000", "--parquet", str(path)).output
    assert said == f"{len(rows)} rows in {path}\n"
    table = pd.read_parquet(path)
    assert table["probability"].tolist() == [row["probability"] for row in rows]
    assert str(table["acquired_at"].dtype).startswith("datetime64")
    stence("query", "recent_runs", "--parquet", str(path))
    assert pd.read_parquet(path)["run_id"].tolist() == [
        str(row["run_id"]) for row in ask(hospital, "recent_runs")
    ]


def test_the_risk_of_the_unexamined_counts_who_was_never_referred(hospital: Engine) -> None:
    """Of each severity those who were not sent remain: most without disease, few of the most severe."""
    never = np.array([[0.7, 0.8, 0.9], [0.4, 0.6, 0.7], [0.1, 0.3, 0.5], [0, 0.2, 0.4], [0, 0.1, 0.3]])
    shares = [dict(zip(("lower", "value", "upper"), of, strict=True)) for of in never.tolist()]
    change(
        hospital,
        "UPDATE models SET manifest = jsonb_set(manifest, '{metrics,screened}', CAST(:given AS jsonb)) "
        "WHERE version = 'synthetic-2'",
        given=json.dumps({"never_referred": shares}),
    )
    with hospital.connect() as connection:
        rows = connection.execute(text("SELECT * FROM flagged_patients")).mappings().all()
    degrees = ("stenosis_50", "stenosis_70", "stenosis_90", "stenosis_100")
    for row in rows:
        severities = -np.diff([1, *(row[name] for name in degrees), 0])
        for name, low, high in (("lower", 2, 0), ("probability", 1, 1), ("upper", 0, 2)):
            among = severities * np.concatenate([never[:2, low], never[2:, high]])
            assert row[f"unexamined_{name}"] == pytest.approx(among[2:].sum() / among.sum())
        assert row["unexamined_lower"] < row["unexamined_probability"] < row["unexamined_upper"]
        assert row["unexamined_probability"] < row["probability"]
    first = rows[0]["patient_id"]
    found = [rows[0][f"unexamined_{name}"] for name in ("probability", "lower", "upper")]
    assert the_list(hospital)[first]["if_unexamined"] == "{:.2f} ({:.2f} to {:.2f})".format(*found)
    add_study(hospital, first, 10, "2018-01-01")
    assert the_list(hospital)[first]["if_unexamined"] is None


def test_without_an_estimate_for_everybody_there_is_none_for_the_unexamined(hospital: Engine) -> None:
    assert {row["if_unexamined"] for row in the_list(hospital).values()} == {None}
