"""From a fitted model to a candidate in the registry."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import stence
from stence.cohort import Cohort
from stence.ecg import PREPROCESSING_VERSION
from stence.models import TARGET_NAMES, Calibration, RiskModel, Threshold
from stence.registry.artefact import WEIGHTS, Artefact, weights_of
from stence.registry.manifest import Architecture, Code, Manifest, Preprocessing, TrainingData
from stence.training.presets import TrainingConfig

LIBRARIES = ("numpy", "numba", "scipy", "torch")
"""Those that a score's digits depend on."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model and all that belongs to it; ``run`` is how its training went, as JSON."""

    model: RiskModel
    calibration: Calibration
    thresholds: Mapping[str, Threshold]
    metrics: Mapping[str, Any]
    run: dict[str, Any]


def artefact_of(fitted: Fitted, config: TrainingConfig, cohort: Cohort, windows: int) -> Artefact:
    """The artefact of a fitted model; its version is the encoder, the second and 8 digits of its weights."""
    weights = weights_of(fitted.model)
    sha256 = hashlib.sha256(weights).hexdigest()
    now = datetime.now(UTC)
    manifest = Manifest(
        model_version=f"{config.encoder}-{now:%Y%m%dT%H%M%S}-{sha256[:8]}",
        created_at=now,
        architecture=Architecture(encoder=config.encoder, config=config.encoder_config),
        preprocessing=Preprocessing(version=PREPROCESSING_VERSION, windows=windows),
        targets=TARGET_NAMES,
        calibration=fitted.calibration,
        thresholds=dict(fitted.thresholds),
        training_data=TrainingData(
            fingerprint=cohort.fingerprint,
            ecgs={split: len(part) for split, part in cohort.parts.items()},
            patients={split: part.patient_count for split, part in cohort.parts.items()},
            left_out=dict(cohort.left_out),
        ),
        training_config=config.model_dump(mode="json"),
        training_run=dict(fitted.run),
        metrics=dict(fitted.metrics),
        code=Code(stence=stence.__version__, git_commit=git_commit(), libraries=libraries()),
        files={WEIGHTS: sha256},
    )
    return Artefact(manifest, weights)


def libraries() -> dict[str, str]:
    """Versions of Python and of the libraries that matter."""
    return {"python": platform.python_version()} | {name: version_of(name) for name in LIBRARIES}


def git_commit() -> str | None:
    """The commit of the clone that runs, with ``-dirty`` where files differ from it; None outside a clone."""
    root = Path(stence.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
