"""The models that are measured on the ECGs they scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, select

from stence.database.tables import models


@dataclass(frozen=True, slots=True)
class Watched:
    """A model whose inputs, scores and outcomes are measured; ``manifest`` as in ``models``."""

    version: str
    state: str
    preprocessing_version: str
    manifest: Mapping[str, Any]

    @property
    def thresholds(self) -> dict[str, float]:
        """From which probability on an ECG is flagged, by target."""
        return {target: chosen["value"] for target, chosen in self.manifest["thresholds"].items()}


def watched_models(engine: Engine) -> list[Watched]:
    """The champion, which comes first where there is one, and the models in shadow."""
    m = models.c
    found = (
        select(m.version, m.state, m.preprocessing_version, m.manifest)
        .where(m.state.in_(("champion", "shadow")))
        .order_by(m.state, m.created_at, m.version)
    )
    with engine.connect() as connection:
        return [Watched(*row) for row in connection.execute(found)]
