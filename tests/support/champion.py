"""A champion, and shadows, with real artefacts."""

from __future__ import annotations

from sqlalchemy import Engine

from stence import registry
from stence.objects import ObjectStore
from stence.settings import Settings
from support.artefacts import make_artefact


def crown(
    engine: Engine, store: ObjectStore, settings: Settings, version: str = "tiny-1", threshold: float = 0.5
) -> str:
    """Publish, register and promote an untrained model; the key of its folder."""
    folder = _register(engine, store, settings, version, threshold)
    with engine.begin() as connection:
        registry.promote(connection, version, by="test", why="test")
    return folder


def enshadow(
    engine: Engine, store: ObjectStore, settings: Settings, version: str, threshold: float = 0.5
) -> str:
    """Publish and register an untrained model and let it go into shadow; the key of its folder."""
    folder = _register(engine, store, settings, version, threshold)
    with engine.begin() as connection:
        registry.shadow(connection, version, by="test", why="test")
    return folder


def _register(engine: Engine, store: ObjectStore, settings: Settings, version: str, threshold: float) -> str:
    artefact = make_artefact(version, threshold=threshold)
    folder = registry.publish(store, settings.model_prefix, artefact)
    with engine.begin() as connection:
        registry.register(connection, folder, artefact, by="test", why="test")
    return folder
