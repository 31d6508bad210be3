"""ECGs as tables of numbers (``.csv``, ``.tsv``, ``.txt``), by a layout that the hospital declares."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stence.ecg.formats.kinds import TABLES, is_archive
from stence.ecg.formats.limits import Limits, check_size, millivolts
from stence.ecg.leads import complete, find_leads, lead_of_name
from stence.ecg.reasons import Reason, UnusableEcgError, refuse
from stence.ecg.recording import Recording

NAME = "table"
MAX_HEADER_LINES = 100
_SKIPPED = "-"
_MAX_CELL_CHARACTERS = 32
_UNIT = re.compile(r"(\d+(?:\.\d+)?(?:[eE]-?\d+)?)?\s*([num\u00b5\u03bc]?V)")
_SEPARATORS = {",": ",", ";": ";", "tab": "\t", "space": None}


class Layout(BaseModel):
    """Columns and scale of the tables below a prefix of the store.

    >>> columns = ["-", "I", "II", "V1", "V2", "V3", "V4", "V5", "V6"]
    >>> Layout(prefix="cart/", suffix=".csv", columns=columns, unit="5 uV", sampling_rate=500).step
    0.005
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    prefix: str = ""
    """Prefix of the tables below the prefix of ECGs."""
    suffix: str
    """Suffix of their names, one of TABLES."""
    columns: Annotated[tuple[str, ...], Field(min_length=2, max_length=256)]
    """Leads in the order of the columns; ``-`` skips one."""
    unit: str
    """Voltage of the number 1: ``mV``, or ``5 uV`` for steps of 5 microvolts."""
    sampling_rate: Annotated[float, Field(gt=0, le=100_000)]
    """In Hz."""
    separator: Literal[",", ";", "tab", "space"] = ","
    header_lines: Annotated[int, Field(ge=0, le=MAX_HEADER_LINES)] = 0
    decimal_comma: bool = False

    @field_validator("suffix")
    @classmethod
    def _of_a_table(cls, value: str) -> str:
        if value not in TABLES:
            raise ValueError(f"must be one of {', '.join(TABLES)}")
        return value

    @field_validator("columns")
    @classmethod
    def _with_the_leads(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name != _SKIPPED and lead_of_name(name) is None]
        if unknown:
            raise ValueError(f"{unknown[0][:16]!r} is no lead; write - for a column to skip")
        try:
            find_leads([lead_of_name(name) for name in value])
        except UnusableEcgError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("unit")
    @classmethod
    def _voltage(cls, value: str) -> str:
        if not _UNIT.fullmatch(value[:_MAX_CELL_CHARACTERS]) or not _millivolts(value):
            raise ValueError("must be a voltage such as mV, uV or 5 uV")
        return value

    @model_validator(mode="after")
    def _commas(self) -> Layout:
        if self.decimal_comma and self.separator == ",":
            raise ValueError("separator and decimal_comma cannot both be a comma")
        return self

    @property
    def step(self) -> float:
        """Millivolts of the number 1."""
        return _millivolts(self.unit)

    def covers(self, key: str) -> bool:
        """Return True if the layout is for this key: that of a table, or of an archive of one."""
        return key.startswith(self.prefix) and (key.lower().endswith(self.suffix) or is_archive(key))


def decode(content: bytes, layout: Layout, limits: Limits) -> Recording:
    """Decode the recording in a table. Raises UnusableEcgError if the table is not of the layout."""
    leads = find_leads([lead_of_name(name) for name in layout.columns])
    table = _numbers(_lines(content, layout, limits), layout)
    signal = (table[:, list(leads.values())].T * layout.step).astype(np.float32)
    return Recording(complete(list(leads), signal), layout.sampling_rate, format=NAME)


def _millivolts(unit: str) -> float:
    match = _UNIT.fullmatch(unit.strip())
    return float(match[1] or 1) * millivolts(match[2], "") if match else 0.0


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
