"""Angiograms ready for training: the key frame is chosen, and the patch features are in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection

from stence.database import queries


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Patch features of one backbone version; ``versions``: the original frame and its augmented copies."""

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


def ready_views(connection: Connection, features: FeatureSet) -> tuple[ReadyView, ...]:
    """Select the views that have these features, ordered by study id."""
    values = {"backbone": features.backbone, "versions": features.versions}
    return tuple(ReadyView(*row) for row in connection.execute(queries.statement("ready_views"), values))
