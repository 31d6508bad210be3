"""Execution of a network on many ECGs in the background, with results that depend on each ECG alone."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Ecgs = NDArray[np.floating]


class AnsweringNetwork(Protocol):
    """ECGs (n, windows, 12, samples) float32 -> embeddings (n, ``size``) and logits (n, ``outputs``)."""

    @property
    def size(self) -> int:
        """Size of an embedding."""

    @property
    def outputs(self) -> int:
        """Number of logits."""

    def embed_and_answer(self, ecgs: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings and logits."""


class Inferred(NamedTuple):
    """Embeddings (n, size) float32 and logits (n, outputs) float64, independent of the other ECGs."""

    embeddings: NDArray[np.float32]
    logits: NDArray[np.float64]


class Pending(Protocol):
    """ECGs whose inference was started."""

    def result(self) -> Inferred:
        """Wait for the results and return them. Raises the errors of the inference."""

    def cancel(self) -> None:
        """Drop what has not begun; ``result`` must not be called after it."""


class Engine(Protocol):
    """A network at work on a device."""

    def start(self, ecgs: Ecgs) -> Pending:
        """Start the inference of ECGs (n, windows, 12, samples), after those started before."""
