"""What a run asks of its preparing processes, and what they answer.

Requests are pickled. Answers are JSON: a child under control of a hostile file cannot attack the parent with
them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.domain.merged_patients import Patients
from stence.ecg.reasons import Finding, Reason
from stence.ecg.recipes import Recipe
from stence.objects.store import ObjectStore
from stence.preparation.reading import EcgFacts, Identity
from stence.preparation.rules import Rules


class Job(NamedTuple):
    """Fixed part of a run: where ECGs come from, and how they are read and prepared."""

    store: ObjectStore
    recipe: Recipe
    shape: tuple[int, int, int, int]
    """Rows of the shared memory, and of each row windows, leads and samples."""
    rules: Rules
    patients: Patients
    max_bytes_in_flight: int
    """Bytes of files in memory of each process; larger files are read by one process at a time."""
    fetch_threads: int
    outage_seconds: float
    decode_seconds: float
    decode_memory_bytes: int
    """Memory that each process may allocate for its files and ECGs."""


class Request(NamedTuple):
    """An ECG to prepare: its main file, its data in manifests, and the row for its windows."""

    row: int
    key: str
    identity: Identity


class Measured(NamedTuple):
    """``stence.ecg.profile.Profile`` as columns for COPY: arrays as Postgres writes them."""

    heart_rate: float | None
    r_mv: str
    s_mv: str
    noise_uv: str


class Prepared(NamedTuple):
    """An ECG whose windows are in its row. ``signals`` are the keys of all signal files of its header."""

    row: int
    facts: EcgFacts
    measured: Measured
    signals: tuple[str, ...] | None


class Unusable(NamedTuple):
    """An ECG that cannot be used; ``signals`` is None if the header cannot be read."""

    row: int
    finding: Finding
    signals: tuple[str, ...] | None


Answer = Prepared | Unusable


class Reply(NamedTuple):
    """Answers to some requests, and the seconds by stage that they took."""

    answers: list[Answer]
    seconds: dict[str, float]


def array_text(figures: NDArray[np.floating]) -> str:
    """Format an array for COPY, with six digits. psycopg's own formatting takes ten times as long."""
    return "{" + ",".join(["%.6g"] * len(figures)) % tuple(figures.tolist()) + "}"


def encode(answers: Sequence[Answer], seconds: dict[str, float]) -> bytes:
    """Encode the answers of a child."""
    return json.dumps({"answers": [_plain(answer) for answer in answers], "seconds": seconds}).encode()


def decode(message: dict[str, Any], requests: Sequence[Request]) -> Reply:
    """Decode the answers to requests.

    Raises ValueError, TypeError or KeyError if they are malformed, or not one for each request: the row says
    whose score it becomes.
    """
    answers = [_answer(*fields) for fields in message["answers"]]
    if sorted(answer.row for answer in answers) != sorted(request.row for request in requests):
        raise ValueError("answers to other requests")
    return Reply(answers, dict(message["seconds"]))


def _plain(answer: Answer) -> list[Any]:
    if isinstance(answer, Unusable):
        finding = answer.finding
        return [answer.row, answer.signals, [finding.reason, finding.detail, finding.lead, finding.value]]
    facts = answer.facts
    time = facts.acquired_at and facts.acquired_at.isoformat()
    plain = facts._replace(content_hash=facts.content_hash.hex(), acquired_at=time)  # type: ignore[arg-type]
    return [answer.row, answer.signals, plain, answer.measured]


def _answer(row: int, signals: list[str] | None, first: list[Any], measured: Any = None) -> Answer:
    keys = None if signals is None else tuple(signals)
    if measured is None:
        reason, *rest = first
        return Unusable(row, Finding(Reason(reason), *rest), keys)
    content_hash, patient_id, number, time, *others = first
    moment = time and datetime.fromisoformat(time)
    facts = EcgFacts(bytes.fromhex(content_hash), patient_id, number, moment, *others)
    return Prepared(row, facts, Measured(*measured), keys)
