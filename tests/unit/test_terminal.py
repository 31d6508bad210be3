"""What is printed: data steer neither terminal nor spreadsheet, errors name their object, no secret shows."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import click
import pytest
from click.testing import CliRunner

from stence.cli import Commands
from stence.cli.query import _csv_cell
from stence.cli.terminal import echo, print_filled, print_table, shown
from stence.domain.urls import without_secrets
from stence.errors import ConfigurationError, ObjectForbiddenError, StenceError, StoreUnavailableError

HOSTILE = "a\x1b[2J\x1b]0;title\x07\x9b31m\u202eb\0\x08\x7f\ud800c"
TAMED = "a[2J]0;title31mbc"


@pytest.mark.parametrize(
    ("text", "line"),
    [(HOSTILE, TAMED), ("a\r\nb\tc", "a  b c"), ("Jörg µV 心", "Jörg µV 心"), ("", ""), ("a\u2028b", "a b")],
)
def test_what_steers_a_terminal_is_left_out(text: str, line: str) -> None:
    assert shown(text) == line


def test_tables_and_texts_of_data(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(HOSTILE, ["key", "list"], [(HOSTILE, [HOSTILE, 1]), (None, 0.5)])
    echo(f"first\n{HOSTILE}")
    printed = capsys.readouterr().out
    assert not any(
        ord(character) < 32 or 127 <= ord(character) < 160 for character in printed if character != "\n"
    )
    assert f"first\n{TAMED}\n" in printed
    assert printed.count(TAMED) == 4


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("\t=1", "' =1"),
        ("\r=1", "' =1"),
        ("\x1b=1", "'=1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("-", "'-"),
        ("-12.5", "-12.5"),
        ("+1e-7", "+1e-7"),
        ("ecg/=1.hea", "ecg/=1.hea"),
        ("a\nb", "a b"),
        ("-" + "9" * 100_000 + "x", "'-" + "9" * 100_000 + "x"),
        (-3, -3),
        (-0.5, -0.5),
        (Decimal("-1.5"), Decimal("-1.5")),
        (None, None),
        (True, True),
        (datetime(2026, 3, 1, tzinfo=UTC), "2026-03-01 00:00:00+00:00"),
    ],
)
def test_cells_of_csv(cell: Any, written: Any) -> None:
    assert _csv_cell(cell) == written


def told(error: StenceError) -> str:
    def fail() -> None:
        raise error

    group = Commands("stence")
    group.get_command = lambda *_: click.Command("fail", callback=fail)  # type: ignore[method-assign]
    return CliRunner().invoke(group, ["fail"]).output


def test_a_key_is_shown_to_a_person_and_not_to_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(ObjectForbiddenError("closed", "p1/ecg.hea")) == (
        "Error: closed\nThe object is named on a terminal only\n"
    )
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True, raising=False)
    assert told(ObjectForbiddenError("closed; grant it", "p1/\x1b[2Jecg\n.hea")) == (
        "Error: closed; grant it\nThe object is p1/[2Jecg .hea\n"
    )
    assert told(StoreUnavailableError("down")) == "Error: down\n"
    assert told(ConfigurationError("one\x1b[2J\ntwo")) == "Error: one[2J\ntwo\n"


@pytest.mark.parametrize(
    ("url", "harmless"),
    [
        ("https://user:secret@host:9000/x", "https://***@host:9000/x"),
        ("s3://key:secret@bucket/pre@fix", "s3://***@fix"),
        ("https://user:sec@ret@host", "https://***@host"),
        ("https://user:secret/secret@host/x", "https://***@host/x"),
        ("https://secret@host", "https://***@host"),
        ("user:secret@host", "***@host"),
        ("https://host/?password=secret&x=1", "https://host/?***"),
        ("postgresql://u@host/db?password=secret", "postgresql://***@host/db?***"),
        ("https://host:9000/a@b", "https://host:9000/a@b"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("file:///srv/a@b", "file:///srv/a@b"),
        ("http://[::1]:9000/a", "http://[::1]:9000/a"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, harmless: str) -> None:
    assert without_secrets(url) == harmless
    assert "secret" not in without_secrets(url)


def test_columns_that_are_empty_in_every_row_are_named_below_the_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_filled("List", ["patient", "change", "studied"], [["a", None, None], ["b", 0.5, None]])
    printed = capsys.readouterr().out
    assert "change" in printed
    assert printed.endswith("Empty in every row: studied\n")


def test_a_table_without_rows_has_all_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_filled("List", ["patient", "change"], [])
    assert "change" in capsys.readouterr().out
