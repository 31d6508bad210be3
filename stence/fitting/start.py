"""What an ECG encoder starts from: published weights that were imported, or random ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from stence import weights
from stence.fitting.finetuning import TrainingConfig
from stence.objects import ObjectStore
from stence.settings import Settings


@dataclass(frozen=True, slots=True)
class Start:
    """Weights to start from, None for random ones, and in words where they come from."""

    origin: str
    weights: Mapping[str, Tensor] | None


def find_start(store: ObjectStore, settings: Settings, config: TrainingConfig) -> Start:
    """The weights that a configuration names, from the store.

    Raises WeightsError, which says how to import them, where they are not there: rates that suit trained
    weights teach random ones little.
    """
    if config.weights is None:
        return Start("random weights", None)
    origin = origin_of(store, settings, config.weights)
    return Start(origin, weights.read(store, settings, config.weights))


def origin_of(store: ObjectStore, settings: Settings, name: str) -> str:
    """Of imported weights, in words. Raises WeightsError where they were not imported."""
    imported = weights.read_manifest(store, settings, name)
    return f"{name}, SHA-256 {imported.sha256}, licence {imported.licence}"
