"""A model for tests: quick, deterministic, and different for every ECG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql import insert

from stence import registry
from stence.database.tables import models
from stence.domain.random_projection import PROJECTION_SIZE
from stence.domain.targets import DECISIVE
from stence.ecg import Recording
from stence.ecg.recipes import STENCE
from stence.models import Scores, Threshold
from support.tampering import tampering


class Computed(NamedTuple):
    """Scores that are there already."""

    scores: Scores

    def result(self) -> Scores:
        """The scores."""
        return self.scores

    def cancel(self) -> None:
        """Nothing is under way."""


class ShapeScorer:
    """Probabilities from the skewness of each lead: no network, but a function of the signal alone."""

    preprocessing_version = STENCE.version
    recipe = STENCE
    windows = 3
    device = "cpu"
    form = "fp32"

    def __init__(self, model_version: str = "shape-1", threshold: float = 0.5) -> None:
        self.model_version = model_version
        self.thresholds: Mapping[str, Threshold] = {DECISIVE: Threshold(threshold, "chosen by the test")}

    def prepare(self, recording: Recording) -> NDArray[np.float32]:
        """Three windows of StenCE's."""
        return STENCE.prepare(recording, 3)

    def score(
        self, ecgs: NDArray[np.float32], clinical: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Probabilities (n, 6) of ECGs (n, windows, 12, samples), whatever age and sex."""
        skewness = (ecgs.astype(np.float64) ** 3).mean(axis=(1, 3))
        return np.round(1 / (1 + np.exp(-(skewness[:, :6] - 2) / 2)), 6)

    def embed_and_score(self, ecgs: NDArray[np.float32], clinical: NDArray[np.float64]) -> Scores:
        """The same, and the first samples of each ECG for its projection."""
        return Scores.alone(self.score(ecgs), ecgs[:, 0, 0, :PROJECTION_SIZE].copy())

    def start(self, ecgs: NDArray[np.float32], clinical: NDArray[np.float64]) -> Computed:
        """The same, computed at once."""
        return Computed(self.embed_and_score(ecgs, clinical))


def register(engine: Engine, scorer: ShapeScorer, state: str = "champion") -> None:
    """Record the scorer's version; there is no artefact behind it. A second champion becomes a candidate."""
    row = {
        "version": scorer.model_version,
        "folder": "models/none/",
        "sha256": "0" * 64,
        "preprocessing_version": scorer.preprocessing_version,
        "manifest": {
            "thresholds": {name: asdict(chosen) for name, chosen in scorer.thresholds.items()},
            "gate": {"result": "passed"},
        },
    }
    with tampering(engine) as connection:
        if state == "champion" and registry.champion(connection):
            state = "candidate"
        connection.execute(insert(models).values(row | {"state": state}).on_conflict_do_nothing())


def promote(engine: Engine, scorer: ShapeScorer) -> registry.Succession:
    """Make the scorer's version champion; register it before where it is new."""
    register(engine, scorer)
    with engine.begin() as connection:
        return registry.promote(connection, scorer.model_version, by="ada", why="better")
