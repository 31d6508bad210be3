"""A champion with a real artefact."""

from __future__ import annotations

from sqlalchemy import Engine

from stence import registry
from stence.objects import ObjectStore
from stence.settings import Settings
from support.artefacts import make_artefact


def crown(engine: Engine, store: ObjectStore, settings: Settings, version: str = "tiny-1") -> str:
    """Publish, register and promote an untrained model; the key of its folder."""
    artefact = make_artefact(version)
    folder = registry.publish(store, settings.model_prefix, artefact)
    with engine.begin() as connection:
        registry.register(connection, folder, artefact, by="test", why="test")
        registry.promote(connection, version, by="test", why="test")
    return folder
