"""The risk model: an ECG encoder and a head that answers the tree of questions."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from stence.encoders import Encoder
from stence.models.targets import TARGETS


class RiskModel(nn.Module):
    """Windows (n, 12, window_length) float32 -> logits of the questions (n, 6); see ``coherence``.

    The head is BatchNorm1d without affine and a Linear layer (StenCE's fine-tuning head).
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.normalise = nn.BatchNorm1d(encoder.size, affine=False)
        self.answer = nn.Linear(encoder.size, len(TARGETS))

    def forward(self, windows: Tensor) -> Tensor:
        """One row of logits a window."""
        logits: Tensor = self.answer(self.normalise(self.encoder(windows)))
        return logits

    def head_parameters(self) -> list[nn.Parameter]:
        """The parameters that are not the encoder's, which learn at their own rate."""
        return list(self.answer.parameters())


class InferenceForm(nn.Module):
    """A trained risk model with its encoder folded: ECGs (n, windows, 12, window_length) -> (n, 6) logits.

    An ECG's logits are the mean of its windows': the head is linear, so it may act on the mean embedding.
    The model itself is left as it is, and may be trained on.
    """

    def __init__(self, model: RiskModel) -> None:
        super().__init__()
        self.encoder = model.encoder.folded()
        self.normalise = deepcopy(model.normalise)
        self.answer = deepcopy(model.answer)
        self.eval()

    @torch.inference_mode()
    def forward(self, ecgs: Tensor) -> Tensor:
        """One row of logits an ECG."""
        count, windows = ecgs.shape[:2]
        embedded = self.encoder(ecgs.flatten(0, 1)).view(count, windows, -1)
        logits: Tensor = self.answer(self.normalise(embedded.mean(dim=1)))
        return logits
