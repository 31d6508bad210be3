"""StenCE: ECGs and angiograms of the same patients, brought to one space."""

from __future__ import annotations

from torch import Tensor, nn

from stence.encoders import Encoder
from stence.models.segment_mil import SegmentMIL

SHARED = 256
"""Dimensions of the shared space."""
BIAS = 0.01


class StencePair(nn.Module):
    """An ECG encoder and a SegmentMIL, each with a way into the shared space.

    The angiogram's way begins with a query of its own beside SegmentMIL's 11; at first it asks what the
    patient's does, so that a taught SegmentMIL answers something that an ECG can tell. Both arguments become
    part of the pair.
    """

    def __init__(self, encoder: Encoder, segment_mil: SegmentMIL, shared: int = SHARED) -> None:
        super().__init__()
        width = segment_mil.query.shape[1]
        self.encoder = encoder
        self.ecg_projector = projector(encoder.size, shared)
        self.segment_mil = segment_mil
        self.query = nn.Parameter(segment_mil.query[:1].detach().clone())
        self.angiogram_projector = projector(width, shared)

    def ecg(self, windows: Tensor) -> Tensor:
        """Prepared windows (n, 12, window_samples) -> places in the shared space (n, shared)."""
        places: Tensor = self.ecg_projector(self.encoder(windows))
        return places

    def angiogram(self, tokens: Tensor, views: Tensor, angulations: Tensor) -> tuple[Tensor, Tensor]:
        """Studies as ``SegmentMIL.decode`` takes them -> places (n, shared) and stenosis logits (n, 11)."""
        found = self.segment_mil.decode(tokens, views, angulations, further=self.query)
        return self.angiogram_projector(found[:, -1]), self.segment_mil.classify(found)

    def angiogram_parameters(self) -> list[nn.Parameter]:
        """The parameters that are not the ECG's, which learn at their own rate."""
        return [self.query, *self.segment_mil.parameters(), *self.angiogram_projector.parameters()]

    def ecg_parameters(self) -> list[nn.Parameter]:
        """The parameters on the ECG's way."""
        return [*self.encoder.parameters(), *self.ecg_projector.parameters()]


def projector(width: int, shared: int) -> nn.Sequential:
    """LayerNorm, Linear, ReLU, Linear from ``width`` to the ``shared`` space."""
    layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, shared))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.constant_(layer.bias, BIAS)
    return layers
