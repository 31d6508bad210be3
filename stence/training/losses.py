"""The loss of the tree of questions."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def tree_loss(logits: Tensor, answers: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """The tree's negative log-likelihood an ECG, averaged with ``weights``.

    ``logits`` and ``answers`` (n, 6; NaN: not asked), ``weights`` (n,). It is the sum over the questions that
    were asked, so a question weighs as much as it has cases. Label smoothing draws answers towards
    1/2: yes is ``1 - smoothing / 2``. ECGs that were asked nothing do not count; if none was, the loss is 0.
    """
    asked = ~answers.isnan()
    wanted = answers.nan_to_num() * (1 - smoothing) + smoothing / 2
    each = binary_cross_entropy_with_logits(logits, wanted, reduction="none") * asked
    weights = weights * asked.any(dim=1)
    return (each.sum(dim=1) * weights).sum() / weights.sum().clamp(min=1e-9)
