"""Weight names of the published SegmentMIL, with or without its backbone, a DINOv2 ViT-S/14.

Its file is the state dictionary of the authors' model. The backbone in it was trained with the rest, so that
the rest is of use with this backbone only.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from stence.encoders.base import check_fit
from stence.weights import dinov2_names

BACKBONE = "encoder.backbone."
"""Prefix of the backbone's weights in a published file, which has Meta's names, and in the store."""
PATIENTS_HEAD = ("classifiers.0.0.", "classifier.0.")
"""Names of the patient's head. Published files hold both; stence uses the first."""
WIDTH, CELLS, LAYERS, QUERIES = 512, 16, 2, 11
LAYER = {
    **{
        f"{kind}.{name}": shape
        for kind in ("self_attn", "multihead_attn")
        for name, shape in {
            "in_proj_weight": (3 * WIDTH, WIDTH),
            "in_proj_bias": (3 * WIDTH,),
            "out_proj.weight": (WIDTH, WIDTH),
            "out_proj.bias": (WIDTH,),
        }.items()
    },
    "linear1.weight": (4 * WIDTH, WIDTH),
    "linear1.bias": (4 * WIDTH,),
    "linear2.weight": (WIDTH, 4 * WIDTH),
    "linear2.bias": (WIDTH,),
    **{f"norm{number}.{part}": (WIDTH,) for number in (1, 2, 3) for part in ("weight", "bias")},
}
SHAPES = {
    "pos_embeddings": (CELLS, CELLS, WIDTH),
    "query": (QUERIES, WIDTH),
    "projector.weight": (WIDTH, dinov2_names.WIDTH),
    "projector.bias": (WIDTH,),
    **{f"attention.layers.{n}.{name}": shape for n in range(LAYERS) for name, shape in LAYER.items()},
    **{
        f"classifiers.{number}.0.{part}": shape
        for number in range(QUERIES)
        for part, shape in {"weight": (1, WIDTH), "bias": (1,)}.items()
    },
}
PROJECTOR = ("projector.0.", "projector.")
"""The authors' class wraps a projection of one layer into a list of layers."""


def checked(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a file's weights: those of ``SHAPES``, and the backbone's with Hugging Face's names if there.

    Raises WeightsError, which names every weight that is missing, unexpected or has the wrong shape.
    """
    wrapped, plain = PROJECTOR
    own = with_both_names(
        {
            plain + name.removeprefix(wrapped) if name.startswith(wrapped) else name: tensor
            for name, tensor in weights.items()
            if not name.startswith(BACKBONE)
        }
    )
    expected = {name: torch.empty(shape, device="meta") for name, shape in SHAPES.items()}
    check_fit(own, with_both_names(expected), "SegmentMIL")
    found = {name: own[name] for name in SHAPES}
    if backbone := backbone_of(weights):
        found |= {BACKBONE + name: tensor for name, tensor in dinov2_names.checked(backbone).items()}
    return found


def backbone_of(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the backbone's weights without their prefix; none if there is no backbone."""
    return {
        name.removeprefix(BACKBONE): tensor for name, tensor in weights.items() if name.startswith(BACKBONE)
    }


def with_both_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy the weights, and add the patient's head under its other name if only one is there."""
    both = dict(weights)
    for name, tensor in weights.items():
        for prefix, other in (PATIENTS_HEAD, PATIENTS_HEAD[::-1]):
            if name.startswith(prefix):
                both.setdefault(other + name.removeprefix(prefix), tensor)
    return both
