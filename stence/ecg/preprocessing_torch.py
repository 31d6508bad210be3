"""``preprocess`` for a GPU: the same steps and result in torch, batched over ECGs and leads.

The pentadiagonal baseline systems are solved by odd-even (cyclic) reduction of 2 x 2 blocks (Heller 1976).
This takes about log2(n / 2) levels of a few batched operations instead of n dependent steps, which suits a
GPU. It is a Cholesky factorisation in another order, so it is stable for positive definite systems.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from stence.ecg.baseline import ASYMMETRY, REWEIGHTINGS, SMOOTHNESS, second_difference_bands
from stence.ecg.preprocessing_array import CLIP_AT, EPSILON, GROUPS


@torch.no_grad()
def preprocess(signal: Tensor) -> Tensor:
    """Preprocess ECGs (..., 12, n) in millivolts at 500 Hz -> float32, same shape, same device."""
    ecgs = signal.to(torch.float64).nan_to_num(nan=0.0)
    limit = CLIP_AT * ecgs.flatten(-2).std(dim=-1, correction=0)[..., None, None]
    ecgs = ecgs.clamp(-limit, limit)
    ecgs = ecgs - _baseline(ecgs.flatten(0, -2)).view(ecgs.shape)
    return torch.cat([_normalised(ecgs[..., first:end, :]) for first, end in GROUPS], dim=-2).float()


def _normalised(group: Tensor) -> Tensor:
    variance, mean = torch.var_mean(group, dim=(-2, -1), correction=0, keepdim=True)
    return (group - mean) / (variance + EPSILON).sqrt()


def _baseline(signals: Tensor) -> Tensor:
    """Return the baselines (rows, n) of signals (rows, n); see ``stence.ecg.baseline``."""
    blocks, coupling = _second_difference_blocks(signals.shape[1], signals.device)
    padded = pad(signals, (0, blocks.shape[0] * 2 - signals.shape[1]))
    weights = torch.ones_like(padded)
    for _ in range(REWEIGHTINGS):
        scaled = (weights / SMOOTHNESS).view(len(signals), -1, 2)
        right = scaled * padded.view(scaled.shape)
        baseline = _solve(blocks + torch.diag_embed(scaled), coupling.expand(len(signals), -1, -1, -1), right)
        baseline = baseline.flatten(1)
        above = (padded > baseline).double()
        weights = ASYMMETRY * above + (1 - ASYMMETRY) * (1 - above)
    return baseline[:, : signals.shape[1]]


def _second_difference_blocks(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return D^T D as a block tridiagonal matrix: diagonal blocks and right neighbours (m, 2, 2; last 0).

    m is a power of two. Samples after the n-th are padding and have no neighbours.
    """
    size = 2 * 2 ** max(0, (n - 1).bit_length() - 1)
    diagonal, neighbour = (np.pad(band, (0, size - n)) for band in second_difference_bands(n))
    second = np.arange(size) < n - 2
    blocks = np.zeros((2, size // 2, 2, 2))
    blocks[0, :, 0, 0], blocks[0, :, 1, 1] = diagonal[::2], diagonal[1::2]
    blocks[0, :, 0, 1] = blocks[0, :, 1, 0] = neighbour[::2]
    blocks[1, :, 0, 0], blocks[1, :, 1, 1] = second[::2], second[1::2]
    blocks[1, :, 1, 0] = neighbour[1::2]
    on_diagonal, beside = torch.from_numpy(blocks).to(device)
    return on_diagonal, beside


def _solve(blocks: Tensor, coupling: Tensor, right: Tensor) -> Tensor:
    """Solve ``blocks[k] x[k] + coupling[k] x[k+1] + coupling[k-1]^T x[k-1] = right[k]`` for x (rows, m, 2).

    Every other unknown is eliminated. The remaining system of half the size is solved by recursion.
    """
    if blocks.shape[1] == 1:
        return _apply(_inverse(blocks), right)
    kept, gone = blocks[:, ::2], _inverse(blocks[:, 1::2])
    towards, onwards = coupling[:, ::2], coupling[:, 1::2]
    before, after = towards @ gone, onwards.mT @ gone
    x_kept = _solve(
        kept - before @ towards.mT - _shift_right(after @ onwards),
        -before @ onwards,
        right[:, ::2] - _apply(before, right[:, 1::2]) - _shift_right(_apply(after, right[:, 1::2])),
    )
    x_gone = _apply(gone, right[:, 1::2] - _apply(towards.mT, x_kept) - _apply(onwards, _shift_left(x_kept)))
    return torch.stack((x_kept, x_gone), dim=2).flatten(1, 2)


def _apply(matrices: Tensor, vectors: Tensor) -> Tensor:
    return (matrices @ vectors.unsqueeze(-1)).squeeze(-1)


def _inverse(matrices: Tensor) -> Tensor:
    """Return the inverses of symmetric 2 x 2 matrices (..., 2, 2)."""
    a, b, d = matrices[..., 0, 0], matrices[..., 0, 1], matrices[..., 1, 1]
    adjugate = torch.stack((d, -b, -b, a), dim=-1).view(matrices.shape)
    return adjugate / (a * d - b * b)[..., None, None]


def _shift_right(x: Tensor) -> Tensor:
    """Shift entries by one place along dimension 1. The first entry becomes 0."""
    return torch.cat((torch.zeros_like(x[:, :1]), x[:, :-1]), dim=1)


def _shift_left(x: Tensor) -> Tensor:
    return torch.cat((x[:, 1:], torch.zeros_like(x[:, :1])), dim=1)
