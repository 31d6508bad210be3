"""Figures about arrivals, quarantine, backlog, latency, runs and workload, against rows counted by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, insert, text, update

from stence.database.tables import objects, quarantine, runs, worklist
from stence.evaluation.watched import Watched
from stence.monitoring import operations, workload
from stence.monitoring.metrics import Metric
from stence.monitoring.samples import load
from stence.settings import Settings
from support.database import tampering
from support.routine import Routine, day


@pytest.fixture
def hospital(engine: Engine) -> Routine:
    """One day of about fifty ECGs, all scored six hours after they were taken."""
    routine = Routine(engine, ecgs_per_day=40)
    routine.crown("model-1")
    routine.write(0)
    return routine


def figures(metrics: list[Metric], name: str) -> dict[str | None, float]:
    """Values of one name by slice."""
    return {metric.slice_value: metric.value for metric in metrics if metric.name == name}


def operated(hospital: Routine, settings: Settings) -> list[Metric]:
    """The day's figures of operations."""
    return list(operations.measure(hospital.engine, settings, day(0), hospital.watched()))


def count(engine: Engine, what: str) -> int:
    """A number from the database."""
    with engine.connect() as connection:
        return int(connection.scalar(text(f"SELECT count(*) FROM {what}")) or 0)  # noqa: S608


def test_arrivals_add_up(hospital: Routine, settings: Settings) -> None:
    """By machine, by site and by hour as many as there are."""
    found = [m for m in operated(hospital, settings) if m.name == "ecgs_arrived"]
    total = count(hospital.engine, "ecgs")
    for key in ("device", "site", "hour"):
        assert sum(m.value for m in found if m.slice_key == key) == total
    assert [m.value for m in found if m.slice_key is None] == [total]
    clinic = count(hospital.engine, "ecgs WHERE site = 'clinic'")
    assert figures(found, "ecgs_arrived")["clinic"] == clinic


def test_arrivals_are_counted_by_the_hospitals_clock(hospital: Routine, settings: Settings) -> None:
    """An hour is one of the wall clock there."""
    utc = operated(hospital, settings)
    tokyo = operated(hospital, settings.model_copy(update={"timezone": "Asia/Tokyo"}))
    by_hour = figures(utc, "ecgs_arrived")
    assert figures(tokyo, "ecgs_arrived")["17"] == by_hour["08"]


def test_quarantine_rate(hospital: Routine, settings: Settings) -> None:
    """Files that came in that day and cannot be used; neither those that could be later, nor angiograms."""
    with tampering(hospital.engine) as connection:
        for number, (reason, state, kind) in enumerate(
            [
                ("flat_lead", "open", "ecg"),
                ("flat_lead", "dismissed", "ecg"),
                ("too_short", "open", "ecg"),
                ("too_short", "resolved", "ecg"),
                ("not_xa", "open", "angiogram"),
            ]
        ):
            key = f"bad/{number}"
            row = {"key": key, "record_key": key, "etag": "e", "size_bytes": 1, "kind": kind}
            object_id = connection.scalar(insert(objects).values(row).returning(objects.c.id))
            about = {"object_id": object_id, "etag": "e", "reason": reason, "state": state, "detail": "d"}
            connection.execute(insert(quarantine).values(about | {"entered_at": day(0).start}))
    total = count(hospital.engine, "ecgs") + 3
    found = figures(operated(hospital, settings), "quarantine_rate")
    assert found == pytest.approx({None: 3 / total, "flat_lead": 2 / total, "too_short": 1 / total})


def test_backlog_is_that_of_the_days_end(hospital: Routine, settings: Settings) -> None:
    """What is scored on a later day was waiting still; what came later was not there yet."""
    end = day(0).end
    with tampering(hospital.engine) as connection:
        connection.execute(update(objects).values(changed_at=end - timedelta(hours=20)))
        everything = text(
            "INSERT INTO worklist (object_id, model_version, etag, state, changed_at)"
            " SELECT id, 'model-1', etag, 'scored', CAST(:end AS timestamptz) - interval '1 h' FROM objects"
        )
        connection.execute(everything, {"end": end})
        first, second, third = connection.scalars(text("SELECT id FROM objects ORDER BY id LIMIT 3"))
        w, o = worklist.c, objects.c
        connection.execute(
            update(worklist).where(w.object_id == first).values(changed_at=end + timedelta(hours=3))
        )
        connection.execute(update(worklist).where(w.object_id == second).values(state="pending"))
        connection.execute(update(objects).where(o.id == second).values(changed_at=end - timedelta(hours=30)))
        connection.execute(update(worklist).where(w.object_id == third).values(state="pending"))
        connection.execute(update(objects).where(o.id == third).values(changed_at=end + timedelta(hours=1)))
    found = operated(hospital, settings)
    assert figures(found, "backlog") == {None: 2}
    assert figures(found, "backlog_age_hours") == pytest.approx({None: 30})


def test_latency_and_runs(hospital: Routine, settings: Settings) -> None:
    """From the taking of an ECG to its score; runs that ended on the day, and when the last one did."""
    start = day(0).start
    with tampering(hospital.engine) as connection:
        ended = {
            "started_at": start + timedelta(hours=2),
            "finished_at": start + timedelta(hours=2, seconds=50),
        }
        done = {"scored_by_run": 180, "quarantined_by_run": 20}
        connection.execute(update(runs).values(ended | done))
        failed = {
            "id": "00000000-0000-0000-0000-000000000009",
            "model_version": "model-1",
            "preprocessing_version": "p1",
            "code_version": "0",
            "device": "cpu",
            "host": "here",
            "state": "failed",
            "started_at": start + timedelta(hours=5),
            "finished_at": start + timedelta(hours=5),
        }
        connection.execute(insert(runs).values(failed))
    found = operated(hospital, settings)
    assert figures(found, "latency_hours_median") == pytest.approx({None: 6})
    assert figures(found, "ecgs_scored") == {None: 180}
    assert figures(found, "ecgs_per_second") == pytest.approx({None: 4})
    assert figures(found, "runs_failed") == {None: 1}
    assert figures(found, "hours_since_run") == pytest.approx({None: 22}, abs=0.1)


def flagging(hospital: Routine, settings: Settings, watched: Watched) -> dict[str, float]:
    """The day's figures of workload, of the one target with a threshold."""
    found = list(workload.measure(hospital.engine, settings, day(0), watched))
    assert {metric.slice_value for metric in found} <= {"stenosis_70"}
    return {metric.name: metric.value for metric in found}


def test_workload_beside_its_promise(hospital: Routine, settings: Settings) -> None:
    """The share at or above the threshold; the promise that the training was given."""
    flagged = count(hospital.engine, "scores WHERE stenosis_70 >= 0.6")
    found = flagging(hospital, settings, hospital.watched())
    assert found["flag_rate"] == pytest.approx(flagged / count(hospital.engine, "scores"))
    assert found["flags_promised"] == pytest.approx(0.1)
    everybody = replace(
        hospital.watched(),
        manifest={**hospital.watched().manifest, "thresholds": {"stenosis_70": {"value": 0}}},
    )
    assert flagging(hospital, settings, everybody)["flag_rate_p"] < 1e-9


def test_an_ecg_exactly_at_the_threshold_counts_as_flagged(hospital: Routine, settings: Settings) -> None:
    with hospital.engine.connect() as connection:
        highest = connection.scalar(text("SELECT max(stenosis_70) FROM scores"))
    manifest = hospital.watched().manifest | {"thresholds": {"stenosis_70": {"value": highest}}}
    found = flagging(hospital, settings, replace(hospital.watched(), manifest=manifest))
    assert found["flag_rate"] == pytest.approx(1 / count(hospital.engine, "scores"))


def test_the_workload_that_was_asked_for_is_the_promise_whatever_was_tested(hospital: Routine) -> None:
    manifest = hospital.watched().manifest | {"metrics": {"stenosis_70": {"alerts_per_1000": {"value": 250}}}}
    assert workload.promise(replace(hospital.watched(), manifest=manifest)) == 0.1


def test_workload_where_sensitivity_was_asked_for(hospital: Routine, settings: Settings) -> None:
    """The promise is what was flagged of the test patients; without that there is none."""
    manifest = {
        "thresholds": {"stenosis_70": {"value": 0.6}},
        "training_config": {"threshold": {"at_least": 0.9}},
        "metrics": {"stenosis_70": {"alerts_per_1000": {"value": 250}}},
    }
    watched = replace(hospital.watched(), manifest=manifest)
    assert flagging(hospital, settings, watched)["flags_promised"] == 0.25
    assert "flag_rate_p" not in flagging(
        hospital, settings, replace(watched, manifest={**manifest, "metrics": {}})
    )


def test_a_patient_counts_once_a_day(hospital: Routine, settings: Settings) -> None:
    """A series of ECGs of one heart is one observation for drift: the first of the day."""
    with tampering(hospital.engine) as connection:
        connection.execute(text("UPDATE ecgs SET patient_id = 'p' WHERE site = 'clinic'"))
        first = connection.scalar(
            text("SELECT age FROM ecgs WHERE site = 'clinic' ORDER BY acquired_at LIMIT 1")
        )
    sample = load(hospital.engine, settings, day(0), hospital.watched())
    at_clinic = sample.places["site"] == "clinic"
    assert at_clinic.sum() == 1
    assert sample.measured[at_clinic, 0] == pytest.approx(first)
    assert len(sample) == count(hospital.engine, "ecgs WHERE site <> 'clinic'") + 1
