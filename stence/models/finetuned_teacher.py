"""SegmentMIL on top of the last blocks of its backbone, which are trained together."""

from __future__ import annotations

from torch import Tensor, nn

from stence.models.final_blocks import FinalBlocks
from stence.models.segment_mil import SegmentMIL


class FinetunedTeacher(nn.Module):
    """States of tokens that enter the first trained block -> logits of ``ANGIOGRAPHIC_TARGETS`` (b, 11).

    Both arguments become part of the module; they are not copied.
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
