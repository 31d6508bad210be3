"""Open untrusted files of weights."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from stence.errors import WeightsError

LIMIT_BYTES = 8 * 2**30


def content_of(path: Path) -> bytes:
    """Return the file's bytes. Raises WeightsError if it cannot be read or is larger than LIMIT_BYTES."""
    try:
        if path.stat().st_size > LIMIT_BYTES:
            raise WeightsError(f"{path} is larger than {LIMIT_BYTES} bytes, the limit for weights")
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error


def opened(content: bytes, allowed: Sequence[type] = ()) -> Any:
    """Load a file: tensors by name of safetensors, or the saved object of ``torch.save``.

    A pickle may hold tensors, plain containers and objects of the classes ``allowed``. Raises WeightsError
    for a pickle with other objects, which are never created, and for a damaged file.
    """
    try:
        if content[8:9] == b"{":
            return load_safetensors(content)
        with torch.serialization.safe_globals(list(allowed)):
            return torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            "this file is damaged, or a pickle with other objects than weights, which could run code. "
            "It was refused, and nothing in it was run. Get the file that its authors published."
        ) from error
    except (SafetensorError, RuntimeError, ValueError, EOFError, LookupError, AttributeError) as error:
        raise WeightsError(
            f"this file is damaged, or neither in safetensors nor torch.save format ({type(error).__name__})"
        ) from error


def tensors_of(content: Any) -> dict[str, Tensor]:
    """Return ``content`` as contiguous tensors by name. Floating-point tensors become float32.

    Raises WeightsError for other content, and for NaN or infinite numbers.
    """
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise WeightsError("this file does not consist of named tensors only")
    if broken := sorted(name for name, tensor in content.items() if not torch.isfinite(tensor).all()):
        raise WeightsError(f"these weights are not finite: {', '.join(broken)}")
    return {name: _plain(tensor) for name, tensor in content.items()}


def _plain(tensor: Tensor) -> Tensor:
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", dtype, copy=True).contiguous()
