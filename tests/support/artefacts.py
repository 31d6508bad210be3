"""Real artefacts of a tiny, untrained model."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import numpy as np
import torch
from sqlalchemy import Engine

from stence.domain.random_projection import PROJECTION_SIZE
from stence.ecg.recipes import STENCE
from stence.encoders import build
from stence.models import TARGET_NAMES, Calibration, Certainty, RiskModel, Threshold
from stence.models.clinical import AGE, SEX
from stence.registry import Artefact, Manifest, register, weights_of
from stence.registry.artefact import WEIGHTS
from stence.registry.manifest import Architecture, Code, Preprocessing, TrainingData

INFORMATIVE = {
    "count": 5,
    "studies": 10,
    "chance": 0.4,
    "cases": {"value": 0.6, "lower": 0.5, "upper": 0.7},
    "others": {"value": 0.3, "lower": 0.2, "upper": 0.4},
    "difference": {"value": 0.3, "lower": 0.2, "upper": 0.4},
    "informative": True,
}
"""What ``neighbours_metrics`` says of a model whose similar studies tell the finding."""
TINY = {"width": 16, "depth": 1, "heads": 2}


def make_certainty(draws: int = 40, spread: float = 0.3) -> Certainty:
    """Draws of a known spread in log odds; held-out ECGs are at most 20 from the training ECGs."""
    rng = np.random.default_rng(0)
    calibrations = tuple(
        Calibration(severity_weights=(round(float(weight), 5), *(1.0,) * 4))
        for weight in rng.uniform(0.8, 1.25, draws)
    )
    offsets = rng.normal(0, spread / PROJECTION_SIZE**0.5, (draws, len(TARGET_NAMES), PROJECTION_SIZE))
    reach = np.linspace(0, 20, 101)
    return Certainty(np.zeros(PROJECTION_SIZE), np.eye(PROJECTION_SIZE), reach, offsets, calibrations)


def make_artefact(
    version: str = "tiny-1",
    seed: int = 1,
    threshold: float = 0.5,
    *,
    clinical: bool = False,
    certainty: Certainty | None = None,
    shared: int = 0,
) -> Artefact:
    """A model version as training would publish it; with ``clinical``, risk rises with age and in men.

    ``shared`` dimensions are shared with angiograms; its neighbours are as informative as can be.
    """
    torch.manual_seed(seed)
    model = RiskModel(build("otis", **TINY), clinical=clinical, shared_space=shared)
    if model.clinical is not None:
        model.clinical.coefficients[[AGE, AGE | SEX], :, 1] = 0.5
        model.clinical.coefficients[[SEX, AGE | SEX], :, 3] = 0.8
    weights = weights_of(model, certainty)
    manifest = Manifest(
        model_version=version,
        created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        architecture=Architecture.of("otis", model),
        preprocessing=Preprocessing.of(STENCE, 2),
        targets=TARGET_NAMES,
        calibration=Calibration(),
        calibration_draws=certainty.draws if certainty else (),
        thresholds={name: Threshold(threshold, "chosen by the test") for name in TARGET_NAMES},
        training_data=TrainingData(fingerprint="0" * 64, ecgs={}, patients={}, left_out={}),
        training_config={},
        training_run={},
        metrics={"stenosis_70": {"auroc": {"value": 0.75, "lower": float("nan"), "upper": 0.8}}}
        | ({"shared_space": {"neighbours": INFORMATIVE}} if shared else {}),
        gate={"result": "passed"},
        code=Code(stence="0", git_commit=None, libraries={}),
        files={WEIGHTS: hashlib.sha256(weights).hexdigest()},
    )
    return Artefact(manifest, weights)


def register_candidates(engine: Engine, *versions: str) -> None:
    """Candidates without files."""
    artefact = make_artefact()
    for version in versions:
        renamed = Artefact(artefact.manifest.model_copy(update={"model_version": version}), artefact.weights)
        with engine.begin() as connection:
            register(connection, f"models/{version}/", renamed, by="trainer", why="trained")
