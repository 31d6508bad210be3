"""Monitored models: champion and shadow models, measured on the ECGs that they scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, select

from stence.database.tables import models
from stence.domain.targets import DECISIVE


@dataclass(frozen=True, slots=True)
class Watched:
    """A monitored model version. ``manifest`` is that of the table ``models``.

    >>> manifest = {"thresholds": {"stenosis_70": {"value": 0.3, "rule": "..."}}}
    >>> Watched("v1", "champion", "stence-500hz-3s-1", manifest).thresholds
    {'stenosis_70': 0.3}
    >>> Watched("v1", "champion", "stence-500hz-3s-1", manifest).decisive
    'stenosis_70'
    """

    version: str
    state: str
    preprocessing_version: str
    manifest: Mapping[str, Any]

    @property
    def thresholds(self) -> dict[str, float]:
        """Decision thresholds by target; that of the decisive one raises flags."""
        return {target: chosen["value"] for target, chosen in self.manifest["thresholds"].items()}

    @property
    def decisive(self) -> str:
        """Target whose threshold raises flags. Manifests before it could be chosen do not name it."""
        return str(self.manifest.get("decisive", DECISIVE))


def watched_models(engine: Engine) -> list[Watched]:
    """Return the champion first, if there is one, then the shadow models."""
    m = models.c
    found = (
        select(m.version, m.state, m.preprocessing_version, m.manifest)
        .where(m.state.in_(("champion", "shadow")))
        .order_by(m.state, m.created_at, m.version)
    )
    with engine.connect() as connection:
        return [Watched(*row) for row in connection.execute(found)]
