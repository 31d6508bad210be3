"""Numeric forms in which an encoder can compute: precision and library.

``fp32`` is torch's own and the reference; any device has it. On a GPU the other forms are compiled by torch.
On a CPU they are those of OpenVINO, which the extra ``stence[cpu]`` installs. A form concerns the encoder
alone: the head after it, a few products, stays in fp32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self, TypeVar

import torch
from torch import nn

from stence.errors import FormError
from stence.inference import openvino_encoder
from stence.inference.cuda_encoder import CudaEncoder, cuda_hindrance

FP32 = "fp32"
FORMS = {
    "cpu": (FP32, *openvino_encoder.PRECISIONS),
    "cuda": (FP32, "tf32", "fp16", "bf16"),
}
"""Forms by kind of device, the reference first."""


class Network(Protocol):
    """A network whose encoder can be replaced, as ``stence.models.risk.InferenceForm``."""

    @property
    def encoder(self) -> nn.Module:
        """Windows (n, 12, samples) float32 -> embeddings (n, size) float32."""

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
    return openvino_encoder.hindrance(form) if device == "cpu" else cuda_hindrance(form)


def available_forms(device: str) -> tuple[str, ...]:
    """Return the forms that this host can compute in on ``cpu`` or ``cuda``, the reference first."""
    return tuple(form for form in FORMS[device] if hindrance(form, device) is None)


def library_of(form: str, device: str) -> str:
    """Return name and version of the library that computes a form, on which its last digits depend."""
    if device == "cpu" and form != FP32:
        return openvino_encoder.library()
    return f"torch {torch.__version__}"


def prepare_network(
    network: AnyNetwork, form: str, device: str, *, windows: int = 3, cache: Path | None = None
) -> AnyNetwork:
    """Return ``network``, which is on ``device``, with its encoder in ``form``.

    ``windows`` are those of an ECG: a CPU reads one ECG at a time. ``cache`` is the folder of this encoder's
    converted files, which are made anew where they are missing or altered; None: nothing is kept.
    Raises FormError if this host cannot compute in the form, or the encoder cannot be converted.
    """
    if reason := hindrance(form, device):
        raise FormError(f"The form {form} cannot be used here: {reason}.")
    if form == FP32:
        return network
    if device == "cpu":
        return network.with_encoder(openvino_encoder.prepare(network.encoder, form, windows, cache))
    return network.with_encoder(CudaEncoder(network.encoder, form, cache))
