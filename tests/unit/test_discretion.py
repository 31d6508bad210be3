"""What of the library's log lines may stand in Prefect: text, numbers and counts, no word that was read."""

from __future__ import annotations

import logging
import uuid
from enum import StrEnum

import pytest

from stence.flows.discretion import discreet


class Fault(StrEnum):
    EMPTY = "patient_id is empty"


NUMBER = uuid.UUID(int=1)


@pytest.mark.parametrize(
    ("text", "arguments", "shown"),
    [
        ("all is well", (), "all is well"),
        ("manifest %s: %d rows", ("ecg/O ROURKE/list.csv", 3), "manifest (…): 3 rows"),
        ("run %s took %.1f s", (NUMBER, 2.5), f"run {NUMBER} took 2.5 s"),
        ("index: %s", ({"new": 3, "path": "ecg/x"},), "index: {'new': 3, 'path': '(…)'}"),
        ("line %d: %s", (7, Fault.EMPTY), "line 7: patient_id is empty"),
        ("again: %s", (OSError("/store/ecg/OROURKE"),), "again: OSError"),
        ("patients %s", (["OROURKE"],), "patients (…)"),
    ],
)
def test_arguments_that_may_be_personal_are_held_back(
    text: str, arguments: tuple[object, ...], shown: str
) -> None:
    record = logging.LogRecord("stence", logging.INFO, "file.py", 1, text, arguments, None)
    assert discreet(record) == shown
