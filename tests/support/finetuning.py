"""A tiny DINOv2 whose last blocks can be trained on a CPU, and angiograms as they enter these blocks."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from stence.cohort import Angiograms
from stence.models import FinalBlocks
from stence.models.final_blocks import final_weights
from stence.objects import ObjectStore
from stence.settings import Settings
from stence.weights.dinov2_names import HIDDEN, LAYER, OUTER, PATCH, POSITIONS
from stence.weights.dinov2_names import WIDTH as PUBLISHED_WIDTH
from stence.weights.imported import MANIFEST, WEIGHTS, Manifest
from support.pairs import tiny_pairs
from support.weights import drawn

WIDTH, DEPTH, GRID = 64, 3, 2
SIDE = PATCH * GRID


def tiny_dinov2() -> dict[str, Tensor]:
    """Weights with the names of a DINOv2, with one head, for frames of 2 x 2 patches."""
    shapes = OUTER | {
        f"encoder.layer.{number}.{name}": shape for number in range(DEPTH) for name, shape in LAYER.items()
    }
    smaller = {PUBLISHED_WIDTH: WIDTH, HIDDEN: 4 * WIDTH, POSITIONS: 1 + GRID**2}
    empty = {
        name: torch.empty([smaller.get(size, size) for size in shape], device="meta")
        for name, shape in shapes.items()
    }
    return {name: 25 * each if "lambda1" in name else each for name, each in drawn(empty).items()}


def put_tiny_dinov2(store: ObjectStore, settings: Settings) -> None:
    """Put the tiny network where the imported DINOv2 lies."""
    content, folder = save(tiny_dinov2()), f"{settings.weights_prefix}dinov2-vits14/"
    sha256 = hashlib.sha256(content).hexdigest()
    manifest = Manifest(
        name="dinov2-vits14",
        kind="backbone",
        licence="none",
        source="drawn",
        published_sha256=sha256,
        sha256=sha256,
        parameters=1,
        imported_at=datetime.now(UTC),
    )
    store.put(folder + WEIGHTS, content)
    store.put(folder + MANIFEST, manifest.model_dump_json().encode())


def tiny_blocks(count: int = 1) -> FinalBlocks:
    """The last blocks of the tiny network."""
    return FinalBlocks.load(final_weights(tiny_dinov2(), count))


def entering_states() -> Angiograms:
    """The angiograms of ``tiny_pairs`` as states of WIDTH dimensions, with a class token in front."""
    _, angiograms = tiny_pairs()
    features = angiograms.features
    states = np.zeros((*features.shape[:3], 1 + features.shape[3], WIDTH), np.float16)
    states[..., 1:, : features.shape[4]] = features
    return replace(angiograms, features=states)
