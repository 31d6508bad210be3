"""Routine days of the practice hospital: what comes in, and what each planted fault changes of it."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stence.domain.targets import labels
from stence.ecg import Recording, UnusableEcgError, read
from stence.errors import ConfigurationError
from stence.objects import LocalStore
from stence.progress import silent
from stence.settings import Settings
from stence.simulation import FEED_FAULTS, FeedConfig, simulate_days, write_reports
from stence.simulation.arrivals import arrivals
from stence.simulation.devices import WARD_CART
from stence.simulation.feed_faults import CLINIC, SOUND, FeedFault
from support.pseudonyms import pseudonym

DAY = date(2026, 7, 1)  # a Wednesday
Row = dict[str, str]


def day(folder: Path, fault: str | None = None, ecgs: int = 60) -> tuple[list[Row], dict[str, Recording]]:
    """The manifest of one simulated day, and every readable recording by its study."""
    config = FeedConfig(ecgs_per_day=ecgs, first_day=DAY, fault=fault)
    simulate_days(LocalStore(folder), Settings(), config, silent)
    recordings = {}
    for path in (folder / f"ecg/feed/{DAY}").glob("*.*"):
        if path.suffix in (".hea", ".dcm"):
            try:
                recordings[path.stem] = read(path)
            except UnusableEcgError:
                continue
    return table(folder / f"ecg/feed/{DAY}/record_list.csv"), recordings


def table(path: Path) -> list[Row]:
    return list(csv.DictReader(StringIO(path.read_text(encoding="utf-8"))))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Row], dict[str, Recording]]:
    return day(tmp_path_factory.mktemp("sound"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.slow
def test_a_day_has_the_same_bytes_alone_and_among_others_in_two_processes(tmp_path: Path) -> None:
    settings = Settings()
    two = FeedConfig(ecgs_per_day=10, first_day=date(2026, 6, 30), days=2, processes=2)
    written = simulate_days(LocalStore(tmp_path / "two"), settings, two, silent)
    simulate_days(LocalStore(tmp_path / "one"), settings, FeedConfig(ecgs_per_day=10, first_day=DAY), silent)
    alone, among = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert alone.items() <= among.items()
    assert written == sum(key.endswith((".hea", ".dcm", ".xml")) for key in among)


def test_the_manifest_says_of_each_ecg_whose_it_is_and_when_where_and_why_it_was_taken(
    sound: tuple[list[Row], dict[str, Recording]],
) -> None:
    rows, recordings = sound
    assert len({row["subject_id"] for row in rows}) == len(rows) == len({row["path"] for row in rows})
    assert recordings.keys() <= {row["path"] for row in rows}
    assert {datetime.fromisoformat(row["ecg_time"]).date() for row in rows} == {DAY}
    assert {row["site"] for row in rows} == {"main building", CLINIC}
    assert "chest pain" in {row["indication"] for row in rows}


def test_weekends_and_nights_are_quiet() -> None:
    def times(first: int, count: int) -> list[datetime]:
        days = [date(2026, 7, first + number) for number in range(count)]
        return [arrival.taken_at for day in days for arrival in arrivals(7, 100, day, SOUND)]

    weekdays, weekend = times(6, 5), times(11, 2)
    assert 0.35 < len(weekend) / 2 / (len(weekdays) / 5) < 0.6
    assert abs(len(weekdays) + len(weekend) - 700) < 3 * 700**0.5
    hours = Counter(time.hour for time in weekdays)
    assert sum(hours[hour] for hour in range(8, 16)) > 8 * sum(hours[hour] for hour in range(6))


@pytest.mark.parametrize(
    ("impossible", "said"),
    [
        ({"fault": "coffee"}, "no fault coffee; known: gain-doubled"),
        ({"ecgs_per_day": 5000}, "5000 ECGs"),
        ({"first_day": date(2025, 12, 31)}, "from 2026-01-15"),
        ({"first_day": date(2038, 4, 20), "days": 30}, "to 2038"),
    ],
)
def test_impossible_days_are_refused_with_a_reason(impossible: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        FeedConfig(**impossible)


def test_a_doubled_gain_doubles_one_machine_s_leads_and_no_other_s(
    tmp_path: Path, sound: tuple[list[Row], dict[str, Recording]]
) -> None:
    _, recordings = day(tmp_path, "gain-doubled")
    before = sound[1]
    assert recordings.keys() == before.keys()
    ward = [
        study for study in before if before[study].device == f"{WARD_CART.manufacturer} {WARD_CART.model}"
    ]
    assert ward
    for study, recording in recordings.items():
        factor = 2 if study in ward else 1
        near = np.abs(before[study].signal) < 10  # where a fault has not driven it into the rails
        np.testing.assert_allclose(recording.signal[near], factor * before[study].signal[near], atol=1e-5)


def test_swapped_electrodes_exchange_v1_and_v2_at_the_clinic_alone(
    tmp_path: Path, sound: tuple[list[Row], dict[str, Recording]]
) -> None:
    rows, recordings = day(tmp_path, "v1-v2-swapped")
    at_clinic = {row["path"] for row in rows if row["site"] == CLINIC}
    exchanged = [0, 1, 2, 3, 4, 5, 7, 6, 8, 9, 10, 11]
    for study, recording in recordings.items():
        before = sound[1][study].signal
        np.testing.assert_array_equal(recording.signal, before[exchanged] if study in at_clinic else before)


@pytest.mark.slow
def test_a_new_machine_records_at_1000_hz_and_takes_a_fifth(tmp_path: Path) -> None:
    _, recordings = day(tmp_path, "new-device", ecgs=150)
    new = [recording for recording in recordings.values() if recording.device == "Boreal Systems Touch 12"]
    assert 0.1 < len(new) / len(recordings) < 0.3
    assert np.median([recording.sampling_rate for recording in new]) == 1000


def test_a_stopped_feed_leaves_the_morning_of_the_clinic_and_the_other_site(
    tmp_path: Path, sound: tuple[list[Row], dict[str, Recording]]
) -> None:
    rows, _ = day(tmp_path, "feed-stopped")
    assert rows == [row for row in sound[0] if row["site"] != CLINIC or row["ecg_time"][11:13] < "10"]
    assert len(rows) < len(sound[0])


@pytest.mark.slow
def test_prevalence_doubles_and_those_who_were_ill_stay() -> None:
    def ill(fault: FeedFault) -> dict[int, bool]:
        people = [
            arrival.patient for n in range(1, 6) for arrival in arrivals(7, 600, date(2026, 7, n), fault)
        ]
        return {p.subject_id: labels(p.degrees.tolist())[1] == 1 for p in people}

    before, after = ill(SOUND), ill(FEED_FAULTS["prevalence-doubled"])
    assert before.keys() == after.keys()
    assert all(after[subject] for subject, was_ill in before.items() if was_ill)
    assert 1.75 < sum(after.values()) / sum(before.values()) < 2.25


def reports(folder: Path, flagged: set[str], fault: str | None = None, days: int = 2) -> list[Row]:
    config = FeedConfig(ecgs_per_day=50, first_day=DAY, days=days, fault=fault)
    examined = write_reports(LocalStore(folder), Settings(), config, flagged, silent)
    rows = [row for path in sorted((folder / "reports").iterdir()) for row in table(path)]
    assert len({row["study_id"] for row in rows}) == examined
    return rows


def test_reports_come_within_two_weeks_and_say_the_truth(tmp_path: Path) -> None:
    rows = reports(tmp_path, set())
    days = [date(2026, 6, number) for number in range(17, 31)] + [DAY, date(2026, 7, 2)]
    came = {a.patient.subject_id: a for d in days for a in arrivals(7, 50, d, SOUND)}
    waits = []
    for row in rows:
        arrival, performed_at = came[int(row["patient_id"])], datetime.fromisoformat(row["performed_at"])
        assert performed_at.date() in days[-2:]
        assert arrival.patient.degrees[int(row["segment"]) - 1] == int(row["degree"])
        waits.append(performed_at - arrival.taken_at)
    assert min(waits).total_seconds() > 0
    assert max(waits).days > 3


def test_a_flag_sends_patients_whom_symptoms_alone_do_not(tmp_path: Path) -> None:
    days = [date(2026, 6, number) for number in range(17, 31)] + [DAY, date(2026, 7, 2)]
    everyone = {pseudonym(str(a.patient.subject_id)) for d in days for a in arrivals(7, 50, d, SOUND)}
    without = {row["study_id"] for row in reports(tmp_path / "without", set())}
    with_flags = {row["study_id"] for row in reports(tmp_path / "with", everyone)}
    assert without < with_flags
    assert len(with_flags) > 1.3 * len(without)


def test_areas_are_reported_larger_than_diameters(tmp_path: Path) -> None:
    plain, areas = (reports(tmp_path / str(f), set(), fault=f) for f in (None, "area-reported"))
    area_of = {0: 0, 25: 44, 50: 75, 70: 91, 90: 99, 100: 100}
    assert len(plain) == len(areas)
    for before, after in zip(plain, areas, strict=True):
        degree = int(before["degree"])
        assert before | {"degree": after["degree"]} == after
        assert int(after["degree"]) == area_of.get(degree, int(after["degree"])) >= degree


def test_files_go_where_the_settings_say(tmp_path: Path) -> None:
    settings, config = Settings(ecg_prefix="heart/", report_prefix="cath/"), FeedConfig(ecgs_per_day=50)
    simulate_days(LocalStore(tmp_path), settings, config, silent)
    write_reports(LocalStore(tmp_path), settings, config, set(), silent)
    assert (tmp_path / f"heart/feed/{DAY}/record_list.csv").exists()
    assert list((tmp_path / "cath").iterdir())
