"""SegmentMIL on top of the last blocks of its backbone, which are trained together."""

from __future__ import annotations

from torch import Tensor, nn

from stence.models.final_blocks import FinalBlocks
from stence.models.segment_mil import SegmentMIL


class FinetunedTeacher(nn.Module):
    """States of tokens that enter the first trained block -> logits of ``ANGIOGRAPHIC_TARGETS`` (b, 11).

    Both arguments become part of the module; they are not copied.

    >>> import torch
    >>> block = {"norm1.weight": torch.ones(64), "mlp.fc1.weight": torch.ones(128, 64)}
    >>> blocks = FinalBlocks({f"encoder.layer.11.{name}": each for name, each in block.items()})
    >>> teacher = FinetunedTeacher(blocks, SegmentMIL(patch_dim=64, embed_dim=16, layers=1, heads=2))
    >>> states = torch.zeros(1, 2, 1, 1 + 4, 64)  # a study with 2 views, 1 frame, a class token and 4 patches
    >>> teacher(states, torch.tensor([2]), torch.zeros(1, 2, 2)).shape
    torch.Size([1, 11])
    """

    def __init__(self, backbone: FinalBlocks, segment_mil: SegmentMIL) -> None:
        super().__init__()
        self.backbone, self.segment_mil = backbone, segment_mil

    def forward(self, states: Tensor, views: Tensor, angulations: Tensor) -> Tensor:
        """Return the logits of studies. ``states`` (b, views, frames, 1 + n, width); the other arguments are
        those of ``SegmentMIL.decode``.
        """
        logits: Tensor = self.segment_mil(self.backbone.of_views(states, views), views, angulations)
        return logits
