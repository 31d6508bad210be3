"""What may stand in logs and tracebacks: text, numbers and counts; nothing that was read, no credential."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import uuid
from enum import StrEnum

import pytest

from stence import discretion
from stence.discretion import described, discreet, masked, plain
from stence.errors import StoreUnavailableError

PLANTED = ("OROURKE", "P-81234567", "quassel-7261-parole")


class Fault(StrEnum):
    EMPTY = "patient_id is empty"


NUMBER = uuid.UUID(int=1)


def record(name: str, text: object, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.INFO, "/lib/values.py", 7, text, arguments, None)


@pytest.mark.parametrize(
    ("text", "arguments", "shown"),
    [
        ("all is well", (), "all is well"),
        ("manifest %s: %d rows", ("ecg/O ROURKE/list.csv", 3), "manifest (…): 3 rows"),
        ("run %s took %.1f s", (NUMBER, 2.5), f"run {NUMBER} took 2.5 s"),
        ("index: %s", ({"new": 3, "path": "ecg/x"},), "index: {'new': 3, 'path': '(…)'}"),
        ("index %d: %s", (1, {"new": 3, "path": "ecg/x"}), "index 1: {'new': 3, 'path': '(…)'}"),
        ("line %d: %s", (7, Fault.EMPTY), "line 7: patient_id is empty"),
        ("again: %s", (OSError("/store/ecg/OROURKE"),), "again: OSError"),
        ("again: %s", (StoreUnavailableError("it is full"),), "again: it is full"),
        ("patients %s", (["OROURKE"],), "patients (…)"),
        ("model %s", (plain("tiny-1"),), "model tiny-1"),
    ],
)
def test_arguments_that_may_be_personal_are_held_back(
    text: str, arguments: tuple[object, ...], shown: str
) -> None:
    assert discreet(record("stence.x", text, *arguments)) == shown


def test_lines_of_other_libraries_give_their_place_alone() -> None:
    assert discreet(record("pydicom", "Invalid value 'OROURKE' for VR PN")) == "(…) at values.py:7"
    assert discreet(record("botocore.x", "retry %d of %s", 2, "ecg/OROURKE")) == "retry 2 of (…)"


def test_lines_of_prefect_pass_but_for_foreign_errors() -> None:
    assert discreet(record("prefect.flow_runs", "Beginning flow run 'score-1'")).endswith("'score-1'")
    assert discreet(record("prefect.x", "failed: %r", KeyError("OROURKE"))) == "failed: 'KeyError'"


def test_a_traceback_has_the_lines_of_code_and_no_text_of_foreign_errors() -> None:
    def read(number: str) -> None:
        raise ValueError(f"patient {number}")

    try:
        try:
            read(PLANTED[1])
        except ValueError as error:
            raise StoreUnavailableError("the store is full") from error
    except StoreUnavailableError as error:
        text = described(error)
    assert text.index("ValueError\n\nwhich led to") < text.index("StoreUnavailableError: the store is full")
    assert "read(PLANTED[1])" in text
    assert PLANTED[1] not in text


def test_a_cause_that_was_dropped_is_not_shown() -> None:
    try:
        try:
            raise KeyError("a")
        except KeyError:
            raise OSError(28, "planted") from None
    except OSError as error:
        text = described(error)
    assert "KeyError" not in text
    assert text.endswith("OSError: No space left on device")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at postgresql://a:b@db/x", "at postgresql://a:***@db/x"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("?X-Amz-Signature=abc&a=1", "?X-Amz-Signature=***&a=1"),
        ("password=abc user=x", "password=*** user=x"),
        ("https://host:9000/x", "https://host:9000/x"),
    ],
)
def test_credentials_are_masked_by_their_form(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_known_secrets_are_masked_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discretion, "_secrets", set())
    for secret in ("postgresql://x:quassel%2D7261-parole@db/y", "stence:laub-1234-frosch", "short"):
        discretion.hide(secret)
    text = masked("a quassel-7261-parole, quassel%2D7261-parole, laub-1234-frosch and a short text")
    assert text == "a ***, ***, *** and a short text"


def test_a_long_text_is_cut_and_costs_little() -> None:
    assert len(masked("://a:" * 100_000)) <= discretion.MAX_CHARACTERS


def test_a_record_holds_no_exception_that_another_formatter_could_show() -> None:
    make = discretion._DiscreetRecords(logging.LogRecord)
    error = KeyError("OROURKE")
    made = make("stence", logging.ERROR, "x.py", 1, "failed: %s", (error,), (KeyError, error, None))
    assert (made.getMessage(), made.exc_info, made.args) == ("failed: KeyError", None, None)
    assert "OROURKE" not in str(vars(made))


PROGRAM = """
import logging, sys, threading, warnings
from stence import discretion
discretion.install(); discretion.install()
logging.basicConfig(format="%(name)s: %(message)s")
log = logging.getLogger("stence.x")
patient, key = "P-81234567", "ecg/OROURKE/1.hea"
log.warning("an object is closed", extra={"object_key": key})
log.warning("object %s, secret %s", key, discretion.plain("quassel-7261-parole"))
logging.getLogger("pydicom").warning(f"Invalid value for VR PN: {key}")
warnings.warn(f"bad value {patient}")
try:
    {}[patient]
except KeyError:
    log.exception("a part failed")
def broken(patient):
    raise RuntimeError(f"no such patient {patient}")
thread = threading.Thread(target=broken, args=(patient,)); thread.start(); thread.join()
broken(patient)
"""


def test_no_way_out_of_a_process_tells_what_was_planted() -> None:
    environment = os.environ | {"AWS_SECRET_ACCESS_KEY": "quassel-7261-parole"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "stence.x: object (…), secret ***" in done.stderr
    assert "KeyError" in done.stderr
    assert done.stderr.count("RuntimeError") == 2
    assert not [word for word in PLANTED if word in done.stderr + done.stdout]


def test_a_line_that_cannot_be_formatted_fails_nobody() -> None:
    assert discreet(record("stence.x", "%d rows", "many")) == "(…) at values.py:7"
    assert discreet(record("numpy", "%.1f", object())) == "(…) at values.py:7"
