"""Numeric forms in which an encoder can compute: precision and library.

``fp32`` is torch's own and the reference; any device has it. On a GPU the other forms are compiled by torch.
On a CPU they are those of OpenVINO, which the extra ``stence[cpu]`` installs. A form concerns the bulk of the
encoder alone: its read-out (``Encoder.parts``) and the head after it, a few products, stay in fp32.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from stence.encoders import Encoder
from stence.errors import FormError
from stence.inference import cuda_encoder, openvino_encoder

FP32 = "fp32"
FORMS = {
    "cpu": (FP32, *openvino_encoder.PRECISIONS),
    "cuda": (FP32, *cuda_encoder.DTYPES),
}
"""Forms by kind of device, the reference first."""


class Form(NamedTuple):
    """The form of a model on a kind of device.

    ``shift`` (size,) is the mean error of embeddings in this form, which is subtracted; None: unknown.
    ``cache`` is the folder of this model's converted files; None: nothing is kept.
    """

    name: str
    shift: Sequence[float] | None = None
    cache: Path | None = None


class Network(Protocol):
    """A network whose encoder can be replaced, as ``stence.models.risk.InferenceForm``."""

    @property
    def folded(self) -> Encoder:
        """The encoder in fp32, for inference."""

    def with_encoder(self, encoder: nn.Module) -> Self:
        """Return a network that shares everything with this one but the encoder."""


AnyNetwork = TypeVar("AnyNetwork", bound=Network)


def hindrance(form: str, device: str) -> str | None:
    """Return why this host cannot compute in ``form``, and what to do; None if it can.

    >>> hindrance("fp32", "cpu") is None
    True
    >>> hindrance("fp16", "cpu")
    'a cpu has the forms fp32, fp32-openvino, bf16-openvino'
    """
    if form not in FORMS[device]:
        return f"a {device} has the forms {', '.join(FORMS[device])}"
    if form == FP32:
        return None
    return openvino_encoder.hindrance(form) if device == "cpu" else cuda_encoder.hindrance(form)


def available_forms(device: str) -> tuple[str, ...]:
    """Return the forms that this host can compute in on ``cpu`` or ``cuda``, the reference first."""
    return tuple(form for form in FORMS[device] if hindrance(form, device) is None)


def library_of(form: str, device: str) -> str:
    """Return name and version of the library that computes a form, on which its last digits depend."""
    if device == "cpu" and form != FP32:
        return openvino_encoder.library()
    return f"torch {torch.__version__}"


def hardware_of(device: str) -> str:
    """Return the name of this host's GPU or processor."""
    return torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()} {_processor()}"


def prepare_network(network: AnyNetwork, form: str | Form, device: str, windows: int = 3) -> AnyNetwork:
    """Return ``network``, which is on ``device``, with its encoder in ``form``.

    ``windows`` are those of an ECG: a CPU reads one ECG at a time. Raises FormError if this host cannot
    compute in the form, or the encoder cannot be converted.
    """
    form = Form(form) if isinstance(form, str) else form
    if reason := hindrance(form.name, device):
        raise FormError(f"The form {form.name} cannot be used here: {reason}.")
    if form.name == FP32:
        return network
    encoder = _encoder(network.folded, form, device, windows)
    return network.with_encoder(
        encoder if form.shift is None else nn.Sequential(encoder, Shift(form.shift, device))
    )


class Shift(nn.Module):
    """Embeddings (n, size) -> embeddings less their mean error (size,)."""

    def __init__(self, error: Sequence[float], device: str) -> None:
        super().__init__()
        self._error = torch.tensor(error, dtype=torch.float32, device=device)

    def forward(self, embeddings: Tensor) -> Tensor:
        return embeddings - self._error


def _encoder(encoder: Encoder, form: Form, device: str, windows: int) -> nn.Module:
    if device == "cpu":
        return openvino_encoder.prepare(encoder, form.name, windows, form.cache)
    return cuda_encoder.CudaEncoder(encoder, form.name, form.cache)


def _processor() -> str:
    """Return the processor's model, as Linux names it; empty elsewhere."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
