"""The pretrained ECG side of the space that ECGs share with angiograms."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import normalize

from stence.encoders import Encoder
from stence.models.stence import StencePair, projector


class SharedSpace(nn.Module):
    """ECGs (n, windows, 12, samples) -> unit vectors (n, dimensions) among those of angiograms.

    Encoder and projector are those of pretraining: fine-tuning moves its own encoder out of the shared space.

    >>> import torch
    >>> from stence.encoders import build
    >>> space = SharedSpace(build("otis", width=16, depth=1, heads=2), dimensions=4)
    >>> space(torch.zeros(2, 3, 12, 1500)).shape
    torch.Size([2, 4])
    """

    def __init__(self, encoder: Encoder, dimensions: int) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.encoder = encoder
        self.projector = projector(encoder.size, dimensions)

    @classmethod
    def of(cls, pair: StencePair) -> SharedSpace:
        """Build the space of a pretrained pair, whose weights are shared, not copied."""
        space = cls(pair.encoder, pair.shared)
        space.projector = pair.ecg_projector
        return space.eval()

    def forward(self, ecgs: Tensor) -> Tensor:
        """Return the direction of the mean over an ECG's windows."""
        windows = normalize(self.projector(self.encoder(ecgs.flatten(0, 1))), dim=1)
        return normalize(windows.view(*ecgs.shape[:2], -1).mean(dim=1), dim=1)
