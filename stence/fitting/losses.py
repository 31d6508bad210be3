"""The losses: of the tree of questions, of stenosis on the angiogram, and of pairs in one space."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, normalize

from stence.models.angiographic import ARTERIES, MAJOR

TEMPERATURE = 0.2
GROUP_WEIGHTS = ((slice(0, 1), 0.4), (ARTERIES, 0.4), (MAJOR, 0.2))
"""Patient, arteries and segments among the angiographic targets, and how much each group weighs."""


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


def label_loss(logits: Tensor, answers: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """Binary cross-entropy of independent labels, averaged with ``weights`` over those that are known.

    All (n, labels); ``answers`` NaN where unknown. Label smoothing as in ``tree_loss``. If nothing is known,
    the loss is 0.
    """
    known = ~answers.isnan()
    wanted = answers.nan_to_num() * (1 - smoothing) + smoothing / 2
    each = binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    weights = weights * known
    return (each * weights).sum() / weights.sum().clamp(min=1e-9)


def stenosis_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy of ``ANGIOGRAPHIC_TARGETS`` (n, 11), the mean in each group, weighted by group.

    Rows whose targets are NaN (neither case nor control, or a report that may not be seen) do not count; if
    none does, the loss is 0.
    """
    counted = ~targets.isnan().any(dim=1)
    each = binary_cross_entropy_with_logits(logits.float(), targets.nan_to_num(), reduction="none")
    each = each * counted[:, None]
    total = torch.stack([weight * each[:, group].mean(dim=1) for group, weight in GROUP_WEIGHTS]).sum()
    return total / counted.sum().clamp(min=1)


def pair_loss(ecgs: Tensor, angiograms: Tensor, patients: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """CLIP's loss (Radford et al. 2021): row i of each (n, d) must find row i of the other, by cosine.

    The mean of both directions. Other rows of the same patient (``patients`` (n,) are numbers) are neither
    its partner nor wrong answers: they are left out of the comparison.
    """
    similarity = normalize(ecgs.float(), dim=1) @ normalize(angiograms.float(), dim=1).T / temperature
    same = (patients[:, None] == patients[None, :]).fill_diagonal_(False)
    similarity = similarity.masked_fill(same, -torch.inf)
    partner = torch.arange(len(ecgs), device=ecgs.device)
    return 0.5 * (cross_entropy(similarity, partner) + cross_entropy(similarity.T, partner))
