"""Monitoring finds within a day what goes wrong at a hospital, and raises no alarm where nothing does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Engine

from support.watched_hospital import SHUFFLED, SIGNS, Plan, WatchedHospital

pytestmark = pytest.mark.slow

PLAN = Plan(
    patients=900,
    epochs=8,
    ecgs_per_day=500,
    reference_days=7,
    clean_days=3,
    first_day=date(2026, 7, 3),
)
"""Sound are a Friday and a weekend; the faults come on a Monday, as few outpatients come at weekends."""

CERTAIN = [fault for fault in SIGNS if fault != SHUFFLED]
"""A network with shuffled weights ranks patients by chance, and by chance much as before: in one of five or
six (tests/benchmarks/README.md). Which one it is depends on the last digits of a training, so on the CPU."""


@pytest.fixture(scope="module")
def hospital(postgres: Engine) -> Iterator[WatchedHospital]:
    with TemporaryDirectory() as folder:
        hospital = WatchedHospital(postgres, Path(folder), PLAN)
        hospital.open()
        yield hospital


def test_sound_days_pass_without_an_alert(hospital: WatchedHospital) -> None:
    assert [alert for day in PLAN.watched_days for alert in hospital.watch(day)] == []


@pytest.mark.parametrize("fault", CERTAIN)
def test_a_fault_is_found_on_its_first_day(hospital: WatchedHospital, fault: str) -> None:
    assert SIGNS[fault] in [(alert.rule, alert.slice_value) for alert in hospital.watch_with(fault)]
