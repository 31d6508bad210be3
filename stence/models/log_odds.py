"""Log-odds of a target as a differentiable function of an ECG, for explanations."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from stence.domain.targets import DEGREES
from stence.models.calibration import SEVERITIES, Calibration
from stence.models.clinical import Floats
from stence.models.risk import InferenceForm


class LogOdds(nn.Module):
    """ECGs (n, windows, 12, samples) -> calibrated log-odds (n,) of a target, with gradients.

    ``target`` is one of ``DEGREES``. ``clinical`` (1, 2) are the ``clinical_values`` of the patient, which
    stay as they are. The logistic function of the result is the probability of ``RiskScorer.score``, up to
    rounding. Raises ValueError for another target.
    """

    def __init__(
        self, network: InferenceForm, calibration: Calibration, target: str, clinical: Floats
    ) -> None:
        super().__init__()
        self._reached = DEGREES.index(target) + 1  # the first class of severity that is a case
        self._network = network
        outputs = (1, network.outputs)
        offset = network.fuse(np.zeros(outputs), clinical)
        factor = network.fuse(np.ones(outputs), clinical) - offset  # fusion is linear in the ECG's logits
        slopes = np.asarray(calibration.slopes)
        self.register_buffer("slope", _tensor(factor * slopes))
        self.register_buffer("intercept", _tensor(offset * slopes + np.asarray(calibration.intercepts)))
        weights = calibration.severity_weights or (1.0,) * SEVERITIES
        self.register_buffer("log_weights", _tensor(np.log(np.asarray(weights))))
        self.to(next(network.parameters()).device)

    def forward(self, ecgs: Tensor) -> Tensor:
        """Return the log-odds of each ECG."""
        count, windows = ecgs.shape[:2]
        embedded = self._network.encoder(ecgs.flatten(0, 1)).view(count, windows, -1).mean(dim=1)
        logits = self._network.answer(self._network.normalise(embedded)).double()
        slope, intercept = cast(Tensor, self.slope), cast(Tensor, self.intercept)
        weighted = _severities(slope * logits + intercept) + cast(Tensor, self.log_weights)
        cases, controls = weighted[:, self._reached :], weighted[:, : self._reached]
        return torch.logsumexp(cases, dim=1) - torch.logsumexp(controls, dim=1)


def _severities(logits: Tensor) -> Tensor:
    """Return log probabilities (n, 5) of the severity classes, as ``calibration.severities`` does."""
    degrees = logits[:, : SEVERITIES - 1]
    none = torch.zeros_like(degrees[:, :1])
    at_least = torch.cat([none, torch.cumsum(logsigmoid(degrees), dim=1)], dim=1)
    return at_least + torch.cat([logsigmoid(-degrees), none], dim=1)


def _tensor(values: Floats) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float64))
