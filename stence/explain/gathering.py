"""What the database says about a scored ECG, for its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from stence.database import queries
from stence.domain.subgroups import AGE_BANDS, SEXES, band_name
from stence.domain.windows import Window
from stence.errors import StenceError
from stence.models import RiskScorer

METRICS = {
    "prevalence": "prevalence",
    "auroc": "AUROC",
    "sensitivity": "sensitivity",
    "positive_predictive_value": "PPV",
}
"""Key figures of a subgroup that the page shows, with their titles."""


class Earlier(NamedTuple):
    """A score of one of the patient's ECGs."""

    ecg_id: int
    at: datetime
    probability: float


class Group(NamedTuple):
    """A subgroup of test patients to which the patient belongs: its name, size, and figures by title."""

    name: str
    patients: int
    figures: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ScoredEcg:
    """A scored ECG. ``rank`` is its place among the ``ecgs_that_day``, 1 for the highest probability.

    ``at`` is the time of the recording, or of its first reading where the file states none.
    """

    ecg_id: int
    content_hash: bytes
    patient_id: str = field(repr=False)
    at: datetime
    acquired_at: datetime | None
    site: str | None
    device: str | None
    sex: str | None
    age: float | None
    indication: str | None
    warnings: Sequence[str]
    statements: Sequence[str]
    measurements: Mapping[str, float]
    filters: str | None
    fingerprint: Sequence[int] | None
    key: str = field(repr=False)
    target: str
    probability: float
    lower: float | None
    upper: float | None
    novelty: float | None
    unlike: bool | None
    threshold: float
    flag_id: int | None
    state: str | None
    raised_at: datetime | None
    rank: int
    ecgs_that_day: int
    history: Sequence[Earlier]
    reviews: Sequence[Mapping[str, Any]]
    groups: Sequence[Group]
    model_version: str
    sha256: str
    run_id: UUID
    scored_at: datetime


def gather(connection: Connection, ecg_id: int, scorer: RiskScorer, timezone: str) -> ScoredEcg:
    """Read an ECG with its score by a model. Raises StenceError if the model has not scored it.

    Times are in ``timezone``, whose days decide the rank.
    """
    of_model = {"model_version": scorer.model_version, "target": scorer.decisive}
    about = {"ecg_id": ecg_id, **of_model}
    found = connection.execute(queries.statement("page_ecg"), about).mappings().one_or_none()
    if found is None:
        raise StenceError(
            f"There is no score of ECG {ecg_id} by {scorer.model_version}: stence score scores new ECGs, and "
            "stence inspect KEY draws an ECG without a score."
        )
    row = {name: _local(value, timezone) for name, value in found.items()}
    manifest = row.pop("manifest")
    row["threshold"] = row["threshold"] or manifest["thresholds"][scorer.decisive]["value"]
    day = Window.of_day(row["at"].date(), timezone)
    among = {**about, "probability": row["probability"], "start": day.start, "end": day.end}
    rank, ecgs = connection.execute(queries.statement("page_rank"), among).one()
    patient = {"patient_id": row["patient_id"], **of_model}
    history = connection.execute(queries.statement("page_history"), patient)
    reviews = connection.execute(queries.statement("page_reviews"), patient).mappings()
    return ScoredEcg(
        **row,
        rank=rank,
        ecgs_that_day=ecgs,
        history=[Earlier(number, at.astimezone(ZoneInfo(timezone)), score) for number, at, score in history],
        reviews=[{name: _local(value, timezone) for name, value in review.items()} for review in reviews],
        groups=_groups(manifest, scorer.decisive, row["sex"], row["age"]),
        target=scorer.decisive,
    )


def _local(value: Any, timezone: str) -> Any:
    return value.astimezone(ZoneInfo(timezone)) if isinstance(value, datetime) else value


def _groups(manifest: Mapping[str, Any], target: str, sex: str | None, age: float | None) -> list[Group]:
    """Return the figures of the test patients of this sex, and of this age band, as far as there are any."""
    measured = manifest.get("metrics", {}).get(target, {}).get("subgroups", {})
    names = [name for name, code in SEXES.items() if code == sex]
    names += [band_name(*band) for band in AGE_BANDS if age is not None and band[0] <= age < band[1]]
    return [
        Group(name, of["patients"], {title: _figure(of.get(metric)) for metric, title in METRICS.items()})
        for name in names
        if (of := measured.get(name))
    ]


def _figure(found: Mapping[str, float | None] | None) -> str:
    """Format a metric with its interval."""
    if not found or found["value"] is None:
        return "–"
    text = f"{found['value']:.2f}"
    if found["lower"] is None or found["upper"] is None:
        return text
    return f"{text} ({found['lower']:.2f} to {found['upper']:.2f})"
