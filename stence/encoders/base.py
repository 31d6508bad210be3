"""Interface of ECG encoders, and the check of published weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Self

from torch import Tensor, nn

from stence.ecg import LEADS
from stence.errors import WeightsError

Weights = Mapping[str, Tensor]


class Encoder(nn.Module, ABC):
    """Base of encoders: windows (n, 12, ``window_samples``) float32 of a recipe -> embeddings (n, ``size``).

    ``forward`` raises ValueError for another shape.

    >>> from stence.encoders import build
    >>> encoder = build("otis", width=16, depth=1, heads=2)
    >>> build("otis", **encoder.config).config == encoder.config
    True
    """

    size: int
    window_samples: int

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Arguments for ``build`` that give this architecture again, as JSON values."""

    @abstractmethod
    def forward(self, windows: Tensor) -> Tensor:
        """Return one embedding per window."""

    @abstractmethod
    def load_published(self, weights: Weights) -> None:
        """Load the weights of the encoder's authors. Raises WeightsError, which names every misfit."""

    @abstractmethod
    def blocks_and_rest(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        """Return the blocks in the order of their use, and the modules after the last block."""

    def last(self, blocks: int) -> list[nn.Module]:
        """Return the last ``blocks`` blocks and the modules after them, which may learn alone.

        Raises ValueError if the encoder has fewer blocks.

        >>> from stence.encoders import build
        >>> [type(part).__name__ for part in build("otis", width=16, depth=3, heads=2).last(2)]
        ['Block', 'Block', 'LayerNorm']
        """
        own, rest = self.blocks_and_rest()
        if not 0 < blocks <= len(own):
            raise ValueError(f"this encoder has {len(own)} blocks, of which {blocks} cannot learn")
        return [*own[-blocks:], *rest]

    def folded(self) -> Self:
        """Return a copy for inference: same embeddings up to rounding, no parts for training only."""
        return deepcopy(self).requires_grad_(False).eval()

    def parts(self) -> tuple[nn.Module, nn.Module]:
        """Return the bulk, which may compute in a coarse numeric form, and the read-out, which stays exact.

        The bulk maps windows to a tuple of states, and the read-out these to embeddings. Encoders without a
        small part that matters most are all bulk.
        """
        return Bulk(self), nn.Identity()

    def check(self, windows: Tensor) -> None:
        """Raise ValueError unless ``windows`` has the input shape of this encoder."""
        if windows.shape[1:] != (len(LEADS), self.window_samples):
            raise ValueError(
                f"this encoder reads (n, {len(LEADS)}, {self.window_samples}), got {tuple(windows.shape)}"
            )


class Bulk(nn.Module):
    """An encoder as the bulk of ``Encoder.parts``: windows -> one state, the embeddings."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, windows: Tensor) -> tuple[Tensor]:
        return (self.encoder(windows),)


def check_fit(weights: Weights, expected: Weights, model: str) -> None:
    """Raise WeightsError unless names and shapes of ``weights`` equal those of ``expected``."""
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
