"""Nearest-neighbour probe of an ECG encoder: AUROC of stenosis from the embeddings alone."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from stence.cohort import Part
from stence.evaluation.metrics import auroc
from stence.fitting.crops import even_crops
from stence.fitting.studies import in_groups
from stence.models import TARGET_NAMES

PROBED = TARGET_NAMES.index("stenosis_70")
ECGS_TOGETHER = {"cpu": 8, "cuda": 256}
"""Batch size by device. On a CPU, activations of 8 ECGs fit its cache: three times as fast as with 64."""


@torch.inference_mode()
def embeddings(encoder: nn.Module, part: Part, ecgs: NDArray[np.int64], windows: int, device: str) -> Tensor:
    """Return the mean embedding (n, size) over each ECG's ``windows`` windows, on the CPU.

    ``part`` is the raw training part, or a preprocessed part with this number of windows. ``encoder`` maps
    windows (n, 12, samples) to (n, size).
    """
    return torch.cat(
        [
            _embedded(encoder, torch.from_numpy(_windows(part, some, windows)).to(device)).cpu()
            for some in in_groups(ecgs, ECGS_TOGETHER[device])
        ]
    )


def neighbours_auroc(
    encoder: nn.Module,
    train: Part,
    known: NDArray[np.int64],
    validation: Part,
    neighbours: int,
    device: str,
) -> float:
    """Return the AUROC of stenosis >= 70 % on the validation ECGs, by nearest training ECGs.

    The score of an ECG is the share of cases among its ``neighbours`` nearest ECGs in ``known``, by cosine
    similarity. The result is NaN if the validation ECGs are all cases or all controls.
    """
    windows = validation.signals.shape[1]
    asked = np.flatnonzero(~np.isnan(validation.labels[:, PROBED]))
    of_train = normalize(embeddings(encoder, train, known, windows, device), dim=1)
    of_validation = normalize(embeddings(encoder, validation, asked, windows, device), dim=1)
    nearest = (of_validation @ of_train.T).topk(min(neighbours, len(known)), dim=1).indices.numpy()
    ratings = train.labels[known, PROBED][nearest].mean(axis=1, dtype=np.float64)
    return auroc(ratings, validation.labels[asked, PROBED])


def _windows(part: Part, ecgs: NDArray[np.int64], windows: int) -> NDArray[np.float32]:
    if part.signals.ndim == 3:
        return even_crops(part, ecgs, windows)
    return part.signals[part.rows[ecgs]].astype(np.float32)


def _embedded(encoder: nn.Module, ecgs: Tensor) -> Tensor:
    return encoder(ecgs.flatten(0, 1)).view(*ecgs.shape[:2], -1).mean(dim=1).float()
