"""StenCE: contrastive model with a shared embedding space of ECGs and angiograms."""

from __future__ import annotations

from torch import Tensor, nn

from stence.encoders import Encoder
from stence.models.angiographic import ANGIOGRAPHIC_TARGETS
from stence.models.segment_mil import SegmentMIL

SHARED = 256
"""Number of dimensions of the shared space."""
BIAS = 0.01


class StencePair(nn.Module):
    """An ECG encoder and a SegmentMIL, each with a projector into the shared space.

    The angiogram's embedding comes from an additional query beside the 11 of SegmentMIL. Its initial value is
    the patient's query, so the output of a trained SegmentMIL is informative from the start. Both arguments
    become part of the pair; they are not copied.

    >>> from stence.encoders import build
    >>> encoder = build("otis", width=16, depth=1, heads=2)
    >>> pair = StencePair(encoder, SegmentMIL(patch_dim=8, embed_dim=16, layers=1, heads=2), shared=4)
    >>> [layer.out_features for layer in (pair.ecg_projector[-1], pair.angiogram_projector[-1])]
    [4, 4]
    """

    def __init__(self, encoder: Encoder, segment_mil: SegmentMIL, shared: int = SHARED) -> None:
        super().__init__()
        width = segment_mil.query.shape[1]
        self.encoder, self.shared = encoder, shared
        self.ecg_projector = projector(encoder.size, shared)
        self.segment_mil = segment_mil
        self.query = nn.Parameter(segment_mil.query[:1].detach().clone())
        self.angiogram_projector = projector(width, shared)

    def ecg(self, windows: Tensor) -> Tensor:
        """Embed preprocessed windows (n, 12, window_samples) in the shared space (n, shared)."""
        places: Tensor = self.ecg_projector(self.encoder(windows))
        return places

    def angiogram(self, tokens: Tensor, views: Tensor, angulations: Tensor) -> tuple[Tensor, Tensor]:
        """Embed studies in the shared space (n, shared), and return their stenosis logits (n, 11) too.

        The arguments are those of ``SegmentMIL.decode``.
        """
        found = self.segment_mil.decode(tokens, views, angulations, further=self.query)
        return self.angiogram_projector(found[:, -1]), self.segment_mil.classify(found)

    def angiogram_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the angiogram's side, which have their own learning rate."""
        return [self.query, *self.segment_mil.parameters(), *self.angiogram_projector.parameters()]

    def ecg_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the ECG's side."""
        return [*self.encoder.parameters(), *self.ecg_projector.parameters()]


class EcgStudent(nn.Module):
    """The ECG side of a pair with a linear head, for pretraining without the angiogram's side.

    Windows (n, 12, window_samples) -> logits of ``ANGIOGRAPHIC_TARGETS`` (n, 11). The encoder and projector
    of ``pair`` are shared, not copied: training changes them in the pair.

    >>> from stence.encoders import build
    >>> encoder = build("otis", width=16, depth=1, heads=2)
    >>> pair = StencePair(encoder, SegmentMIL(patch_dim=8, embed_dim=16, layers=1, heads=2), shared=4)
    >>> EcgStudent(pair).head.out_features
    11
    """

    def __init__(self, pair: StencePair) -> None:
        super().__init__()
        self.encoder, self.projector = pair.encoder, pair.ecg_projector
        self.head = nn.Linear(pair.shared, len(ANGIOGRAPHIC_TARGETS))

    def forward(self, windows: Tensor) -> Tensor:
        logits: Tensor = self.head(self.projector(self.encoder(windows)))
        return logits


def projector(width: int, shared: int) -> nn.Sequential:
    """Build the projector LayerNorm, Linear, ReLU, Linear from ``width`` to ``shared`` dimensions."""
    layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, shared))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.constant_(layer.bias, BIAS)
    return layers
