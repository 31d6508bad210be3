"""Angiograms ready for training: the key frame is chosen, and the features are in the store."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

from sqlalchemy import Connection

from stence.database import queries


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Features of one backbone version. ``versions``: the original frame and its augmented copies.

    ``frames``: so many consecutive frames around the key frame.
    """

    backbone: str
    versions: int
    frames: int = 1


class ReadyView(NamedTuple):
    """A view of a cath study; angles in degrees, ``key_frame`` of ``frames`` counts from 0."""

    study_id: str
    sop_instance_uid: str
    object_id: int
    etag: str
    key_frame: int
    frames: int
    primary_angle: float
    secondary_angle: float


def ready_views(connection: Connection, features: FeatureSet) -> tuple[ReadyView, ...]:
    """Select the views that have these features, ordered by study id."""
    found = connection.execute(queries.statement("ready_views"), asdict(features))
    return tuple(ReadyView(*row) for row in found)
