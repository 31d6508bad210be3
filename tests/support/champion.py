"""A champion with a real artefact: a small OTiS that has learnt nothing."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import torch
from sqlalchemy import Engine

from stence import __version__, encoders, registry
from stence.ecg import PREPROCESSING_VERSION
from stence.models import TARGET_NAMES, Calibration, RiskModel, Threshold
from stence.objects import ObjectStore
from stence.registry.artefact import WEIGHTS
from stence.registry.manifest import Architecture, Code, Manifest, Preprocessing, TrainingData
from stence.settings import Settings

CONFIG = {"width": 16, "depth": 1, "heads": 1}


def crown(engine: Engine, store: ObjectStore, settings: Settings, version: str = "untrained-1") -> str:
    """Publish, register and promote an untrained model; its version."""
    torch.manual_seed(0)
    weights = registry.weights_of(RiskModel(encoders.build("otis", **CONFIG)))
    manifest = Manifest(
        model_version=version,
        created_at=datetime.now(UTC),
        architecture=Architecture(encoder="otis", config=CONFIG),
        preprocessing=Preprocessing(version=PREPROCESSING_VERSION, windows=settings.windows_per_ecg),
        targets=TARGET_NAMES,
        calibration=Calibration(),
        thresholds={name: Threshold(0.25, "chosen by the test") for name in TARGET_NAMES},
        training_data=TrainingData(fingerprint="0" * 64, ecgs={}, patients={}, left_out={}),
        training_config={},
        training_run={},
        metrics={},
        code=Code(stence=__version__, git_commit=None, libraries={}),
        files={WEIGHTS: hashlib.sha256(weights).hexdigest()},
    )
    artefact = registry.Artefact(manifest, weights)
    folder = registry.publish(store, settings.model_prefix, artefact)
    with engine.begin() as connection:
        registry.register(connection, folder, artefact, by="test", why="test")
        registry.promote(connection, version, by="test", why="test")
    return version
