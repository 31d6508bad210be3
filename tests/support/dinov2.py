"""DINOv2 ViT-S/14 written out from its paper and Meta's names, and weights to run it with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from support.weights import drawn

OUTER = {
    "cls_token": (1, 1, 384),
    "pos_embed": (1, 1370, 384),
    "mask_token": (1, 384),
    "patch_embed.proj.weight": (384, 3, 14, 14),
    "patch_embed.proj.bias": (384,),
    "norm.weight": (384,),
    "norm.bias": (384,),
}
BLOCK = {
    "norm1.weight": (384,),
    "norm1.bias": (384,),
    "attn.qkv.weight": (1152, 384),
    "attn.qkv.bias": (1152,),
    "attn.proj.weight": (384, 384),
    "attn.proj.bias": (384,),
    "ls1.gamma": (384,),
    "norm2.weight": (384,),
    "norm2.bias": (384,),
    "mlp.fc1.weight": (1536, 384),
    "mlp.fc1.bias": (1536,),
    "mlp.fc2.weight": (384, 1536),
    "mlp.fc2.bias": (384,),
    "ls2.gamma": (384,),
}


def meta_weights(depth: int = 12) -> dict[str, Tensor]:
    """Weights under the names of Meta's file, drawn from them; each layer counts for much."""
    shapes = OUTER | {f"blocks.{i}.{name}": shape for i in range(depth) for name, shape in BLOCK.items()}
    weights = drawn({name: torch.empty(shape, device="meta") for name, shape in shapes.items()})
    return {name: 25 * tensor if "gamma" in name else tensor for name, tensor in weights.items()}


def hugging_face_folder(folder: Path, meta: Mapping[str, Tensor]) -> Path:
    """The same weights as Hugging Face keeps them, in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(_renamed(meta), folder / "model.safetensors")
    (folder / "config.json").write_text('{"model_type": "dinov2"}')
    return folder


def patch_tokens(meta: Mapping[str, Tensor], frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """The normalised patch tokens (n, 1369, 384) of grey frames (n, 518, 518) in 0..1."""
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    pixels = (torch.from_numpy(frames)[:, None].repeat(1, 3, 1, 1) - mean) / std
    patches = pixels.unfold(2, 14, 14).unfold(3, 14, 14)  # n, 3, 37, 37, 14, 14
    patches = patches.permute(0, 2, 3, 1, 4, 5).reshape(len(frames), 1369, 588)
    embedded = _linear(meta, "patch_embed.proj", patches)
    tokens = torch.cat((meta["cls_token"].expand(len(frames), -1, -1), embedded), dim=1) + meta["pos_embed"]
    for i in range(12):
        name = f"blocks.{i}"
        tokens = tokens + meta[f"{name}.ls1.gamma"] * _attended(
            meta, name, _norm(meta, f"{name}.norm1", tokens)
        )
        hidden = functional.gelu(_linear(meta, f"{name}.mlp.fc1", _norm(meta, f"{name}.norm2", tokens)))
        tokens = tokens + meta[f"{name}.ls2.gamma"] * _linear(meta, f"{name}.mlp.fc2", hidden)
    return _norm(meta, "norm", tokens)[:, 1:].numpy()


def _attended(meta: Mapping[str, Tensor], name: str, tokens: Tensor) -> Tensor:
    count, length, _ = tokens.shape
    query, key, value = (
        part.view(count, length, 6, 64).transpose(1, 2)
        for part in _linear(meta, f"{name}.attn.qkv", tokens).split(384, dim=-1)
    )
    weights = torch.softmax(query @ key.mT / 8, dim=-1)
    return _linear(meta, f"{name}.attn.proj", (weights @ value).transpose(1, 2).reshape(count, length, 384))


def _linear(meta: Mapping[str, Tensor], name: str, tokens: Tensor) -> Tensor:
    return functional.linear(tokens, meta[f"{name}.weight"].flatten(1), meta[f"{name}.bias"])


def _norm(meta: Mapping[str, Tensor], name: str, tokens: Tensor) -> Tensor:
    return functional.layer_norm(tokens, (384,), meta[f"{name}.weight"], meta[f"{name}.bias"], eps=1e-6)


def _renamed(meta: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = {
        "cls_token": "embeddings.cls_token",
        "pos_embed": "embeddings.position_embeddings",
        "mask_token": "embeddings.mask_token",
        "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
        "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
        "norm.weight": "layernorm.weight",
        "norm.bias": "layernorm.bias",
    }
    weights = {names[name]: tensor for name, tensor in meta.items() if name in names}
    for i in range(sum(name.endswith("ls1.gamma") for name in meta)):
        ours, theirs = f"blocks.{i}.", f"encoder.layer.{i}."
        for kept in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
            for part in ("weight", "bias"):
                weights[f"{theirs}{kept}.{part}"] = meta[f"{ours}{kept}.{part}"]
        for part in ("weight", "bias"):
            weights[f"{theirs}attention.output.dense.{part}"] = meta[f"{ours}attn.proj.{part}"]
            joint = meta[f"{ours}attn.qkv.{part}"]
            for third, projection in enumerate(("query", "key", "value")):
                own = joint[384 * third : 384 * (third + 1)].clone()
                weights[f"{theirs}attention.attention.{projection}.{part}"] = own
        weights[f"{theirs}layer_scale1.lambda1"] = meta[f"{ours}ls1.gamma"]
        weights[f"{theirs}layer_scale2.lambda1"] = meta[f"{ours}ls2.gamma"]
    return weights
