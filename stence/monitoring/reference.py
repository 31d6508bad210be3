"""The reference of a model: a profile of its ECGs, scores and cath reports on earlier days.

The first drift measurement of a model without a reference creates the reference, from the ECGs that the model
has scored of the ``reference_days`` before the measured window. The reference never changes afterwards. To
create it anew, for example after an intended change of machines, delete the model's row of
``reference_profiles``.

A model that has scored too few ECGs of those days takes over the profile of the champion before it. Its
scores are then compared with the scores that the hospital is used to. Its embeddings are not compared,
because they are of another encoder.

A profile that an earlier version stored lacks the mean scores of its days. They are added from the model's
scores of those days. A profile that was taken over from another model cannot be completed: nothing is said of
its mean scores until the row is deleted.

A window that starts before the end of the profile's own days is not compared with the profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.dialects.postgresql import insert

from stence.database import queries
from stence.database.tables import reference_profiles
from stence.domain.windows import Window
from stence.evaluation.watched import Watched
from stence.monitoring import score_days
from stence.monitoring.places import MIN_COUNT
from stence.monitoring.profile import Profile, observe
from stence.monitoring.samples import ALL, load
from stence.settings import Settings

MIN_ECGS = 200
MIN_DAYS_SHARE = 0.5
"""Minimum number of ECGs for a profile, and minimum share of the days with ECGs."""


def reference(engine: Engine, settings: Settings, window: Window, model: Watched) -> Profile | None:
    """The model's profile, created now if there is none.

    None if too few ECGs were scored before the window and no earlier champion has a profile. Also None if the
    window starts before the profile's end.
    """
    with engine.connect() as connection:
        stored = _stored(connection, model.version)
    if stored is None:
        _make(engine, settings, window, model)
        with engine.connect() as connection:
            # A model without scores has no profile. Its inputs are compared with the last champion's profile.
            stored = _stored(connection, model.version) or _stored(
                connection, predecessor(connection, model.version)
            )
    if stored is None or window.start < stored.window_end:
        return None
    return Profile.of_json(_completed(engine, settings, stored, model))


def predecessor(connection: Connection, version: str) -> str | None:
    """The champion before this model."""
    return connection.scalar(queries.statement("predecessor"), {"model_version": version})


def _make(engine: Engine, settings: Settings, window: Window, model: Watched) -> None:
    days = Window(window.start - timedelta(days=settings.reference_days), window.start)
    profile = observe(engine, settings, days, model)
    taken = profile.arrivals.get(ALL)
    days_with_ecgs = 0 if taken is None else int((taken > 0).sum())
    if len(profile.sample) >= MIN_ECGS and days_with_ecgs >= MIN_DAYS_SHARE * settings.reference_days:
        row = {
            "model_version": model.version,
            "window_start": days.start,
            "window_end": days.end,
            "ecgs": len(profile.sample),
            "profile": profile.json(),
        }
        with engine.begin() as connection:
            connection.execute(insert(reference_profiles).values(row).on_conflict_do_nothing())
    elif len(load(engine, settings, window, model, scored=True)) >= MIN_COUNT:
        with engine.begin() as connection:
            values = {"model_version": model.version, "other": predecessor(connection, model.version)}
            connection.execute(queries.statement("take_over_reference"), values)


def _completed(engine: Engine, settings: Settings, stored: Any, model: Watched) -> Mapping[str, Any]:
    """The stored profile, with the mean scores of its days."""
    profile: dict[str, Any] = stored.profile
    if "score_days" in profile:
        return profile
    means = score_days.read(engine, settings, Window(stored.window_start, stored.window_end), model)
    if means.ecgs.sum() < MIN_ECGS:
        return profile
    profile |= {"score_days": means.json()}
    row = update(reference_profiles).where(reference_profiles.c.model_version == model.version)
    with engine.begin() as connection:
        connection.execute(row.values(profile=profile))
    return profile


def _stored(connection: Connection, version: str | None) -> Any:
    r = reference_profiles.c
    found = select(r.profile, r.window_start, r.window_end).where(r.model_version == version)
    return connection.execute(found).one_or_none()
