"""ECGs as tables of numbers (``.csv``, ``.tsv``, ``.txt``), by a layout that the hospital declares."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from stence.ecg.formats.kinds import TABLES, is_archive
from stence.ecg.formats.limits import Limits, check_size, millivolts
from stence.ecg.leads import complete, find_leads, lead_of_name
from stence.ecg.reasons import Reason, UnusableEcgError, refuse
from stence.ecg.recording import Recording

NAME = "table"
MAX_COLUMNS = 256
MAX_HEADER_LINES = 100
MAX_RATE = 100_000.0
_SKIPPED = "-"
_MAX_CELL_CHARACTERS = 32
_UNIT = re.compile(r"(\d+(?:\.\d+)?(?:[eE]-?\d+)?)?\s*([num\u00b5\u03bc]?V)")
_SEPARATORS = {",": ",", ";": ";", "tab": "\t", "space": None}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Columns and scale of the tables below a prefix of the store. Raises ValueError for a wrong one.

    ``prefix`` and ``suffix`` say which tables. ``columns`` are leads in the order of the columns, with ``-``
    for one to skip; ``unit`` is the voltage of the number 1, such as ``mV``, or ``5 uV`` for steps of
    5 microvolts; ``sampling_rate`` is in Hz.

    >>> columns = ("-", "I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
    >>> Layout(prefix="cart/", suffix=".csv", columns=columns, unit="5 uV", sampling_rate=500).step
    0.005
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    prefix: str = ""
    suffix: str
    columns: tuple[str, ...]
    unit: str
    sampling_rate: float
    separator: Literal[",", ";", "tab", "space"] = ","
    header_lines: int = 0
    decimal_comma: bool = False

    def __post_init__(self) -> None:
        if self.suffix not in TABLES:
            raise ValueError(f"suffix is none of {', '.join(TABLES)}")
        _check_columns(self.columns)
        if not _UNIT.fullmatch(self.unit[:_MAX_CELL_CHARACTERS]) or not self.step:
            raise ValueError("unit is no voltage such as mV, uV or 5 uV")
        if not 0 < self.sampling_rate <= MAX_RATE:
            raise ValueError(f"sampling_rate is not above 0 and up to {MAX_RATE:g} Hz")
        if not 0 <= self.header_lines <= MAX_HEADER_LINES:
            raise ValueError(f"header_lines is not 0 to {MAX_HEADER_LINES}")
        if self.decimal_comma and self.separator == ",":
            raise ValueError("separator and decimal_comma are both a comma")

    @property
    def step(self) -> float:
        """Millivolts of the number 1."""
        match = _UNIT.fullmatch(self.unit)
        return float(match[1] or 1) * millivolts(match[2], "") if match else 0.0

    def covers(self, key: str) -> bool:
        """Return True if the layout is for this key: that of a table, or of an archive of one."""
        return key.startswith(self.prefix) and (key.lower().endswith(self.suffix) or is_archive(key))


def _check_columns(columns: tuple[str, ...]) -> None:
    if len(columns) > MAX_COLUMNS:
        raise ValueError(f"columns are more than {MAX_COLUMNS}")
    for name in columns:
        if name != _SKIPPED and lead_of_name(name) is None:
            raise ValueError(f"columns name {name[:16]!r}, which is no lead; write - for a column to skip")
    try:
        find_leads([lead_of_name(name) for name in columns])
    except UnusableEcgError as error:
        raise ValueError(f"columns: {error}") from None


def layout_of(key: str, layouts: Iterable[Layout]) -> Layout | None:
    """Return the first layout that covers a key, or None."""
    return next((layout for layout in layouts if layout.covers(key)), None)


def decode(content: bytes, layout: Layout, limits: Limits) -> Recording:
    """Decode the recording in a table. Raises UnusableEcgError if the table is not of the layout."""
    leads = find_leads([lead_of_name(name) for name in layout.columns])
    table = _numbers(_lines(content, layout, limits), layout)
    signal = (table[:, list(leads.values())].T * layout.step).astype(np.float32)
    return Recording(complete(list(leads), signal), layout.sampling_rate, format=NAME)


def _lines(content: bytes, layout: Layout, limits: Limits) -> list[bytes]:
    """Return the lines with numbers, none of them long."""
    check_size(len(layout.columns), content.count(b"\n") or 1, limits)
    lines = content.replace(b"\r", b"").rstrip().split(b"\n")[layout.header_lines :]
    longest = max(map(len, lines), default=0)
    if longest > _MAX_CELL_CHARACTERS * len(layout.columns):
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"a line of the table has {longest} characters", value=longest)
    if not any(lines):
        raise refuse(Reason.TRUNCATED, "the table has no line with numbers", value=0)
    return lines


def _numbers(lines: list[bytes], layout: Layout) -> NDArray[np.float64]:
    """Return the table (n, columns)."""
    text = b"\n".join(lines).decode("latin-1")
    text = text.replace(",", ".") if layout.decimal_comma else text
    try:
        table = np.loadtxt(text.split("\n"), delimiter=_SEPARATORS[layout.separator], comments=None, ndmin=2)
    except ValueError:
        table = np.empty((0, 0))
    if table.shape != (len(lines), len(layout.columns)):
        detail = f"the table does not have {len(layout.columns)} numbers in each line, as its layout says"
        raise refuse(Reason.BROKEN_SIGNAL, detail)
    return table
