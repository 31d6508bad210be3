"""Backbone DINOv2 ViT-S/14 (Oquab et al., arXiv 2304.07193), from weights imported into the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stence import weights
from stence.angiography.backbone import check_frames
from stence.errors import WeightsError
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


def open_dinov2(store: ObjectStore, settings: Settings, device: str, name: str = DINOV2) -> Dinov2:
    """Load the imported DINOv2, or that of the imported teacher ``name``, on ``device``.

    Raises WeightsError if it is missing or altered.
    """
    manifest = weights.read_manifest(store, settings, name)
    tensors = weights.read(store, settings, name)
    if name != DINOV2 and not (tensors := backbone_of(tensors)):
        raise WeightsError(f"the file imported as {name} has no backbone: set backbone: {DINOV2}")
    return Dinov2(tensors, f"{name}-{manifest.sha256[:8]}", device)


class Dinov2:
    """See Backbone; the features are the patch tokens after the final layer norm.

    Raises WeightsError if ``tensors`` are not the weights of a DINOv2 ViT-S/14.
    """

    patch_dim = published.WIDTH
    side = published.SIDE
    tokens = published.POSITIONS - 1

    def __init__(self, tensors: Mapping[str, Tensor], version: str, device: str) -> None:
        self.version = version
        self._device = device
        self._network = _built(tensors).to(device)

    def features(self, frames: NDArray[np.float32]) -> NDArray[np.float16]:
        """Compute patch features (n, 1369, 384) of frames (n, 518, 518)."""
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
        return tokens[:, 1:].half().cpu()


def _built(tensors: Mapping[str, Tensor]) -> torch.nn.Module:
    """Build the network. Versions of transformers name its parts differently and rename weights on load."""
    from transformers import Dinov2Config, Dinov2Model  # noqa: PLC0415 -- takes seconds
    from transformers.utils import logging  # noqa: PLC0415

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    config = Dinov2Config(
        hidden_size=published.WIDTH,
        num_hidden_layers=published.DEPTH,
        num_attention_heads=published.HEADS,
        patch_size=published.PATCH,
        image_size=published.SIDE,
    )
    loaded: Any = Dinov2Model.from_pretrained(
        None, config=config, state_dict=dict(tensors), output_loading_info=True
    )
    network, found = loaded
    if misfits := sorted({str(misfit) for kind in found.values() for misfit in kind}):
        raise WeightsError(f"the weights in the store do not fit DINOv2: {', '.join(misfits)}")
    module: torch.nn.Module = network.eval().requires_grad_(False)
    return module
