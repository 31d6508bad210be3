"""Requests, answers and memory that a scorer shares with the processes that prepare its ECGs."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from stence.domain import machine
from stence.domain.merged_patients import NOT_MERGED
from stence.ecg import Finding, Reason
from stence.ecg.recipes import STENCE
from stence.errors import ObjectForbiddenError
from stence.objects import LocalStore, ObjectStore
from stence.preparation import job, windows
from stence.preparation.job import Answer, Job, Measured, Prepared, Request, Unusable
from stence.preparation.preparer import Preparer
from stence.preparation.reading import EcgFacts, Identity
from stence.preparation.rules import Rules
from stence.scoring.batches import Batches
from stence.scoring.stage_timer import StageTimer
from stence.settings import Settings
from support.ecgs import heartbeats, store_ecg
from support.models import ShapeScorer
from support.pseudonyms import PSEUDONYMS

SHAPE = (4, 3, 12, 1500)
HOLD = """
import fcntl, sys
fcntl.lockf(int(sys.argv[1]), fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""
EAST = timezone(timedelta(hours=5, minutes=30))


class ClosedStore(LocalStore):
    """Refuses one object."""

    def get(self, key: str, *arguments: object) -> bytes:
        """See ObjectStore."""
        if key == "ecg/closed.hea":
            raise ObjectForbiddenError("closed")
        return super().get(key, *arguments)  # type: ignore[arg-type]


def prepared(store: ObjectStore, *names: str, max_bytes: int = 2**30) -> list[Answer]:
    file = windows.create(SHAPE)
    work = Job(
        store,
        STENCE,
        SHAPE,
        Rules(ZoneInfo("UTC"), 2**26, PSEUDONYMS),
        NOT_MERGED,
        max_bytes,
        2,
        0,
        60,
        2**32,
    )
    preparer = Preparer(work, windows.map_windows(file, SHAPE), file)
    requests = [Request(row, f"ecg/{name}.hea", Identity("7")) for row, name in enumerate(names)]
    try:
        return [answer for group in preparer.fetch(requests) for answer in preparer.prepare(group)]
    finally:
        preparer.close()


def facts(time: datetime | None) -> EcgFacts:
    about = ("M12", "F", 64.5, 500.0, 10.0, ["odd"], None, "pain")
    said = ("DICOM", "SN1", "0.05 to 150 Hz", '{"qrs_ms": 94.0}', ["Normal ECG"], [1, -2])
    return EcgFacts(b"\x00\xff", "9e96", "Jos\u00e9 7", time, None, *about, *said)


def asked(*rows: int) -> list[Request]:
    return [Request(row, f"ecg/{row}.hea", Identity("7")) for row in rows]


TIMES = [None, datetime(2026, 3, 1, 8, 30, 0, 5, EAST), datetime(2026, 3, 1, tzinfo=UTC)]


@pytest.mark.parametrize("time", TIMES)
def test_answers_come_back_as_they_were(time: datetime | None) -> None:
    answers: list[Answer] = [
        Prepared(3, facts(time), Measured(71.3, "{1,2}", "{nan}", "{}"), ("ecg/a.dat",)),
        Prepared(4, facts(time), Measured(None, "{1,2}", "{3}", "{4}"), ()),
        Unusable(5, Finding(Reason.FLAT_LEAD, "V1 is flat", "V1", 0.01), None),
    ]
    reply = job.decode(json.loads(job.encode(answers, {"fetch": 0.5})), asked(5, 3, 4))
    assert reply == (answers, {"fetch": 0.5})


NO_ANSWERS = [{"answers": [[1]]}, {"answers": [[1, None, ["no reason", "x"]]]}, {}]


@pytest.mark.parametrize("spoilt", NO_ANSWERS)
def test_a_malformed_answer_is_no_answer(spoilt: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        job.decode({"seconds": {}, **spoilt}, asked(1))


@pytest.mark.parametrize("rows", [(), (1,), (1, 1), (1, 3), (1, -2), (1, 2, 3)])
def test_answers_that_are_not_one_for_each_request_are_no_answers(rows: tuple[int, ...]) -> None:
    answers = [Unusable(row, Finding(Reason.FLAT_LEAD, "V1 is flat"), None) for row in rows]
    with pytest.raises(ValueError, match="other requests"):
        job.decode(json.loads(job.encode(answers, {})), asked(1, 2))


def test_gaps_are_closed_with_the_last_rows() -> None:
    for rows in itertools.chain.from_iterable(itertools.permutations(range(5), n) for n in range(6)):
        memory = np.arange(5, dtype=np.float32)
        places = windows.close_gaps(memory, rows)
        assert sorted(places) == list(range(len(rows)))
        assert [memory[place] for place in places] == list(rows)


def test_an_ecg_that_may_not_be_read_stops_nobody_else(tmp_path: Path) -> None:
    store = ClosedStore(tmp_path)
    for number, name in enumerate(("closed", "open")):
        store_ecg(store, f"ecg/{name}.hea", heartbeats(number))
    closed, opened = prepared(store, "closed", "open")
    assert isinstance(closed, Unusable)
    assert closed.finding.reason is Reason.OBJECT_FORBIDDEN
    assert isinstance(opened, Prepared)


def test_files_without_room_are_read_by_one_process_at_a_time(tmp_path: Path) -> None:
    """Another process holds the lock for a second; a file without room waits for it."""
    store = LocalStore(tmp_path)
    store_ecg(store, "ecg/a.hea", heartbeats(1))
    file = windows.create(SHAPE)
    work = Job(
        store, STENCE, SHAPE, Rules(ZoneInfo("UTC"), 2**26, PSEUDONYMS), NOT_MERGED, 1, 2, 0, 60, 2**32
    )
    preparer = Preparer(work, windows.map_windows(file, SHAPE), file)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)],
        pass_fds=[file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(BlockingIOError):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        locked: list[bool] = []
        lockf = fcntl.lockf

        def watched(file: int, how: int) -> None:
            if how == fcntl.LOCK_EX:
                assert other.stdin
                other.stdin.close()  # the other process ends, and with it its lock
                lockf(file, how)
                locked.append(other.wait() == 0)
            else:
                lockf(file, how)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fcntl, "lockf", watched)
            (group,) = preparer.fetch([Request(0, "ecg/a.hea", Identity("7"))])
            (answer,) = preparer.prepare(group)
    assert isinstance(answer, Prepared)
    assert locked == [True]
    preparer.close()


def test_the_processes_share_the_budget(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, decode_processes=4, max_bytes_in_flight=4000, batch_size=2)
    batches = Batches(LocalStore(tmp_path / "store"), settings, ShapeScorer(), NOT_MERGED, StageTimer())
    try:
        assert batches._job.max_bytes_in_flight == 1000
    finally:
        batches.close()


@pytest.mark.parametrize(
    ("limit", "cores"), [("150000 100000", 2), ("10000 100000", 1), ("max 100000", 8), (None, 8)]
)
def test_a_container_may_use_the_cores_of_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None, cores: int
) -> None:
    if limit:
        (tmp_path / "cpu.max").write_text(limit)
    monkeypatch.setattr(machine, "CPU_LIMIT", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    assert machine.usable_cores() == cores


def test_a_preparing_process_imports_nothing_heavy() -> None:
    heavy = ("torch", "sqlalchemy", "scipy.signal", "pydantic", "boto3", "pydicom", "prefect")
    code = f"import sys, stence.preparation.worker; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
