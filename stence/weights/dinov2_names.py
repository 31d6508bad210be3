"""Weight names of DINOv2 ViT-S/14 in its two published files.

Weights are stored under the names of Hugging Face's file. Those of Meta's file
(``dinov2_vits14_pretrain.pth``) are renamed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from stence.encoders.base import check_fit

WIDTH = 384
DEPTH = 12
HEADS = 6
PATCH = 14
SIDE = 518
HIDDEN = 4 * WIDTH
POSITIONS = 1 + (SIDE // PATCH) ** 2

OUTER = {
    "embeddings.cls_token": (1, 1, WIDTH),
    "embeddings.mask_token": (1, WIDTH),
    "embeddings.position_embeddings": (1, POSITIONS, WIDTH),
    "embeddings.patch_embeddings.projection.weight": (WIDTH, 3, PATCH, PATCH),
    "embeddings.patch_embeddings.projection.bias": (WIDTH,),
    "layernorm.weight": (WIDTH,),
    "layernorm.bias": (WIDTH,),
}
ATTENTION = ("attention.query", "attention.key", "attention.value")
LAYER = {
    **{f"norm{number}.{part}": (WIDTH,) for number in (1, 2) for part in ("weight", "bias")},
    **{f"layer_scale{number}.lambda1": (WIDTH,) for number in (1, 2)},
    **{f"attention.{part}.weight": (WIDTH, WIDTH) for part in (*ATTENTION, "output.dense")},
    **{f"attention.{part}.bias": (WIDTH,) for part in (*ATTENTION, "output.dense")},
    "mlp.fc1.weight": (HIDDEN, WIDTH),
    "mlp.fc1.bias": (HIDDEN,),
    "mlp.fc2.weight": (WIDTH, HIDDEN),
    "mlp.fc2.bias": (WIDTH,),
}
SHAPES = OUTER | {
    f"encoder.layer.{number}.{name}": shape for number in range(DEPTH) for name, shape in LAYER.items()
}
META_NAMES = (
    (r"^cls_token$", "embeddings.cls_token"),
    (r"^mask_token$", "embeddings.mask_token"),
    (r"^pos_embed$", "embeddings.position_embeddings"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^norm\.", "layernorm."),
    (r"^blocks\.", "encoder.layer."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.ls([12])\.gamma$", r".layer_scale\1.lambda1"),
)
JOINT = ".attn.qkv."
"""Part of the name of Meta's joint projection, which stacks query, key and value."""


def checked(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a file's weights under the names of Hugging Face.

    Raises WeightsError, which names every weight that is missing, unexpected or has the wrong shape.
    """
    renamed = _from_meta(weights) if "pos_embed" in weights else dict(weights)
    check_fit(renamed, {name: torch.empty(shape, device="meta") for name, shape in SHAPES.items()}, "DINOv2")
    return renamed


def _from_meta(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    for meta_name, tensor in weights.items():
        name = meta_name
        for pattern, replacement in META_NAMES:
            name = re.sub(pattern, replacement, name)
        if JOINT in name:
            for part, third in zip(ATTENTION, tensor.chunk(3), strict=False):
                renamed[name.replace(JOINT, f".attention.{part}.")] = third.contiguous()
        else:
            renamed[name] = tensor
    return renamed
