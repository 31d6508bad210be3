"""The risk model: an ECG encoder with a head for yes/no questions, and a head for age and sex."""

from __future__ import annotations

from copy import copy, deepcopy
from typing import Self

import torch
from torch import Tensor, nn

from stence.domain.targets import TARGETS
from stence.encoders import Encoder
from stence.models.clinical import ClinicalHead, Floats
from stence.models.shared_space import SharedSpace


class RiskModel(nn.Module):
    """Windows (n, 12, window_length) float32 -> logits of the questions (n, outputs).

    The default is the tree of six questions, see ``coherence``. The head is BatchNorm1d without affine and a
    Linear layer (StenCE's fine-tuning head). With ``clinical``, age and sex are fused with
    the logits of an ECG, see ``ClinicalHead``; that head is fitted after the network, which knows ECGs alone.
    ``shared_space`` is the number of dimensions that ECGs share with angiograms, see ``SharedSpace``; 0:
    the model was trained without angiograms.

    >>> from stence.encoders import build
    >>> model = RiskModel(build("otis", width=16, depth=1, heads=2))
    >>> model(torch.zeros(4, 12, 1500)).shape
    torch.Size([4, 6])
    """

    def __init__(
        self, encoder: Encoder, outputs: int = len(TARGETS), *, clinical: bool = False, shared_space: int = 0
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.normalise = nn.BatchNorm1d(encoder.size, affine=False)
        self.answer = nn.Linear(encoder.size, outputs)
        self.clinical = ClinicalHead(outputs) if clinical else None
        self.shared_space = SharedSpace(deepcopy(encoder), shared_space) if shared_space else None

    def forward(self, windows: Tensor) -> Tensor:
        """Return one row of logits per window, without age and sex."""
        logits: Tensor = self.answer(self.normalise(self.encoder(windows)))
        return logits

    def freeze_encoder(self, last_blocks: int = 0) -> None:
        """Freeze the encoder, except for its ``last_blocks`` blocks and what follows them.

        What is frozen stays in evaluation mode: its weights and batch-norm statistics never change, and its
        dropout is off. Raises ValueError if the encoder has fewer blocks.
        """
        learning = self.encoder.last(last_blocks) if last_blocks else []
        weights = [weight for part in learning for weight in part.parameters() if weight.requires_grad]
        self.encoder.requires_grad_(False)
        for weight in weights:
            weight.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set the training mode. Parts of the encoder without a trainable weight stay in evaluation mode."""
        super().train(mode)
        for part in self.encoder.modules():
            weights = list(part.parameters())
            if weights and not any(weight.requires_grad for weight in weights):
                part.eval()
        return self

    def head_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the head, which have their own learning rate."""
        return list(self.answer.parameters())


class InferenceForm(nn.Module):
    """Inference form of a trained risk model, with a folded encoder.

    ECGs (n, windows, 12, window_length) -> logits (n, outputs). The logits of an ECG are the mean over its
    windows, without age and sex: ``fuse`` adds them. The head is linear, so it acts on the mean embedding.
    The model itself does not change, and its training can continue.
    """

    def __init__(self, model: RiskModel) -> None:
        super().__init__()
        self.encoder: nn.Module = model.encoder.folded()
        self.normalise = deepcopy(model.normalise)
        self.answer = deepcopy(model.answer)
        self.clinical = deepcopy(model.clinical)
        self.shared_space = deepcopy(model.shared_space)
        self.eval()

    @property
    def outputs(self) -> int:
        """Number of questions."""
        return self.answer.out_features

    @property
    def size(self) -> int:
        """Size of an ECG's embedding."""
        return self.normalise.num_features

    @torch.inference_mode()
    def forward(self, ecgs: Tensor) -> Tensor:
        """Return one row of logits per ECG."""
        return self.embed_and_answer(ecgs)[1]

    @torch.inference_mode()
    def embed_and_answer(self, ecgs: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings (n, size), each the mean over the windows, and logits (n, outputs)."""
        count, windows = ecgs.shape[:2]
        embedded = self.encoder(ecgs.flatten(0, 1)).view(count, windows, -1).mean(dim=1)
        return embedded, self.answer(self.normalise(embedded))

    @property
    def folded(self) -> Encoder:
        """The encoder in fp32."""
        if not isinstance(self.encoder, Encoder):
            raise TypeError("this network is in another form than fp32")
        return self.encoder

    def with_encoder(self, encoder: nn.Module) -> InferenceForm:
        """Return a network that shares everything with this one but the encoder."""
        other = copy(self)
        other._modules = {**self._modules, "encoder": encoder}
        return other

    def fuse(self, logits: Floats, clinical: Floats) -> Floats:
        """Return logits (n, outputs), fused with ``clinical_values`` (n, 2) if the model has a head."""
        return logits if self.clinical is None else self.clinical.fuse(logits, clinical)
