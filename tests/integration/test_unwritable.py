"""A value that Postgres does not take costs its own ECG; every other one of the batch is written."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.exc import ProgrammingError

from stence import scoring
from stence.database.leases import lease_end
from stence.database.tables import ecgs, flags, objects, quarantine, runs, scores, worklist
from stence.ecg import Finding, Reason
from stence.objects import ObjectStore
from stence.preparation.job import Measured, array_text
from stence.preparation.reading import EcgFacts
from stence.scoring.work import Claim, Worklist
from stence.scoring.writing import Refused, Result, Scored, Writer
from stence.settings import Settings
from support.database import forget_ecgs, tampering
from support.models import ShapeScorer, register
from support.scoring import all_rows

BATCH = 13
LONG = "".join(f"{number:x}" for number in range(9000))
POISONS: dict[str, dict[str, Any]] = {
    "NUL in a patient": {"patient_id": "p\0"},
    "NUL in a number": {"number": "p\0"},
    "lone surrogate": {"site": "\udc80"},
    "patient too long for an index": {"patient_id": LONG},
    "NUL in a warning": {"warnings": ["\0"]},
    "nobody": {"patient_id": None},
    "age beyond all numbers": {"age": 10**400},
    "age in words": {"age": "elderly"},
    "time without end": {"acquired_at": "9999999-13-45"},
    "NUL in a device": {"device": "\0"},
    "hash of another kind": {"content_hash": "\\x0g"},
}


class Work:
    """Claims of a run, and its writer."""

    def __init__(self, engine: Engine, store: ObjectStore, settings: Settings) -> None:
        self.engine = engine
        scorer = ShapeScorer(threshold=0)
        for number in range(BATCH):
            store.put(f"ecg/{number}.dcm", b"")
        register(engine, scorer)
        scoring.index(engine, store, settings)
        run = {
            "id": uuid.uuid4(), "model_version": scorer.model_version, "state": "running",
            "preprocessing_version": scorer.preprocessing_version, "code_version": "0", "device": "cpu",
            "host": "here", "lease_expires_at": lease_end(60),
        }  # fmt: skip
        with tampering(engine) as connection:
            connection.execute(insert(runs).values(run))
        self.worklist = Worklist(engine, settings, scorer.model_version, run["id"])
        self.worklist.enqueue()
        self.claims = self.worklist.claim(BATCH)
        self.writer = Writer(engine, settings, scorer, run["id"])

    def ended(self) -> dict[int, str]:
        """Where each file is."""
        return dict(all_rows(self.engine, worklist.c.object_id, worklist.c.state))

    def refusals(self) -> dict[int, tuple[str, str]]:
        return {
            number: (reason, detail)
            for number, reason, detail in all_rows(
                self.engine, quarantine.c.object_id, quarantine.c.reason, quarantine.c.detail
            )
        }


@pytest.fixture
def work(engine: Engine, store: ObjectStore, settings: Settings) -> Work:
    return Work(engine, store, settings)


def scored(claim: Claim, **changed: Any) -> Scored:
    """A sound result, or one with other values."""
    values: dict[str, Any] = {
        "content_hash": claim.object_id.to_bytes(32), "patient_id": f"p{claim.object_id}", "number": None,
        "acquired_at": datetime(2026, 3, 1, 8, 30, tzinfo=UTC), "local_timezone": None,
        "device": "Cardiograph 1", "sex": "F", "age": 61.0, "sampling_rate": 500.0, "seconds": 10.0,
        "warnings": [], "site": "A", "indication": None, "format": "WFDB", "device_serial": None,
        "filters": None, "measurements": "{}", "statements": [], "fingerprint": [claim.object_id] * 64,
    }  # fmt: skip
    figures = array_text(np.ones(12))
    measured = Measured(72.0, figures, figures, figures)
    risk, sketch = np.full(6, 0.5), np.zeros(32, np.float32)
    return Scored(claim, EcgFacts(**values | changed), measured, risk, sketch, risk - 0.1, risk + 0.1, 12.5)


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
def test_a_value_that_cannot_be_written_costs_its_own_ecg(work: Work, poison: dict[str, Any]) -> None:
    bad = work.claims[7]
    work.writer.write([scored(claim, **poison if claim is bad else {}) for claim in work.claims])
    sound = {claim.object_id for claim in work.claims} - {bad.object_id}
    assert work.ended() == dict.fromkeys(sound, "scored") | {bad.object_id: "quarantined"}
    assert work.refusals().keys() == {bad.object_id}
    reason, detail = work.refusals()[bad.object_id]
    assert reason == "unwritable"
    assert "Postgres does not take one of its values" in detail
    assert LONG[:40] not in detail
    assert "elderly" not in detail
    assert len(all_rows(work.engine, scores.c.content_hash)) == BATCH - 1
    assert len(all_rows(work.engine, flags.c.id)) == BATCH - 1


def test_a_refusal_that_cannot_be_written_is_written_otherwise(work: Work) -> None:
    finding = Finding(Reason.BROKEN_HEADER, "line 1")
    object.__setattr__(finding, "detail", "line 1 holds \0")  # as a fault of ours would; findings are cleaned
    results: list[Result] = [Refused(work.claims[0], finding), *map(scored, work.claims[1:])]
    work.writer.write(results)
    assert work.refusals()[work.claims[0].object_id][0] == "unwritable"
    assert list(work.ended().values()).count("scored") == BATCH - 1


def test_many_culprits_are_all_found(work: Work) -> None:
    poisons = [*POISONS.values(), {}, {}]
    work.writer.write([scored(claim, **poison) for claim, poison in zip(work.claims, poisons, strict=True)])
    assert sorted(work.ended().values()) == ["quarantined"] * len(POISONS) + ["scored"] * 2


def test_what_another_scorer_has_taken_over_is_not_quarantined_either(work: Work) -> None:
    bad, taken = work.claims[3], work.claims[3:5]
    with tampering(work.engine) as connection:
        theirs = update(worklist).where(worklist.c.object_id.in_([claim.object_id for claim in taken]))
        connection.execute(theirs.values(attempt=worklist.c.attempt + 1, run_id=uuid.uuid4()))
    work.writer.write([scored(claim, **POISONS["nobody"] if claim is bad else {}) for claim in work.claims])
    assert work.refusals() == {}
    assert [work.ended()[claim.object_id] for claim in taken] == ["leased", "leased"]
    assert len(all_rows(work.engine, scores.c.content_hash)) == BATCH - 2


def test_what_the_same_run_has_claimed_anew_is_written_by_its_new_claim_only(work: Work) -> None:
    work.worklist.release()
    again = work.worklist.claim(BATCH)
    work.writer.write([scored(claim) for claim in work.claims])
    assert set(work.ended().values()) == {"leased"}
    assert all_rows(work.engine, scores.c.content_hash) == []
    work.writer.write([scored(claim) for claim in again])
    assert set(work.ended().values()) == {"scored"}


def test_a_batch_that_is_written_again_changes_nothing(work: Work) -> None:
    results = [scored(claim, **POISONS["nobody"] if claim is work.claims[3] else {}) for claim in work.claims]
    work.writer.write(results)
    before = work.ended(), work.refusals(), all_rows(work.engine, ecgs.c.id, ecgs.c.patient_id)
    work.writer.write(results)
    assert (work.ended(), work.refusals(), all_rows(work.engine, ecgs.c.id, ecgs.c.patient_id)) == before


def test_a_fault_of_the_database_quarantines_nobody(work: Work) -> None:
    with tampering(work.engine) as connection:
        connection.exec_driver_sql("ALTER TABLE scores RENAME TO mislaid")
    with pytest.raises(ProgrammingError):
        work.writer.write([scored(claim) for claim in work.claims])
    assert set(work.ended().values()) == {"leased"}
    assert work.refusals() == {}


TEXTS = st.text(st.characters(), max_size=3000)
NUMBERS = st.one_of(st.none(), st.floats(), st.integers())
TIMES = st.one_of(
    st.none(),
    st.datetimes(
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=12))])
    ),
)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "patient_id": TEXTS, "site": TEXTS, "indication": TEXTS, "device": TEXTS, "sex": TEXTS,
        "age": NUMBERS, "acquired_at": TIMES, "warnings": st.lists(TEXTS, max_size=3),
    },
)  # fmt: skip


@pytest.mark.slow
@effort(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(VALUES, min_size=1, max_size=BATCH))
def test_whatever_a_file_holds_ends_scored_or_in_quarantine(work: Work, values: list[dict[str, Any]]) -> None:
    with tampering(work.engine) as connection:  # one example knows nothing of another
        connection.execute(update(objects).values(content_hash=None, patient_id=None))
        forget_ecgs(connection)
    work.worklist.enqueue()
    claims = work.worklist.claim(len(values))
    work.writer.write([scored(claim, **changed) for claim, changed in zip(claims, values, strict=True)])
    ended = work.ended()
    assert {ended[claim.object_id] for claim in claims} <= {"scored", "quarantined"}
    with work.engine.connect() as connection:
        connection.execute(select(ecgs)).all()
        assert connection.scalar(select(func.count()).select_from(objects)) == BATCH
