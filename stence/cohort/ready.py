"""Angiograms that are ready to be trained on: key frame found, patch features in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Engine

from stence.database import queries


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Features by one version of a backbone, of ``versions`` versions: the frame as it is, then augmented."""

    backbone: str
    versions: int


class ReadyView(NamedTuple):
    """A view of a cath study; angles in degrees, ``key_frame`` counts from 0."""

    study_id: str
    sop_instance_uid: str
    object_id: int
    etag: str
    key_frame: int
    primary_angle: float
    secondary_angle: float


def ready_views(engine: Engine, features: FeatureSet) -> tuple[ReadyView, ...]:
    """The views that have these features, in order of their studies' ids."""
    values = {"backbone": features.backbone, "versions": features.versions}
    with engine.connect() as connection:
        return tuple(ReadyView(*row) for row in connection.execute(queries.statement("ready_views"), values))
