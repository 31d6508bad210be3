"""Training studies in a model's shared space: store them, and find those nearest to an ECG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, select

from stence.database import queries
from stence.database.tables import models
from stence.domain.arteries import narrowed_arteries
from stence.domain.subgroups import age_band
from stence.models import RiskScorer
from stence.models.clinical import ADULT_YEARS
from stence.similar.extension import enable, hindrance

Floats = NDArray[np.float32]
DIMENSIONS = 256
"""Values of a stored embedding. Zeros after the model's own values change no cosine, so that one index serves
the models of every size."""


CANNOT_TELL = "cannot tell: on test patients, similar studies did not tell the finding better than chance."


@dataclass(frozen=True, slots=True)
class SimilarStudy:
    """A cath study near an ECG, under a pseudonym, and what was found there.

    ``similarity`` is the cosine in the shared space, -1 to 1. ``label`` holds the study's number in
    ``study_embeddings``. ``worst_degree`` is in percent; ``stenoses`` names arteries and segments.
    ``days_before`` are those from the patient's last ECG before the study to the study; ``sex`` and
    ``age_band`` are from that ECG. None: unknown.
    """

    similarity: float
    label: str
    worst_degree: float
    stenoses: str
    intervention: bool
    days_before: float | None
    sex: str | None
    age_band: str | None


@dataclass(frozen=True, slots=True)
class SimilarStudies:
    """The studies nearest to an ECG, the most similar first; or else the ``reason`` why none can be told.

    ``usefulness`` says how often such studies told the finding of test patients.
    """

    studies: tuple[SimilarStudy, ...] = ()
    reason: str | None = None
    usefulness: str | None = None


def store_studies(
    connection: Connection, model_version: str, study_ids: Sequence[str], places: Floats
) -> None:
    """Store the unit vectors (n, dimensions) of training studies in a registered model's shared space.

    Studies that have left the reports are left out. Raises ValueError for more than 256 dimensions.
    """
    rows = [
        {"model_version": model_version, "study_id": study_id, "embedding": _padded(place)}
        for study_id, place in zip(study_ids, places, strict=True)
    ]
    if rows:
        connection.execute(queries.statement("similar_store"), rows)
    enable(connection)  # last: building an index of many rows is faster than adding them one by one


def similar_studies(
    connection: Connection, scorer: RiskScorer, ecg: Floats, *, count: int, leave_out_patient: str
) -> SimilarStudies:
    """Find the training studies nearest to an ECG (windows, 12, samples), prepared by ``scorer``.

    ``leave_out_patient`` is the ECG's patient, whose own studies are never among them. No study is told if
    the model has no shared space, or is not known to be better than chance at it, or without pgvector.
    """
    version = scorer.model_version
    if not (measured := _neighbours(connection, version)):
        return SimilarStudies(reason="no angiograms were part of this model's training")
    if not measured["informative"]:
        return SimilarStudies(reason=f"{CANNOT_TELL} {_usefulness(measured)}")
    if reason := hindrance(connection):
        return SimilarStudies(reason=reason)
    place = scorer.embed_in_shared_space(ecg[None])[0]
    connection.execute(queries.statement("similar_session"))
    values = {"place": _padded(place), "model_version": version, "patient_id": leave_out_patient}
    found = connection.execute(queries.statement("similar_studies"), {**values, "count": count})
    return SimilarStudies(tuple(map(_study, found)), usefulness=_usefulness(measured))


def _neighbours(connection: Connection, version: str) -> dict[str, Any] | None:
    """Select the figures of ``stence.training.shared_space.neighbours_metrics``; None without angiograms."""
    figures = select(models.c.manifest["metrics", "shared_space", "neighbours"])
    return connection.scalar(figures.where(models.c.version == version))


def _usefulness(measured: dict[str, Any]) -> str:
    """Say how often the nearest studies of test patients with and without severe stenosis were severe."""
    cases, others, difference = (measured[name] for name in ("cases", "others", "difference"))
    if difference["value"] is None:
        return "There were too few test patients to measure it."
    interval = f"{difference['lower']:.0%} to {difference['upper']:.0%}"
    return (
        f"Of the {measured['count']} nearest studies, {cases['value']:.0%} had a stenosis of at least 70 % "
        f"for test ECGs with one, and {others['value']:.0%} for the others (difference "
        f"{difference['value']:.0%}, 95 % interval {interval}; by chance 0 %)."
    )


def _study(row: Row[Any]) -> SimilarStudy:
    return SimilarStudy(
        similarity=round(row.similarity, 3),
        label=f"study {row.number}",
        worst_degree=row.max_degree,
        stenoses=narrowed_arteries(zip(row.segments or (), row.degrees or (), strict=True)),
        intervention=row.intervention,
        days_before=row.days_before,
        sex=row.sex,
        age_band=age_band(row.age) if ADULT_YEARS[0] <= (row.age or 0) <= ADULT_YEARS[1] else None,
    )


def _padded(place: Floats) -> list[float]:
    return np.pad(place, (0, DIMENSIONS - len(place))).tolist()
