"""Which texts are patient numbers, and which times and ages can be meant: one rule for every source."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from stence.domain.patients import PatientIdError, patient_id
from stence.domain.text import plain_text
from stence.domain.times import plausible_age, plausible_time

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["12345", "P-1/2", "A 1", "Mu\u0308ller1", "0001", "x" * 64, "测试1", "TEST1"]
)
def test_a_patient_number_is_taken_as_it_stands(text: str) -> None:
    assert patient_id(f" {text}\0\0") == text.replace("u\u0308", "ü")


@pytest.mark.parametrize(
    "text",
    [None, "", "  ", "\0\0", "0", "0000000", "000-000", "Unknown", "UNKNOWN", "test", "N/A", "---", "?"],
)
def test_a_placeholder_names_nobody(text: str | None) -> None:
    assert patient_id(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("WARD\\12345", "backslash"),
        ("1234\0DEF", "cannot be printed"),
        ("1234\nDEF", "cannot be printed"),
        ("12\x1b[31m34", "cannot be printed"),
        ("12\u200b34", "cannot be printed"),
        ("12\u202e34", "cannot be printed"),
        ("12\ud80034", "cannot be printed"),
        ("12\u00a034", "cannot be printed"),
        ("12\u202834", "cannot be printed"),
        ("P\ufffd1", "character set"),
        ("x" * 65, "65 characters"),
    ],
)
def test_what_may_be_somebody_else_is_refused_without_quoting_it(text: str, why: str) -> None:
    with pytest.raises(PatientIdError, match=why) as caught:
        patient_id(text)
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1970, 1, 2, tzinfo=UTC),
        NOW + timedelta(days=2),
        datetime(2026, 6, 2, 11, tzinfo=timezone(timedelta(hours=14))),
    ],
)
def test_times_that_can_be_meant(moment: datetime) -> None:
    assert plausible_time(moment, NOW)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(1800, 5, 5),
        datetime(1970, 1, 1, 23, 59, tzinfo=UTC),
        NOW + timedelta(days=2, seconds=1),
        datetime(2099, 1, 1),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-12))),
    ],
)
def test_placeholders_and_the_future_are_no_times(moment: datetime) -> None:
    assert not plausible_time(moment, NOW)


def test_ages() -> None:
    assert plausible_age(0)
    assert plausible_age(130)
    assert not plausible_age(130.1)
    assert not plausible_age(999)
    assert not plausible_age(-1)
    assert not plausible_age(float("nan"))


def test_plain_text_is_one_bounded_line_without_control_characters() -> None:
    assert plain_text("a\0b\x1b[31m\n c\t\u202ed") == "ab[31m c d"
    assert plain_text("x" * 10_000_000) == "x" * 200
    assert plain_text(" \0 ") is None
    assert plain_text("x" * 1001, 1000) == "x" * 1000
    assert plain_text("\0" * 600 + "words") == "words"
