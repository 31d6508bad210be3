"""Age, sex or indication missing in a day's ECGs: an alert where they used to be there, and only there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from stence import database
from stence.monitoring import inputs
from stence.monitoring.alerts import Finding
from stence.monitoring.metrics import Metric
from stence.monitoring.rules import find, load_rules
from stence.settings import Settings
from support.database import copied, filled, tampering
from support.routine import Routine, day

TODAY = 28
RULES = ("field_missing", "site_field_missing")


@pytest.fixture(scope="module")
def template(postgres: Engine) -> Iterator[str]:
    with filled(postgres, fill) as name:
        yield name


@pytest.fixture
def hospital(engine: Engine) -> Routine:
    """Four weeks and a day on which nothing is missing."""
    return Routine(engine, ecgs_per_day=60)


def fill(engine: Engine) -> None:
    routine = Routine(engine, ecgs_per_day=60)
    routine.crown("model-1")
    routine.write(0, TODAY + 1)


def remove(hospital: Routine, field: str, where: str = "true", *, from_day: int = TODAY) -> None:
    """Take a field out of the ECGs of a day and those after it."""
    with tampering(hospital.engine) as connection:
        taken = f"UPDATE ecgs SET {field} = NULL WHERE acquired_at >= :day AND {where}"  # noqa: S608
        connection.execute(text(taken), {"day": day(from_day).start})


def measured(hospital: Routine, settings: Settings) -> list[Metric]:
    return list(inputs.measure(hospital.engine, settings, day(TODAY), hospital.watched()))


def found(hospital: Routine, settings: Settings) -> dict[tuple[str, str | None], Finding]:
    """What the shipped rules find of missing fields, by rule and what it is about."""
    rules = load_rules(settings)
    findings = find(rules, [measured(hospital, settings)])
    return {
        (each.cause.rule, each.cause.slice_value): each
        for each in findings
        if each.holds and each.cause.rule in RULES
    }


@pytest.mark.slow
def test_on_sound_days_the_share_is_told_and_no_alert(hospital: Routine, settings: Settings) -> None:
    remove(hospital, "age", "content_hash < '\\x20'")
    shares = {m.slice_value: m for m in measured(hospital, settings) if m.name == "input_missing"}
    assert shares.keys() >= {"age", "sex", "indication", "age|clinic", "sex|main building"}
    assert 0 < shares["age"].value < 0.3
    assert shares["sex"].value == 0
    assert found(hospital, settings) == {}


@pytest.mark.parametrize("field", ["age", "sex", "indication"])
def test_a_field_that_is_missing_all_day_is_one_alert(
    hospital: Routine, settings: Settings, field: str
) -> None:
    remove(hospital, field)
    (cause, finding) = next(iter(found(hospital, settings).items()))
    assert cause == ("field_missing", field)
    assert len(found(hospital, settings)) == 1
    assert f"Measure: {field}." in finding.detail
    assert "export" in finding.detail


def test_at_one_site_alone_the_site_is_named_and_every_field(hospital: Routine, settings: Settings) -> None:
    for field in ("age", "sex"):
        remove(hospital, field, "site = 'clinic'")
    (finding,) = found(hospital, settings).values()
    assert finding.cause[0::3] == ("site_field_missing", "clinic")
    assert "age, sex" in finding.detail


def test_a_field_that_the_hospital_never_had_is_no_news(hospital: Routine, settings: Settings) -> None:
    remove(hospital, "indication", from_day=0)
    remove(hospital, "age", "site = 'clinic'", from_day=0)
    assert found(hospital, settings) == {}
    names = {m.name for m in measured(hospital, settings)}
    assert "input_missing_expected" in names


def test_without_a_reference_it_is_measured_and_not_judged(postgres: Engine, settings: Settings) -> None:
    with copied(postgres, "template") as url, database.connect(Settings(database_url=url)) as engine:
        routine = Routine(engine, ecgs_per_day=60)
        routine.crown("model-1")
        routine.write(TODAY)
        remove(routine, "age")
        assert found(routine, settings) == {}
        shares = {m.slice_value: m.value for m in measured(routine, settings) if m.name == "input_missing"}
    assert shares["age"] == 1
