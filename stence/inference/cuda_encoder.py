"""Forms of an encoder on a GPU, compiled by torch. They were written without a GPU at hand."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn

from stence.discretion import plain
from stence.encoders import Encoder

log = logging.getLogger(__name__)

DTYPES = {"tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""Type of the bulk's weights and activations by form; ``tf32`` rounds the factors of products only."""


def hindrance(form: str) -> str | None:
    """Return why torch cannot compute in ``form`` on this host's GPU; None if it can."""
    if not torch.cuda.is_available():
        return "torch sees no GPU: check the driver and the torch build"
    if form in ("tf32", "bf16") and torch.cuda.get_device_capability() < (8, 0):
        return f"{torch.cuda.get_device_name()} has no {form}: GPUs since 2020 (Ampere) do"
    return None


class CudaEncoder(nn.Module):
    """Windows (n, 12, samples) float32 -> embeddings (n, size) float32; the bulk computes in a form.

    The first call compiles both parts for its shape, which takes up to minutes. ``cache`` keeps what was
    compiled for later processes.
    """

    def __init__(self, encoder: Encoder, form: str, cache: Path | None = None) -> None:
        super().__init__()
        self._form, self._dtype = form, DTYPES[form]
        bulk, read_out = encoder.parts()
        self._bulk = torch.compile(deepcopy(bulk).to(self._dtype), dynamic=False)
        self._read_out = torch.compile(read_out, dynamic=False)
        self._is_compiled = False
        if cache is not None:
            _keep_compiled(cache)

    def forward(self, windows: Tensor) -> Tensor:
        if not self._is_compiled:
            log.warning(
                "compiling the encoder in %s for the GPU; the first time takes minutes", plain(self._form)
            )
            self._is_compiled = True
        with _products_in_tf32(self._form == "tf32"):
            states = self._bulk(windows.to(self._dtype))
        embedded: Tensor = self._read_out(*states).float()
        return embedded


def _keep_compiled(folder: Path) -> None:
    """Let torch keep compiled kernels in ``folder``, which belongs to this account alone."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "inductor")
    os.environ["TRITON_CACHE_DIR"] = str(folder / "triton")


@contextmanager
def _products_in_tf32(wanted: bool) -> Iterator[None]:
    """Allow TF32 in matrix products and convolutions that are launched within the context."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = wanted
    try:
        with torch.backends.cudnn.flags(allow_tf32=wanted):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
