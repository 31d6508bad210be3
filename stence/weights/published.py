"""The published weights that stence can take, by name, and how each file is read."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from stence.angiography.backbone import DINOV2
from stence.encoders.otis import PRETRAINING_ONLY, otis
from stence.weights import dinov2_names
from stence.weights.files import opened, tensors_of


@dataclass(frozen=True, slots=True)
class Importable:
    """Weights that a person can fetch and ``stence weights import`` brings into the store."""

    name: str
    kind: str
    licence: str
    source: str
    """Where their authors publish them."""
    load: Callable[[bytes], dict[str, Tensor]]
    """From a file's content; raises WeightsError unless every weight is there, in its shape, and no other."""


def _dinov2(content: bytes) -> dict[str, Tensor]:
    return dinov2_names.checked(tensors_of(opened(content)))


def _otis_base(content: bytes) -> dict[str, Tensor]:
    """The encoder's part of a pre-training checkpoint, or a file of the encoder alone."""
    saved = opened(content, allowed=(argparse.Namespace, torch.Size))
    model = saved["model"] if isinstance(saved, Mapping) and "model" in saved else saved
    weights = {
        name: tensor for name, tensor in tensors_of(model).items() if not name.startswith(PRETRAINING_ONLY)
    }
    otis("base").load_published(weights)
    return weights


IMPORTABLES = {
    importable.name: importable
    for importable in (
        Importable(
            DINOV2,
            kind="patch features of angiograms",
            licence="Apache-2.0",
            source="huggingface.co/facebook/dinov2-small (model.safetensors), or dinov2_vits14_pretrain.pth "
            "of github.com/facebookresearch/dinov2",
            load=_dinov2,
        ),
        Importable(
            "otis-base",
            kind="ECG encoder",
            licence="MIT (the code; none is stated for the weights)",
            source="otis_base.pth, linked from github.com/oetu/otis",
            load=_otis_base,
        ),
    )
}
