"""Scored ECGs, and the cath reports of their patients who were referred to the catheter laboratory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row

from stence.database import queries
from stence.domain.subgroups import AGE_BANDS, SEXES, band_name
from stence.domain.targets import TARGET_NAMES, labels
from stence.domain.windows import Window
from stence.evaluation.propensity import People
from stence.evaluation.watched import Watched


@dataclass(frozen=True, slots=True)
class Scored:
    """ECGs (m,) with a model's ``probabilities`` (m, 6).

    ``patients`` (m,) are numbers from 0. ``sex`` is F, M or empty, ``age`` in years or NaN. Other texts are
    empty if unknown.
    """

    patients: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    sex: NDArray[np.str_]
    age: NDArray[np.float64]
    device: NDArray[np.str_]
    site: NDArray[np.str_]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Sample weights (m,): 1 / number of the patient's ECGs, so all patients have the same weight."""
        return 1 / np.bincount(self.patients)[self.patients]

    def slices(self) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
        """Yield kind, name and members (m,) of each sex, age band, known device and known site."""
        for name, code in SEXES.items():
            yield "sex", name, self.sex == code
        for low, high in AGE_BANDS:
            yield "age_band", band_name(low, high), (self.age >= low) & (self.age < high)
        for kind, values in (("device", self.device), ("site", self.site)):
            for name in np.unique(values[values != ""]).tolist():
                yield kind, name, values == name


@dataclass(frozen=True, slots=True)
class FollowUp(Scored):
    """Scored ECGs after their follow-up time. ``flagged`` (m,) is true for a flag of any model and target.

    ``labels`` (m, 6) are 1, 0, or NaN without a report or if the report leaves it open. ``referred`` (m,)
    belongs to the patient: all ECGs of an episode, from the first to the study, share its outcome.
    ``censored`` (m,) is true where the study came too late: referred, without a label. ``drawn`` (m,) is true
    for the verification sample; ``chance`` (m,) is the probability of a draw that the ECG took part in, or 0.
    """

    flagged: NDArray[np.bool_]
    indication: NDArray[np.str_]
    labels: NDArray[np.float32]
    referred: NDArray[np.bool_]
    censored: NDArray[np.bool_]
    drawn: NDArray[np.bool_]
    chance: NDArray[np.float64]

    def people(self) -> People:
        """Aggregate the ECGs to covariates per patient."""
        first = np.unique(self.patients, return_index=True)[1]
        highest = np.zeros((len(first), self.probabilities.shape[1]))
        np.maximum.at(highest, self.patients, self.probabilities)
        indications: list[Counter[str]] = [Counter() for _ in first]
        for patient, reason in zip(self.patients.tolist(), self.indication.tolist(), strict=True):
            if reason:
                indications[patient][reason] += 1
        return People(
            probabilities=highest,
            flags=np.bincount(self.patients, weights=self.flagged).astype(np.int64),
            ecgs=np.bincount(self.patients),
            age=self.age[first],
            sex=self.sex[first],
            indications=indications,
            site=self.site[first],
            referred=self.referred[first],
            drawn=np.bincount(self.patients, weights=self.drawn) > 0,
            chance=1 - np.exp(np.bincount(self.patients, weights=np.log1p(-self.chance))),
        )


def read_follow_up(connection: Connection, window: Window, days: int, model: Watched) -> FollowUp:
    """Read the ECGs of ``window`` that the model scored, with studies up to ``days`` after a patient's last.

    Patients whose days the cath reports in the database do not cover yet are left out: they are censored by
    the calendar alone, whatever their arteries. ``sql/statements/followed_ecgs.sql`` names other exclusions.
    """
    asked = _asked(window, model) | {"days": days}
    rows = connection.execute(queries.statement("followed_ecgs"), asked).all()
    return follow_up_of([row for row in rows if row.complete])


def follow_up_of(rows: Sequence[Row[Any]]) -> FollowUp:
    """Build the follow-up from rows of ``followed_ecgs``."""
    unknown = np.full(len(TARGET_NAMES), np.nan, dtype=np.float32)
    answers = [unknown if row.degrees is None else labels(row.degrees) for row in rows]
    return FollowUp(
        **_scored(rows),
        flagged=np.array([row.flagged for row in rows], dtype=bool),
        indication=np.array([(row.indication or "").strip().lower() for row in rows], dtype=np.str_),
        labels=np.array(answers, dtype=np.float32).reshape(len(rows), len(TARGET_NAMES)),
        referred=np.array([row.late or row.degrees is not None for row in rows], dtype=bool),
        censored=np.array([row.late for row in rows], dtype=bool),
        drawn=np.array([row.drawn for row in rows], dtype=bool),
        chance=np.array([row.chance for row in rows], dtype=np.float64),
    )


def read_scored(connection: Connection, window: Window, model: Watched) -> Scored:
    """Read all ECGs of ``window`` that the model scored."""
    return Scored(
        **_scored(connection.execute(queries.statement("scored_ecgs"), _asked(window, model)).all())
    )


def follow_up_window(day: Window, days: int) -> Window:
    """Return a window of ``days`` days whose last ECG has ``days`` days of follow-up at the end of ``day``.

    >>> from datetime import date
    >>> window = follow_up_window(Window.of_day(date(2026, 6, 30), "UTC"), days=30)
    >>> print(window.start.date(), window.end.date())
    2026-05-02 2026-06-01
    """
    return Window(day.end - timedelta(days=2 * days), day.end - timedelta(days=days))


def _asked(window: Window, model: Watched) -> dict[str, Any]:
    return {
        "start": window.start,
        "end": window.end,
        "model_version": model.version,
        "preprocessing_version": model.preprocessing_version,
    }


def _scored(rows: Sequence[Row[Any]]) -> dict[str, Any]:
    """Return the fields of Scored from rows of either statement."""
    probabilities = [[getattr(row, name) for name in TARGET_NAMES] for row in rows]
    return {
        "patients": np.unique([row.patient_id for row in rows], return_inverse=True)[1].reshape(len(rows)),
        "probabilities": np.array(probabilities, dtype=np.float64).reshape(len(rows), len(TARGET_NAMES)),
        "sex": _texts([row.sex for row in rows]),
        "age": np.array([np.nan if row.age is None else row.age for row in rows], dtype=np.float64),
        "device": _texts([row.device for row in rows]),
        "site": _texts([row.site for row in rows]),
    }


def _texts(values: Sequence[str | None]) -> NDArray[np.str_]:
    return np.array([value or "" for value in values], dtype=np.str_)
