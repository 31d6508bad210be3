"""The last blocks of a DINOv2 as a module of their own, to be fine-tuned (Oquab et al., arXiv 2304.07193).

Its weights have the names that they have in the whole network's file, so the fine-tuned ones can take their
place there.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from stence.encoders.base import Weights

HEAD_WIDTH = 64
"""Width of an attention head in every DINOv2."""
EPSILON = 1e-6
"""Of the layer norms."""
FRAMES_TOGETHER = 8
"""Frames whose activations are held at once; bounds memory, in training too."""
_BLOCK = re.compile(r"encoder\.layer\.(\d+)\.")
_FINAL_NORM = "layernorm."


def depth_of(weights: Weights) -> int:
    """Return the number of the network's blocks: one more than the highest number of a block."""
    return 1 + max(int(match[1]) for name in weights if (match := _BLOCK.match(name)))


def is_final_norm(name: str) -> bool:
    """True for the weights of the layer norm behind the last block."""
    return name.startswith(_FINAL_NORM)


def final_weights(weights: Weights, count: int) -> dict[str, Tensor]:
    """Return the weights of the last ``count`` blocks and of the final layer norm.

    Raises ValueError if the network has fewer blocks.
    """
    first = depth_of(weights) - count
    if first < 0:
        raise ValueError(f"the backbone has {depth_of(weights)} blocks, fewer than {count}")
    return {
        name: tensor
        for name, tensor in weights.items()
        if is_final_norm(name) or ((match := _BLOCK.match(name)) and int(match[1]) >= first)
    }


class FinalBlocks(nn.Module):
    """States of tokens that enter a block -> normalised patch features; the network's end from there on.

    States are (..., 1 + n, width), the class token first; features are (..., n, width). The dimensions are
    those of ``weights``, which have the names of ``final_weights``.

    >>> block = {"norm1.weight": (64,), "mlp.fc1.weight": (128, 64)}
    >>> weights = {f"encoder.layer.11.{name}": torch.ones(shape) for name, shape in block.items()}
    >>> blocks = FinalBlocks(weights)
    >>> blocks(torch.zeros(2, 1 + 9, 64)).shape
    torch.Size([2, 9, 64])
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        hidden, width = next(
            weights[name].shape for name in sorted(weights) if name.endswith("mlp.fc1.weight")
        )
        numbers = sorted({int(match[1]) for name in weights if (match := _BLOCK.match(name))})
        blocks = nn.ModuleDict({str(number): _Block(width, hidden) for number in numbers})
        self.encoder = nn.ModuleDict({"layer": blocks})
        self.layernorm = nn.LayerNorm(width, eps=EPSILON)

    @classmethod
    def load(cls, weights: Weights) -> FinalBlocks:
        """Build the blocks with these weights."""
        blocks = cls(weights)
        blocks.load_state_dict(dict(weights))
        return blocks

    def forward(self, states: Tensor) -> Tensor:
        frames = states.reshape(-1, *states.shape[-2:])
        features = torch.cat([self._bounded(some) for some in torch.split(frames, FRAMES_TOGETHER)])
        return features.view(*states.shape[:-2], *features.shape[-2:])

    def of_views(self, states: Tensor, views: Tensor) -> Tensor:
        """Compute the features (b, v, k, n, width) of the studies' states (b, v, k, 1 + n, width).

        ``views`` (b,) is the number of views. Padding costs nothing: its features are zero.
        """
        is_view = torch.arange(states.shape[1], device=views.device) < views[:, None]
        found = self(states[is_view])
        features = found.new_zeros(*states.shape[:2], *found.shape[1:])
        features[is_view] = found
        return features

    def _bounded(self, frames: Tensor) -> Tensor:
        """Compute features of a few frames. Their activations are computed again for the gradient."""
        if not torch.is_grad_enabled():
            return self._features(frames)
        features: Tensor = checkpoint(
            self._features, frames, use_reentrant=False, preserve_rng_state=False
        )  # nothing in here is random
        return features

    def _features(self, frames: Tensor) -> Tensor:
        states = frames.to(self.layernorm.weight.dtype)
        for block in self.encoder["layer"].children():
            states = block(states)
        features: Tensor = self.layernorm(states)[:, 1:]
        return features


class _Block(nn.Module):
    """Pre-norm transformer block with layer scale: self-attention, then two linear layers with GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=EPSILON) for _ in range(2))
        self.attention = _Attention(width)
        self.layer_scale1, self.layer_scale2 = (_LayerScale(width) for _ in range(2))
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, hidden), "fc2": nn.Linear(hidden, width)})

    def forward(self, states: Tensor) -> Tensor:
        states = states + self.layer_scale1(self.attention(self.norm1(states)))
        widened = functional.gelu(self.mlp["fc1"](self.norm2(states)))
        result: Tensor = states + self.layer_scale2(self.mlp["fc2"](widened))
        return result


class _Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        projections = {name: nn.Linear(width, width) for name in ("query", "key", "value")}
        self.attention = nn.ModuleDict(projections)
        self.output = nn.ModuleDict({"dense": nn.Linear(width, width)})

    def forward(self, states: Tensor) -> Tensor:
        query, key, value = (
            projection(states).unflatten(-1, (-1, HEAD_WIDTH)).transpose(1, 2)
            for projection in self.attention.children()
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        result: Tensor = self.output["dense"](mixed.transpose(1, 2).flatten(2))
        return result


class _LayerScale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.lambda1 = nn.Parameter(torch.ones(width))

    def forward(self, states: Tensor) -> Tensor:
        return states * self.lambda1
