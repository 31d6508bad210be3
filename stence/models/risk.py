"""The risk model: an ECG encoder and a head that answers yes/no questions."""

from __future__ import annotations

from copy import deepcopy
from typing import Self

import torch
from torch import Tensor, nn

from stence.domain.targets import TARGETS
from stence.encoders import Encoder


class RiskModel(nn.Module):
    """Windows (n, 12, window_length) float32 -> logits of the questions (n, outputs).

    They are the product's tree of six unless told otherwise, see ``coherence``. The head is BatchNorm1d
    without affine and a Linear layer (StenCE's fine-tuning head).
    """

    def __init__(self, encoder: Encoder, outputs: int = len(TARGETS)) -> None:
        super().__init__()
        self.encoder = encoder
        self.normalise = nn.BatchNorm1d(encoder.size, affine=False)
        self.answer = nn.Linear(encoder.size, outputs)
        self._encoder_learns = True

    def forward(self, windows: Tensor) -> Tensor:
        """One row of logits a window."""
        logits: Tensor = self.answer(self.normalise(self.encoder(windows)))
        return logits

    def freeze_encoder(self) -> None:
        """From now on only the head learns; the encoder embeds as it does at work, also in training mode.

        So nothing in it changes, statistics of its normalisations included, and nothing is dropped.
        """
        self.encoder.requires_grad_(False)
        self._encoder_learns = False
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training mode, of a frozen encoder never."""
        super().train(mode)
        self.encoder.train(mode and self._encoder_learns)
        return self

    def head_parameters(self) -> list[nn.Parameter]:
        """The parameters that are not the encoder's, which learn at their own rate."""
        return list(self.answer.parameters())


class InferenceForm(nn.Module):
    """A trained risk model with its encoder folded.

    ECGs (n, windows, 12, window_length) -> logits (n, outputs). An ECG's are the mean of its windows': the
    head is linear, so it may act on the mean embedding. The model itself is left as it is, and may be trained
    on.
    """

    def __init__(self, model: RiskModel) -> None:
        super().__init__()
        self.encoder = model.encoder.folded()
        self.normalise = deepcopy(model.normalise)
        self.answer = deepcopy(model.answer)
        self.eval()

    @property
    def outputs(self) -> int:
        """How many questions it answers."""
        return self.answer.out_features

    @property
    def size(self) -> int:
        """How many numbers an ECG's embedding has."""
        return self.normalise.num_features

    @torch.inference_mode()
    def forward(self, ecgs: Tensor) -> Tensor:
        """One row of logits an ECG."""
        return self.embed_and_answer(ecgs)[1]

    @torch.inference_mode()
    def embed_and_answer(self, ecgs: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (n, size), each the mean of its windows', and logits."""
        count, windows = ecgs.shape[:2]
        embedded = self.encoder(ecgs.flatten(0, 1)).view(count, windows, -1).mean(dim=1)
        return embedded, self.answer(self.normalise(embedded))
