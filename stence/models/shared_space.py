"""Projection of an ECG's embedding into the space that pretraining shares with angiograms."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import normalize


class SharedSpace(nn.Module):
    """Embeddings (n, size) of a fine-tuned encoder -> unit vectors (n, dimensions) of the shared space.

    Fine-tuning moves the encoder away from the projector that it was pretrained with. This affine map, fitted
    after fine-tuning, leads from where the encoder is now to the embeddings of the angiograms.

    >>> SharedSpace(size=16, dimensions=4)(nn.Parameter(Tensor(2, 16).fill_(1.0))).shape
    torch.Size([2, 4])
    """

    def __init__(self, size: int, dimensions: int) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.project = nn.Linear(size, dimensions)

    def forward(self, embeddings: Tensor) -> Tensor:
        return normalize(self.project(embeddings), dim=1)
