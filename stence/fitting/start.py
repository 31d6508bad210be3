"""Initial weights of an ECG encoder or a teacher: imported published weights, or random weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from stence import weights
from stence.fitting.finetuning import TrainingConfig
from stence.fitting.teacher import TeacherConfig
from stence.objects import ObjectStore
from stence.settings import Settings


@dataclass(frozen=True, slots=True)
class Start:
    """Initial ``weights``, None for random weights, and their ``origin`` as text."""

    origin: str
    weights: Mapping[str, Tensor] | None


def find_start(store: ObjectStore, settings: Settings, config: TrainingConfig | TeacherConfig) -> Start:
    """Read the weights that a stage's configuration names from the store.

    Raises WeightsError if they are missing; the message names the import command. Random weights are no
    replacement, because learning rates for trained weights are too low for them.
    """
    if config.weights is None:
        return Start("random weights", None)
    origin = origin_of(store, settings, config.weights)
    return Start(origin, weights.read(store, settings, config.weights))


def origin_of(store: ObjectStore, settings: Settings, name: str) -> str:
    """Describe the origin of imported weights. Raises WeightsError if they were not imported."""
    imported = weights.read_manifest(store, settings, name)
    return f"{name}, SHA-256 {imported.sha256}, licence {imported.licence}"
