"""Losses: tree of questions, independent labels, stenosis on angiograms, and contrastive pairs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, normalize

from stence.models.angiographic import ARTERIES, MAJOR

TEMPERATURE = 0.2
GROUP_WEIGHTS = ((slice(0, 1), 0.4), (ARTERIES, 0.4), (MAJOR, 0.2))
"""Groups of the angiographic targets (patient, arteries, segments), and their weights."""


def tree_loss(logits: Tensor, answers: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """Return the tree's negative log-likelihood per ECG, averaged with sample ``weights``.

    ``logits`` and ``answers`` are (n, 6; NaN: not asked), ``weights`` (n,). The loss of an ECG is the sum
    over its asked questions. Label smoothing moves answers towards 1/2: yes is ``1 - smoothing / 2``. ECGs
    without answers are left out. Without any answer the loss is 0.
    """
    asked = ~answers.isnan()
    wanted = answers.nan_to_num() * (1 - smoothing) + smoothing / 2
    each = binary_cross_entropy_with_logits(logits, wanted, reduction="none") * asked
    weights = weights * asked.any(dim=1)
    return (each.sum(dim=1) * weights).sum() / weights.sum().clamp(min=1e-9)


def label_loss(logits: Tensor, answers: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """Return the binary cross-entropy of independent labels, averaged with sample ``weights``.

    All arguments are (n, labels); unknown ``answers`` are NaN and left out. Label smoothing is that of
    ``tree_loss``. Without any known label the loss is 0.
    """
    known = ~answers.isnan()
    wanted = answers.nan_to_num() * (1 - smoothing) + smoothing / 2
    each = binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    weights = weights * known
    return (each * weights).sum() / weights.sum().clamp(min=1e-9)


def stenosis_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the binary cross-entropy of ``ANGIOGRAPHIC_TARGETS`` (n, 11): weighted sum of group means.

    ``targets`` are 0 or 1, or probabilities (soft labels). Rows with NaN are left out: they are neither case
    nor control, or their report may not be used. Without any row the loss is 0.
    """
    counted = ~targets.isnan().any(dim=1)
    each = binary_cross_entropy_with_logits(logits.float(), targets.nan_to_num(), reduction="none")
    each = each * counted[:, None]
    total = torch.stack([weight * each[:, group].mean(dim=1) for group, weight in GROUP_WEIGHTS]).sum()
    return total / counted.sum().clamp(min=1)


def pair_loss(ecgs: Tensor, angiograms: Tensor, patients: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Return CLIP's contrastive loss (Radford et al. 2021) of rows i of ``ecgs`` and ``angiograms`` (n, d).

    It is the mean of both directions, with cosine similarity. Other rows of the same patient (``patients``
    (n,) are numbers) are neither positives nor negatives, and left out.
    """
    similarity = normalize(ecgs.float(), dim=1) @ normalize(angiograms.float(), dim=1).T / temperature
    same = (patients[:, None] == patients[None, :]).fill_diagonal_(False)
    similarity = similarity.masked_fill(same, -torch.inf)
    partner = torch.arange(len(ecgs), device=ecgs.device)
    return 0.5 * (cross_entropy(similarity, partner) + cross_entropy(similarity.T, partner))
