"""What each patient counts when a model learns from cath reports, so that its own flags do not feed back.

Flags send people to the catheter laboratory; a model that learns from whoever was sent learns about those its
predecessor flagged, and takes them for everybody. Each patient whom a champion scored before the report came
counts the inverse of the probability of being sent (``propensity``, trimmed there), at a mean of 1. Patients
whose report was known before any champion scored them were sent without one, and count 1: their symptoms may
have selected them, its flags did not.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from stence.cohort import Referral
from stence.database import queries
from stence.database.outage import transact
from stence.evaluation import propensity
from stence.evaluation.follow_up import FollowUp, follow_up_of
from stence.settings import Settings

MIN_COUNT = 50
"""People with an outcome; of fewer no probability is learned."""


def referral(engine: Engine, settings: Settings) -> Referral:
    """By the scores and flags of every model that was champion. Raises DatabaseUnavailableError."""
    counts: dict[str, float] = {}
    models = {}
    for version, scored in transact(engine, settings.outage_seconds, _read, settings).items():
        found = inverse_propensities(scored.follow_up, scored.mature)
        if found is None:
            continue
        people = scored.follow_up.people()
        for person, count in zip(np.flatnonzero(people.referred).tolist(), found.tolist(), strict=True):
            counts.setdefault(scored.names[person], count)
        models[version] = {
            "people": len(people.referred),
            "sent": len(found),
            "effective": round(propensity.effective_sample_size(found), 1),
            "largest": round(float(found.max()), 2),
        }
    return Referral(counts, {"outcome_days": settings.outcome_days, "models": models})


def inverse_propensities(
    follow_up: FollowUp, mature: NDArray[np.bool_] | None = None
) -> NDArray[np.float64] | None:
    """What each person who was sent counts, (s,), in the order of the patients; the mean is 1.

    The probability is learned from people who had the time to be sent, ``mature`` (people,), by default all.
    None where too few were sent to learn it.
    """
    people = follow_up.people()
    learned_from = np.ones(len(people.referred), dtype=bool) if mature is None else mature
    if (people.referred & learned_from).sum() < MIN_COUNT:
        return None
    draws = [learned_from[None].astype(np.float64)]
    ((_, found),) = propensity.propensities(people, draws)
    return propensity.inverse(found)[0]


class _Scored(NamedTuple):
    """Identifiers of patients, their ECGs, and whether each patient had the time to be sent."""

    names: list[str]
    follow_up: FollowUp
    mature: NDArray[np.bool_]


def _read(connection: Connection, settings: Settings) -> dict[str, _Scored]:
    """What each champion scored."""
    models = connection.execute(queries.statement("past_champions")).all()
    return {version: _scored(connection, settings, version, recipe) for version, recipe in models}


def _scored(connection: Connection, settings: Settings, version: str, preprocessing: str) -> _Scored:
    now, days = datetime.now(UTC), settings.outcome_days
    asked = {"model_version": version, "preprocessing_version": preprocessing, "days": days}
    ever = {"start": datetime(1900, 1, 1, tzinfo=UTC), "end": now}
    rows = connection.execute(queries.statement("followed_ecgs"), asked | ever).all()
    latest = {row.patient_id: row.acquired_at for row in rows}  # they come in the order of time
    mature = [taken_at <= now - timedelta(days=days) for taken_at in latest.values()]
    return _Scored(list(latest), follow_up_of(rows), np.array(mature, dtype=bool))
