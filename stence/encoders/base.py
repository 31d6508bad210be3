"""What every ECG encoder is, and how published weights get into one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Self

from torch import Tensor, nn

from stence.ecg import LEADS
from stence.errors import WeightsError

Weights = Mapping[str, Tensor]


class Encoder(nn.Module, ABC):
    """Windows (n, 12, ``window_samples``) float32, as a recipe leaves them -> embeddings (n, ``size``).

    ``forward`` raises ValueError for another shape.
    """

    size: int
    window_samples: int

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Arguments with which ``build`` makes this architecture again; JSON can hold them."""

    @abstractmethod
    def forward(self, windows: Tensor) -> Tensor:
        """One embedding a window."""

    @abstractmethod
    def load_published(self, weights: Weights) -> None:
        """Take the weights of the encoder's authors. Raises WeightsError, which names all that do not fit."""

    def folded(self) -> Self:
        """A copy for inference: same embeddings up to rounding, without what only training needs."""
        return deepcopy(self).requires_grad_(False).eval()

    def check(self, windows: Tensor) -> None:
        """Raise ValueError unless ``windows`` has the shape that this encoder reads."""
        if windows.shape[1:] != (len(LEADS), self.window_samples):
            raise ValueError(
                f"this encoder reads (n, {len(LEADS)}, {self.window_samples}), got {tuple(windows.shape)}"
            )


def check_fit(weights: Weights, expected: Weights, model: str) -> None:
    """Raise WeightsError unless ``weights`` has exactly the names and shapes of ``expected``."""
    misfits = [
        *(
            f"missing: {name} {tuple(expected[name].shape)}"
            for name in sorted(expected.keys() - weights.keys())
        ),
        *(f"unexpected: {name}" for name in sorted(weights.keys() - expected.keys())),
        *(
            f"{name} has shape {tuple(weights[name].shape)}, not {tuple(tensor.shape)}"
            for name, tensor in expected.items()
            if name in weights and weights[name].shape != tensor.shape
        ),
    ]
    if misfits:
        raise WeightsError(
            f"these weights do not fit {model}; use the file published for it:\n  " + "\n  ".join(misfits)
        )
