"""Sample weights of patients for training on cath reports, against feedback of the model's own flags.

Flags lead to referrals, so reports overrepresent patients whom an earlier model flagged. A patient whom a
champion scored before the report gets the inverse propensity of referral as weight (trimmed in
``outcome_weights``, mean 1). A patient with a report before any champion's score gets weight 1: symptoms may
have led to that referral, but no flag did.
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
from stence.evaluation.follow_up import FollowUp, follow_up_of
from stence.evaluation.outcome_weights import effective_sample_size, inverse
from stence.evaluation.propensity import propensities
from stence.settings import Settings

MIN_COUNT = 50
"""Smallest number of referred people for a propensity model."""


def referral(engine: Engine, settings: Settings) -> Referral:
    """Compute the weights from scores and flags of every past champion. Raises DatabaseUnavailableError."""
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
            "effective": round(effective_sample_size(found), 1),
            "largest": round(float(found.max()), 2),
        }
    return Referral(counts, {"outcome_days": settings.outcome_days, "models": models})


def inverse_propensities(
    follow_up: FollowUp, mature: NDArray[np.bool_] | None = None
) -> NDArray[np.float64] | None:
    """Return the inverse propensity weights (s,) of the referred people, in the order of the patients.

    Their mean is 1. The propensity model is fitted to people with complete follow-up, ``mature`` (people,);
    by default these are all. The result is None if too few people were referred.
    """
    people = follow_up.people()
    learned_from = np.ones(len(people.referred), dtype=bool) if mature is None else mature
    if (people.referred & learned_from).sum() < MIN_COUNT:
        return None
    return inverse(propensities(people, learned_from).value[people.referred])


class _Scored(NamedTuple):
    """Identifiers of patients, their ECGs, and a mask of patients with complete follow-up."""

    names: list[str]
    follow_up: FollowUp
    mature: NDArray[np.bool_]


def _read(connection: Connection, settings: Settings) -> dict[str, _Scored]:
    """Read the scored ECGs of each past champion."""
    models = connection.execute(queries.statement("past_champions")).all()
    return {version: _scored(connection, settings, version, recipe) for version, recipe in models}


def _scored(connection: Connection, settings: Settings, version: str, preprocessing: str) -> _Scored:
    now, days = datetime.now(UTC), settings.outcome_days
    asked = {"model_version": version, "preprocessing_version": preprocessing, "days": days}
    ever = {"start": datetime(1900, 1, 1, tzinfo=UTC), "end": now}
    rows = connection.execute(queries.statement("followed_ecgs"), asked | ever).all()
    latest = {row.patient_id: row for row in rows}  # rows are ordered by time
    over = now - timedelta(days=days)
    mature = [row.complete and row.acquired_at <= over for row in latest.values()]
    return _Scored(list(latest), follow_up_of(rows), np.array(mature, dtype=bool))
