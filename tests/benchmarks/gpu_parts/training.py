"""Steps of training at the paper's size, and DINOv2's features of key frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from gpu_parts.forward import built
from gpu_parts.measuring import Row, Sizes, rate
from stence.angiography.dinov2 import Dinov2
from stence.ecg import preprocess
from stence.fitting.losses import pair_loss, stenosis_loss, tree_loss
from stence.models import RiskModel, SegmentMIL, StencePair

PATCH = 14
STUDIES = 16
ECGS = 64


def teacher(sizes: Sizes, device: str) -> Iterator[Row]:
    """Studies a second of the teacher's training."""
    model = SegmentMIL(sizes.backbone["hidden_size"], **sizes.segment_mil).to(device)
    views, targets = _views(sizes, STUDIES, device), _targets(STUDIES, device)
    steps = rate(_step(model, lambda: stenosis_loss(model(*views), targets), device), device, sizes.seconds)
    yield Row(f"teacher, batch {STUDIES}", STUDIES * steps, "studies/s")


def pretraining(sizes: Sizes, device: str) -> Iterator[Row]:
    """Pairs a second of StenCE's pretraining, and of it with the preparation of the ECGs' crops."""
    segment_mil = SegmentMIL(sizes.backbone["hidden_size"], **sizes.segment_mil)
    pair = StencePair(built(sizes, "OTiS-base"), segment_mil).to(device).train()
    views, targets = _views(sizes, sizes.pairs, device), _targets(sizes.pairs, device)
    crops = np.random.default_rng(0).normal(size=(sizes.pairs, 12, 1500)).astype(np.float32)
    prepared = torch.from_numpy(preprocess(crops)).to(device)

    def loss(windows: Tensor) -> Tensor:
        angiograms, logits = pair.angiogram(*views)
        patients = torch.arange(sizes.pairs, device=device)
        return pair_loss(pair.ecg(windows), angiograms, patients) + 0.3 * stenosis_loss(logits, targets)

    alone = sizes.pairs * rate(_step(pair, lambda: loss(prepared), device), device, sizes.seconds)
    yield Row(f"pretraining, batch {sizes.pairs}", alone, "pairs/s")
    step = _step(pair, lambda: loss(torch.from_numpy(preprocess(crops)).to(device)), device)
    found = sizes.pairs * rate(step, device, sizes.seconds)
    note = f"{100 * found / alone:.0f} % of the step alone"
    yield Row("  with the crops prepared by one core before it", found, "pairs/s", note=note)


def finetuning(sizes: Sizes, device: str) -> Iterator[Row]:
    """ECGs a second of fine-tuning."""
    model = RiskModel(built(sizes, "OTiS-base")).to(device).train()
    windows = torch.randn(ECGS, 12, 1500, device=device)
    answers = torch.randint(2, (ECGS, model.answer.out_features), device=device).float()
    weights = torch.ones(ECGS, device=device)
    step = _step(model, lambda: tree_loss(model(windows).float(), answers, weights, 0.0), device)
    yield Row(f"fine-tuning, batch {ECGS}", ECGS * rate(step, device, sizes.seconds), "ECGs/s")


def dinov2(sizes: Sizes, device: str) -> Iterator[Row]:
    """Frames a second of DINOv2 ViT-S/14's patch features, copies to and from the device included."""
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(**sizes.backbone, image_size=sizes.side, patch_size=PATCH)
    backbone = Dinov2(Dinov2Model(config).state_dict(), "bench", device)
    frames = np.random.default_rng(0).random((16, sizes.side, sizes.side), dtype=np.float32)
    found = len(frames) * rate(lambda: backbone.features(frames), device, sizes.seconds)
    yield Row(f"DINOv2 features, {sizes.side} x {sizes.side}", found, "frames/s")


def _step(model: nn.Module, loss: Callable[[], Tensor], device: str) -> Callable[[], None]:
    """A step as ``stence.fitting.loop`` takes it: in bf16 where a GPU can, without scaling."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-6)

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            value = loss()
        value.backward()
        optimiser.step()

    return step


def _views(sizes: Sizes, studies: int, device: str) -> tuple[Tensor, Tensor, Tensor]:
    patches = (sizes.side // PATCH) ** 2
    shape = (studies, sizes.views, 1, patches, sizes.backbone["hidden_size"])
    tokens = torch.randn(shape, device=device, dtype=torch.float16)
    views = torch.randint(1, sizes.views + 1, (studies,), device=device)
    return tokens, views, 80 * torch.rand(studies, sizes.views, 2, device=device) - 40


def _targets(studies: int, device: str) -> Tensor:
    return torch.randint(2, (studies, 11), device=device).float()
