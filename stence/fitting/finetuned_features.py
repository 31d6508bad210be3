"""Patch features of a cohort's angiograms by the backbone that was fine-tuned with the teacher."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stence.cohort.angiograms import FEATURES, INDEX, read_angiograms
from stence.files import write_json
from stence.models import FinalBlocks
from stence.progress import Progress


def write_finetuned_features(
    states: Path, backbone: FinalBlocks, device: str, folder: Path, progress: Progress
) -> None:
    """Write the features of the angiograms in ``states`` into ``folder``.

    ``states`` holds what enters the trained blocks ``backbone``; ``folder`` then holds the same angiograms
    with their patch features. One view is in memory at a time. What is there of an earlier run stays.
    """
    folder.mkdir(exist_ok=True, mode=0o700)
    entering, backbone = read_angiograms(states).features, backbone.to(device).eval()
    versions, frames, tokens, width = entering.shape[1:]
    shape = (versions, frames, tokens - 1, width)  # without the class token
    done = _whole_views(folder / FEATURES, 2 * math.prod(shape))
    with (folder / FEATURES).open("ab") as file:
        for row in range(done, len(entering)):
            file.write(_features(backbone, entering[row], device).data)
            progress("fine-tuned features", row + 1, len(entering))
        file.flush()
        os.fsync(file.fileno())
    index = json.loads((states / INDEX).read_text())
    write_json(folder / INDEX, index | {"shape": shape})


def _whole_views(file: Path, view_bytes: int) -> int:
    """Return the number of whole views in the file; part of a view is cut off."""
    if not file.exists():
        return 0
    views = file.stat().st_size // view_bytes
    os.truncate(file, views * view_bytes)
    return views


@torch.inference_mode()
def _features(backbone: FinalBlocks, states: NDArray[np.float16], device: str) -> NDArray[np.float16]:
    entering = torch.from_numpy(np.array(states)).to(device)
    features: NDArray[np.float16] = backbone(entering).half().cpu().numpy()
    return features
