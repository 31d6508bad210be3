"""Tables of numbers by declared layouts, with the 22 real ones of set-a."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stence import ecg
from stence.ecg import LEADS, Reason, UnusableEcgError
from stence.ecg.formats.limits import Limits
from stence.ecg.formats.tables import Layout, layout_of
from stence.errors import ConfigurationError
from stence.objects import LocalStore
from stence.preparation import layouts
from stence.preparation.layouts import parse, read_layouts
from stence.settings import Settings
from support.archives import zipped
from support.hostile import cost
from support.tables import layout

COLUMNS = ["-", "I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6"]
"""Of set-a: its fifth lead is II - I/2."""
SET_A: dict[str, Any] = {"suffix": ".txt", "columns": COLUMNS, "unit": "5 uV", "sampling_rate": 500}
NUMBERS = np.round(np.random.default_rng(2).normal(0, 300, (1000, 12)))


def table(layout: Layout, numbers: np.ndarray = NUMBERS, head: str = "") -> bytes:
    separator = {"tab": "\t", "space": "  "}.get(layout.separator, layout.separator)
    lines = (separator.join(f"{value:.1f}" for value in row) for row in numbers)
    text = "\r\n".join(lines)
    return (head + (text.replace(".", ",") if layout.decimal_comma else text) + "\r\n").encode()


def decoded(content: bytes, by: Layout, limits: Limits = Limits()) -> ecg.Recording:  # noqa: B008 - frozen
    return ecg.decode(f"a{by.suffix}", {f"a{by.suffix}": content}, limits, by)


def reason_of(content: bytes, by: Layout, limits: Limits = Limits()) -> Reason:  # noqa: B008 - frozen
    with pytest.raises(UnusableEcgError) as caught:
        decoded(content, by, limits)
    return caught.value.finding.reason


@pytest.mark.shared
def test_set_a(shared: Path) -> None:
    """Limb leads follow from I and II, so the columns are right; values are steps of 5 microvolts."""
    paths = sorted((shared / "data/set_a").glob("*.txt"))
    assert len(paths) == 22
    followed = 0
    for path in paths:
        signal = decoded(path.read_bytes(), Layout(**SET_A)).signal
        numbers = np.loadtxt(path, delimiter=",")
        order = [COLUMNS.index(lead) for lead in LEADS]
        np.testing.assert_allclose(signal, numbers[:, order].T * 0.005, rtol=1e-6, atol=1e-9)
        followed += np.abs(signal[4] - (signal[0] - signal[1] / 2)).max() <= 0.0101
    assert followed >= 15


@pytest.mark.shared
def test_a_table_with_a_header_line(shared: Path) -> None:
    content = (shared / "findings/ecg/silent/twelve_leads.csv").read_bytes()
    recording = decoded(content, Layout(**SET_A | {"suffix": ".csv", "header_lines": 1}))
    assert recording.signal.shape[0] == 12
    assert recording.signal[0, 0] == np.float32(0.12)
    assert recording.format == "table"


@pytest.mark.parametrize(
    "changes",
    [
        {"separator": ";"},
        {"separator": "tab", "suffix": ".tsv"},
        {"separator": "space", "suffix": ".txt"},
        {"separator": ";", "decimal_comma": True},
        {"unit": "mV"},
        {"unit": "0.25 \u00b5V"},
        {"header_lines": 2},
    ],
)
def test_what_a_layout_can_say(changes: dict[str, Any]) -> None:
    by = layout(**changes)
    head = "Patient: M\u00fcller\r\nI;II;III\r\n" if by.header_lines else ""
    recording = decoded(table(by, head=head), by)
    np.testing.assert_allclose(recording.signal, NUMBERS.T * by.step, rtol=1e-6)
    assert recording.sampling_rate == 250


def test_skipped_columns_and_derived_leads() -> None:
    by = layout(columns=["-", "I", "II", "V1", "V2", "V3", "V4", "V5", "V6", "-"])
    recording = decoded(table(by, NUMBERS[:, :10]), by)
    np.testing.assert_allclose(recording.signal[2] * 1000, NUMBERS[:, 2] - NUMBERS[:, 1], atol=1e-3)


def test_a_table_in_an_archive() -> None:
    by = layout()
    files = {"export/a.csv": table(by), "export/README.txt": b"hello"}
    packed = ecg.decode("a.zip", {"a.zip": zipped(files)}, layout=by)
    np.testing.assert_array_equal(packed.signal, decoded(table(by), by).signal)
    with pytest.raises(UnusableEcgError, match="no ECG"):
        ecg.decode("a.zip", {"a.zip": zipped(files)})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.TRUNCATED),
        (b"\n\n", Reason.TRUNCATED),
        (b"1,2,3\n" * 500, Reason.BROKEN_SIGNAL),
        (b"1,2,3,4,5,6,7,8,9,10,11,12,13\n" * 500, Reason.BROKEN_SIGNAL),
        (b"1,2,3,4,5,6,7,8,9,10,11,x\n" * 500, Reason.BROKEN_SIGNAL),
        (b"1,2,3,4,5,6,7,8,9,10,11,\n" * 500, Reason.BROKEN_SIGNAL),
        (b"1,2,3,4,5,6,7,8,9,10,11,12\n\n" * 500, Reason.BROKEN_SIGNAL),
        (b"\x00\xff\xfe" * 100, Reason.BROKEN_SIGNAL),
        (b"1" * 400, Reason.IMPLAUSIBLE_SIZE),
    ],
)
def test_other_tables_are_refused(content: bytes, reason: Reason) -> None:
    assert reason_of(content, layout()) is reason


def test_a_table_cannot_be_large() -> None:
    by, rows = layout(), 2000
    content = table(by, np.zeros((rows, 12)))
    assert decoded(content, by, Limits(samples=12 * rows)).signal.shape == (12, rows)
    assert reason_of(content, by, Limits(samples=12 * rows - 1)) is Reason.IMPLAUSIBLE_SIZE
    hostile = (b"1," * 2**25, b"\n" * 2**26, b"9" * 2**26)
    for large in hostile:
        seconds, megabytes = cost(lambda: reason_of(large, by))  # noqa: B023 - called at once
        assert seconds < 2
        assert megabytes < 300


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"columns": ["I", "II"]}, "no V1"),
        ({"columns": [*LEADS, "V1"]}, "V1 is stored twice"),
        ({"columns": [*LEADS, "V7"]}, "'V7', which is no lead; write -"),
        ({"columns": [*LEADS, *["-"] * 300]}, "more than 256"),
        ({"unit": "mmHg"}, "unit is no voltage"),
        ({"unit": "0 mV"}, "unit is no voltage"),
        ({"unit": "1" * 1000 + " mV"}, "unit is no voltage"),
        ({"sampling_rate": 0}, "sampling_rate is not above 0"),
        ({"sampling_rate": float("nan")}, "sampling_rate is not above 0"),
        ({"suffix": ".xml"}, "suffix is none of .csv"),
        ({"header_lines": -1}, "header_lines is not 0 to 100"),
        ({"decimal_comma": True}, "both a comma"),
    ],
)
def test_wrong_layouts_say_what_is_wrong(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        layout(**changes)


DECLARED = b"""
- prefix: cart/
  suffix: .txt
  columns: [-, I, II, III, aVR, aVF, aVL, V1, V2, V3, V4, V5, V6]
  unit: 5 uV
  sampling_rate: 500
- suffix: .csv
  columns: [I, II, V1, V2, V3, V4, V5, V6]
  unit: mV
  sampling_rate: 1000
  separator: ;
  decimal_comma: true
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (DECLARED.replace(b"5 uV", b"5 bar"), "layout 0: .*unit is no voltage"),
        (DECLARED.replace(b"  unit: mV\n", b""), "layout 1 unit: "),
        (DECLARED.replace(b"separator: ;", b"separator: '|'"), "layout 1 separator: "),
        (DECLARED.replace(b"  unit: mV\n", b"  unit: mV\n  rate: 1\n"), "layout 1 rate: Unexpected"),
        (b"a: b: c", "no YAML"),
        (b"\xff\xfe", "no YAML"),
        (b"[" * 60_000, "brackets"),
        (b"- " * 30_000, "no YAML"),
        (b"? " * 30_000, "no YAML"),
        (b"- &a [x]\n- *a\n", "aliases"),
        (b"prefix: cart/", "layout : Input should be a valid list"),
    ],
)
def test_broken_declarations_say_what_is_wrong(content: bytes, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse(content)


def test_layouts_of_a_store(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, settings = LocalStore(tmp_path), Settings()
    assert read_layouts(store, settings) == ()
    store.put("ecg/ecg_layouts.yaml", DECLARED)
    declared = read_layouts(store, settings)
    rates = {
        key: found and found.sampling_rate
        for key in ("ecg/cart/1.txt", "ecg/cart/1.TXT", "ecg/cart/1.csv", "ecg/1.txt", "ecg/1.csv", "1.csv",
                    "ecg/cart/1.zip", "ecg/cart/1.csv.gz", "ecg/1.xml", "ecg/1.hea")
        for found in [layout_of(key, declared)]
    }  # fmt: skip
    assert rates == {
        "ecg/cart/1.txt": 500, "ecg/cart/1.TXT": 500, "ecg/cart/1.csv": 1000, "ecg/1.txt": None,
        "ecg/1.csv": 1000, "1.csv": None, "ecg/cart/1.zip": 500, "ecg/cart/1.csv.gz": 500,
        "ecg/1.xml": None, "ecg/1.hea": None,
    }  # fmt: skip
    for broken in (b"[", b" " * (layouts.MAX_BYTES + 1)):
        store.put("ecg/ecg_layouts.yaml", broken)
        caplog.clear()
        with caplog.at_level(logging.ERROR):
            assert read_layouts(store, settings) == ()
        assert "no table is read until ecg_layouts.yaml is mended" in caplog.text
