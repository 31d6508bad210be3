"""The roofline of the device, and each encoder in each form beside its published form."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from encoder import Published
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gpu_parts import forms
from gpu_parts.measuring import WINDOWS, Row, Sizes, rate
from stence import encoders
from stence.encoders import Encoder
from stence.models import RiskModel
from stence.models.risk import InferenceForm

PUBLISHED_BATCH = 20
COMPARED = 2
"""ECGs whose embeddings are compared."""
COPIED_BYTES = 2**30
LARGEST_ERROR = {"fp32": 1e-4, "tf32": 5e-3, "fp16": 5e-3, "bf16": 3e-2}
"""Relative error of a GPU's embeddings against fp32 on the CPU."""
WINDOWS_A_SECOND = {"H100": 20_000, "H200": 20_000}
TIMES_PUBLISHED = 15


def roofline(sizes: Sizes, device: str) -> Iterator[Row]:
    """Matrix products, and copies within the memory and to the device, that the device reaches."""
    for kind in (torch.bfloat16, torch.float32):
        left, right = (torch.randn(sizes.square, sizes.square, device=device, dtype=kind) for _ in range(2))
        products = rate(lambda a=left, b=right: a @ b, device, sizes.seconds)
        name = str(kind).removeprefix("torch.")
        yield Row(f"matrix product, {name}", 2 * sizes.square**3 * products / 1e12, "TFLOP/s")
    size = COPIED_BYTES if device == "cuda" else 2**20
    source, target = (torch.empty(size, dtype=torch.uint8, device=device) for _ in range(2))
    copies = rate(lambda: target.copy_(source), device, sizes.seconds)
    yield Row("copy within the device's memory, read and written", 2 * size * copies / 1e9, "GB/s")
    for pinned in (True, False) if device == "cuda" else ():
        source = torch.empty(size // 4, dtype=torch.uint8, pin_memory=pinned)
        copies = rate(lambda s=source: s.to(device, non_blocking=True), device, sizes.seconds)
        name = "pinned" if pinned else "pageable"
        yield Row(f"copy to the device, {name}", size / 4 * copies / 1e9, "GB/s")


def forward(sizes: Sizes, device: str, names: tuple[str, ...]) -> Iterator[Row]:
    """Windows a second of some encoders in each form; embeddings against those of fp32 on the CPU."""
    for name in names:
        encoder = built(sizes, name)
        baseline = yield from _published(name, encoder, sizes, device)
        ecgs = torch.randn(sizes.block, WINDOWS, 12, encoder.window_samples)
        expected = _embedded(InferenceForm(RiskModel(encoder)), ecgs[:COMPARED])
        operations = _operations(encoder)
        for form in forms.names(device):
            network = forms.network(RiskModel(encoder), form, device)
            found = _embedded(network, ecgs.to(device))[:COMPARED]
            error = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
            yield Row(
                f"{name}, {form}: error against the CPU",
                error,
                "relative",
                LARGEST_ERROR.get(form, 3e-2),
                True,
            )
            windows = _windows_a_second(network, ecgs.to(device), sizes, device)
            aims = name == "OTiS-base" and form == forms.default(device)
            note = f"{windows * operations / 1e12:.1f} TFLOP/s, {windows / baseline:.2f} x the published form"
            yield Row(f"{name}, {form}", windows, "windows/s", aim_of(device) if aims else None, note=note)
            if aims and aim_of(device):
                yield Row(
                    f"{name}, {form}: times the published form", windows / baseline, "x", TIMES_PUBLISHED
                )


def built(sizes: Sizes, name: str) -> Encoder:
    """An encoder with random weights, the same at every call."""
    torch.manual_seed(0)
    return encoders.build(**sizes.encoders[name]).eval()


def aim_of(device: str) -> float | None:
    """Windows a second that OTiS-base has to reach on this device; None: there is no aim for it."""
    if device == "cpu":
        return None
    found = torch.cuda.get_device_name()
    return next((aim for name, aim in WINDOWS_A_SECOND.items() if name in found), None)


def _published(name: str, encoder: Encoder, sizes: Sizes, device: str) -> Iterator[Row]:
    """Windows a second of the encoder as it is trained, in fp32, 20 windows a call. Returns them too."""
    model: nn.Module = Published(encoder) if name.startswith("OTiS") else encoder
    model = model.to(device)
    windows = torch.randn(PUBLISHED_BATCH, 12, encoder.window_samples, device=device)

    @torch.inference_mode()
    def work() -> Tensor:
        return model(windows)

    found = PUBLISHED_BATCH * rate(work, device, sizes.seconds)
    model.cpu()
    yield Row(f"{name}, published form, fp32, batch {PUBLISHED_BATCH}", found, "windows/s")
    return found


def _embedded(network: InferenceForm, ecgs: Tensor) -> np.ndarray:
    return network.embed_and_answer(ecgs)[0].float().cpu().numpy()


def _windows_a_second(network: InferenceForm, ecgs: Tensor, sizes: Sizes, device: str) -> float:
    return ecgs.shape[0] * WINDOWS * rate(lambda: network.embed_and_answer(ecgs), device, sizes.seconds)


@torch.inference_mode()
def _operations(encoder: Encoder) -> float:
    """Floating-point operations of a window in matrix products and convolutions, as the form is folded."""
    with (
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):  # fused kernels do not count
        encoder.folded()(torch.randn(1, 12, encoder.window_samples))
    return counter.get_total_flops()
