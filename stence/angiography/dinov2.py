"""Backbone DINOv2 (Oquab et al., arXiv 2304.07193), from weights imported into the store.

Whole, it computes patch features. Without its last blocks, which the teacher then trains, it computes the
states of the tokens that enter the first of them; they are cached as features are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stence import weights
from stence.angiography.backbone import check_frames
from stence.errors import ConfigurationError, WeightsError
from stence.models.final_blocks import HEAD_WIDTH, depth_of, final_weights, is_final_norm
from stence.weights import dinov2_names as published
from stence.weights.published import DINOV2
from stence.weights.segment_mil_names import backbone_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stence.objects import ObjectStore
    from stence.settings import Settings

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
BLOCKS = {"cpu": 1, "cuda": 8}
"""Batch size of the network, by device. The last batch is padded with zeros to this size, because matrix
products of other shapes round differently."""


def open_dinov2(
    store: ObjectStore, settings: Settings, device: str, name: str = DINOV2, trained_blocks: int = 0
) -> Dinov2:
    """Load the imported DINOv2, or that of the imported teacher ``name``, on ``device``.

    Raises WeightsError if it is missing or altered, ConfigurationError for more blocks than it has.
    """
    manifest = weights.read_manifest(store, settings, name)
    tensors = weights.read(store, settings, name)
    if name != DINOV2 and not (tensors := backbone_of(tensors)):
        raise WeightsError(f"the file imported as {name} has no backbone: set backbone: {DINOV2}")
    return Dinov2(tensors, f"{name}-{manifest.sha256[:8]}", device, trained_blocks)


class Dinov2:
    """See Backbone; the features are the patch tokens after the final layer norm.

    With ``trained_blocks``, they are the states (n, 1 + patches, width) that enter the last so many blocks,
    the class token first. The dimensions are those of ``tensors``. Raises WeightsError if these are not the
    weights of a DINOv2, ConfigurationError for more blocks than it has.
    """

    def __init__(
        self, tensors: Mapping[str, Tensor], version: str, device: str, trained_blocks: int = 0
    ) -> None:
        blocks = depth_of(tensors) - trained_blocks
        if blocks < 0:
            raise ConfigurationError(
                f"teacher.finetune_blocks is {trained_blocks}: the backbone has {depth_of(tensors)} blocks."
            )
        self.version = f"{version}-into-block{blocks}" if trained_blocks else version
        self.initial_blocks = final_weights(tensors, trained_blocks) if trained_blocks else None
        projection = tensors["embeddings.patch_embeddings.projection.weight"]
        positions = tensors["embeddings.position_embeddings"].shape[1]
        self.patch_dim = len(projection)
        self.side = math.isqrt(positions - 1) * projection.shape[-1]
        self.tokens = positions if trained_blocks else positions - 1
        self._device = device
        self._network = _built(_first_blocks(tensors, blocks), self.patch_dim, blocks, self.side)
        if trained_blocks:
            self._network.layernorm = torch.nn.Identity()
        self._network.to(device)

    def features(self, frames: NDArray[np.float32]) -> NDArray[np.float16]:
        """Compute features (n, tokens, patch_dim) of frames (n, side, side): of ViT-S/14 (n, 1369, 384)."""
        check_frames(frames, self.side)
        size = BLOCKS[torch.device(self._device).type]
        features = np.empty((len(frames), self.tokens, self.patch_dim), dtype=np.float16)
        for start in range(0, len(frames), size):
            part = frames[start : start + size]
            block = np.zeros((size, self.side, self.side), dtype=np.float32)
            block[: len(part)] = part
            features[start : start + size] = self._block(torch.from_numpy(block))[: len(part)].numpy()
        return features

    @torch.inference_mode()
    def _block(self, frames: Tensor) -> Tensor:
        """Compute the features of one batch in float32; return float16 on the CPU."""
        grey = frames.to(self._device)[:, None]
        mean, std = (grey.new_tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
        tokens: Tensor = self._network((grey - mean) / std).last_hidden_state
        return tokens[:, -self.tokens :].half().cpu()


def _first_blocks(tensors: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """Return the weights without those of the blocks from number ``count`` on."""
    left_out = final_weights(tensors, depth_of(tensors) - count)
    return {name: each for name, each in tensors.items() if name not in left_out or is_final_norm(name)}


def _built(tensors: Mapping[str, Tensor], width: int, blocks: int, side: int) -> torch.nn.Module:
    """Build the network. Versions of transformers name its parts differently and rename weights on load."""
    from transformers import Dinov2Config, Dinov2Model  # noqa: PLC0415 -- takes seconds
    from transformers.utils import logging  # noqa: PLC0415

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    config = Dinov2Config(
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=width // HEAD_WIDTH,
        patch_size=published.PATCH,
        image_size=side,
    )
    loaded: Any = Dinov2Model.from_pretrained(
        None, config=config, state_dict=dict(tensors), output_loading_info=True
    )
    network, found = loaded
    if misfits := sorted({str(misfit) for kind in found.values() for misfit in kind}):
        raise WeightsError(f"the weights in the store do not fit DINOv2: {', '.join(misfits)}")
    module: torch.nn.Module = network.eval().requires_grad_(False)
    return module
