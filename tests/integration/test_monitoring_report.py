"""The report says what SQL says, loads nothing, names no patient, and tells what changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text

from stence import database
from stence.cli import main
from stence.database import queries
from stence.monitoring.report import ReportFile, write_report
from stence.objects import LocalStore
from stence.progress import silent
from stence.settings import Settings
from support.database import copied, tampering
from support.monitored import load_monitored
from support.pages import Page, Table
from support.psql import as_read, in_psql

TODAY = date(2026, 11, 24)
YESTERDAY = TODAY - timedelta(days=1)
LEAVES = re.compile(
    r"https?:|//|\bsrc\s*=|\bhref\s*=\s*[\"'](?!#|\.\./pages/ward-list\.html\")|url\s*\(|@import|<script|<link|<iframe|\bon\w+="
)


class Hospital(NamedTuple):
    """A database, a store and the report that was written into it last."""

    settings: Settings
    engine: Engine
    store: LocalStore
    report: ReportFile


@pytest.fixture(scope="module")
def hospital(postgres: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """A watched hospital with today's report and one of the day before.

    Between the two reports a model was retired. It is made once for all tests, which only read it.
    """
    folder = tmp_path_factory.mktemp("hospital")
    with copied(postgres, "template") as url:
        settings, store = Settings(data_dir=folder, database_url=url), LocalStore(folder / "store")
        with database.connect(settings) as engine:
            load_monitored(engine, YESTERDAY, days=30)
            write_report(engine, store, settings, silent, YESTERDAY)
            with tampering(engine) as connection:
                for statement in BETWEEN:
                    connection.execute(text(statement))
            report = write_report(engine, store, settings, silent, TODAY)
            yield Hospital(settings, engine, store, report)


BETWEEN = (
    "UPDATE monitoring_metrics SET value = value + 7 WHERE name = 'ecgs_arrived'",
    "INSERT INTO alerts (rule, severity, metric, slice_key, slice_value, state, detail) "
    "VALUES ('new-device', 'info', 'new_category', 'device', '<b>Unknown</b>', 'open', 'New.')",
    "INSERT INTO model_events (version, from_state, to_state, changed_by, reason) "
    "VALUES ('synthetic-1', 'retired', 'retired', 'cardiology', 'said & done')",
)


@pytest.fixture
def report(hospital: Hospital) -> ReportFile:
    return hospital.report


def page_of(report: ReportFile) -> Page:
    return Page(report.content.decode())


def asked(engine: Engine, table: Table) -> list[dict[str, Any]]:
    """What the table's query answers, as a reader would ask it."""
    with engine.connect() as connection:
        columns, rows = queries.run(connection, table.query, table.params)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def says(written: str, value: float) -> bool:
    """Whether ``written`` is ``value``, rounded to the digits that are shown."""
    if written.startswith("< "):
        return value < float(written[2:])
    digits = re.sub(r"[^0-9.\-]", "", written)
    decimals = len(digits.partition(".")[2])
    times = 100 if "%" in written else 1
    return abs(float(digits) - value * times) <= 0.5001 * 10.0**-decimals


@pytest.mark.slow
def test_every_number_of_every_table_is_what_its_query_answers(hospital: Hospital) -> None:
    checked = 0
    for table in page_of(hospital.report).tables:
        answer, rows = asked(hospital.engine, table), [row for row in table.rows if row]
        assert len(rows) == len(answer) > 0, table.query
        for row, expected in zip(rows, answer, strict=True):
            for cell, names in zip(row, table.columns, strict=True):
                for (value, written), name in zip(cell.numbers, names, strict=False):
                    if expected[name] is None:
                        assert value == ""
                    else:
                        assert float(value) == pytest.approx(float(expected[name]), rel=1e-5), table.query
                        assert says(written, float(expected[name])), (table.query, name, written)
                        checked += 1
                if not cell.numbers and not cell.before and len(names) == 1:
                    assert_words(cell.text, expected[names[0]])
    assert checked > 2000


def assert_words(shown: str, value: Any) -> None:
    if isinstance(value, datetime):
        assert shown == f"{value:%Y-%m-%d %H:%M}"
    elif isinstance(value, str) and not re.match(r"[●▲■○]", shown):
        assert shown == value


def test_no_number_stands_outside_a_table_but_days_and_the_words_of_the_page(report: ReportFile) -> None:
    words = page_of(report).words
    for name in (
        "synthetic-2",
        "stenosis_70",
        "95th percentile",
        "at least 70 %",
        "of 95 %",
        YESTERDAY.isoformat(),
    ):
        words = words.replace(name, "")
    assert re.findall(r"\d+", words) == []


def test_a_table_shows_the_sql_that_gives_it(report: ReportFile) -> None:
    content = report.content.decode()
    for table in page_of(report).tables:
        assert f"stence query {table.query}" in content
        assert re.search(r"^FROM (\w+)", queries.script(table.query), re.MULTILINE)


def test_psql_answers_what_the_report_shows_and_every_query_is_shown(hospital: Hospital) -> None:
    tables = page_of(hospital.report).tables
    names = {name for name, _ in queries.available() if name.startswith("monitoring_")}
    assert {table.query for table in tables} == names
    for table in tables:
        ours = asked(hospital.engine, table)
        assert as_read(in_psql(hospital.settings, table.query, table.params), ours) == ours


def test_nothing_is_loaded_from_anywhere(report: ReportFile) -> None:
    content = report.content.decode()
    assert LEAVES.findall(content) == []
    assert "default-src 'none'" in content


def test_no_patient_and_no_file_is_named(hospital: Hospital) -> None:
    content = hospital.report.content.decode()
    with hospital.engine.connect() as connection:
        patients = set(connection.scalars(text("SELECT patient_id FROM ecgs")))
    assert patients
    assert set(re.findall(r"\bp\d+\b", content)).isdisjoint(patients)
    assert "ecg/p" not in content


def test_charts_say_what_they_are_to_who_cannot_see_them(report: ReportFile) -> None:
    page = page_of(report)
    labels = [attributes.get("aria-label") for tag, attributes in page.tags if tag == "svg"]
    assert len(labels) > 30
    assert all(labels)
    heads = [attributes.get("scope") for tag, attributes in page.tags if tag == "th"]
    assert set(heads) == {"col"}


def test_it_tells_what_changed_since_the_last_report(hospital: Hospital) -> None:
    page = page_of(hospital.report)
    tables = {table.query: table for table in page.tables}
    kept = json.loads(hospital.store.get(f"monitoring/report-{YESTERDAY}.json"))["figures"]
    figures = {row[0].text: row for row in tables["monitoring_key_figures"].rows if row}
    for title, before in kept.items():
        [[(value, written)]] = [cell.before for cell in figures[title] if cell.before]
        assert float(value) == pytest.approx(before, rel=1e-5)
        assert says(written, before)
    assert "▲ from" in figures["ECGs recorded"][2].text
    assert "unchanged (" in figures["AUROC, weighted"][2].text
    [alert] = [row for row in tables["monitoring_alert_changes"].rows if row]
    assert alert[2].text == "<b>Unknown</b>"
    [change] = [row for row in tables["monitoring_model_changes"].rows if row]
    assert change[-1].text == "said & done"


def test_the_worst_is_said_first(report: ReportFile) -> None:
    words = page_of(report).words
    assert words.index("■ Act: inputs.") < words.index("▲ Look: workload.")


def test_one_a_day_is_kept_and_the_newest_has_a_name(hospital: Hospital) -> None:
    settings, engine, store, _ = hospital
    again = write_report(engine, store, settings, silent, TODAY)
    assert "Changes since the report of" in page_of(again).words  # not since the one of the same day
    assert [each.key for each in store.list("monitoring/")] == [
        "monitoring/latest.html",
        *(f"monitoring/report-{day}.{kind}" for day in (YESTERDAY, TODAY) for kind in ("html", "json")),
    ]
    assert store.get("monitoring/latest.html") == store.get(again.key) == again.content


def test_a_hospital_that_measures_nothing_is_told_so(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    page = page_of(write_report(engine, LocalStore(tmp_path / "store"), settings, silent, TODAY))
    assert "The last days were not monitored" in page.words
    assert "This is the first report." in page.words
    assert "none yet" in page.words


def test_the_command_writes_into_the_store_and_a_file(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.database_url is not None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STENCE_DATABASE_URL", settings.database_url.get_secret_value())
    result = CliRunner().invoke(main, ["report", "--out", "page.html"])
    assert result.exit_code == 0, result.output
    key = f"monitoring/report-{datetime.now(UTC):%Y-%m-%d}.html"
    assert result.output.endswith(f"The report is in the store under {key} and in page.html.\n")
    assert (tmp_path / ".stence" / "store" / key).read_bytes() == (tmp_path / "page.html").read_bytes()
