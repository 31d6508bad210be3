"""Forms of an encoder on a CPU, computed by OpenVINO, which the extra ``stence[cpu]`` installs.

The encoder is converted through ``torch.export``. OpenVINO's telemetry, which would report every use to the
internet, is kept out.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from stence.ecg import LEADS
from stence.encoders import Encoder
from stence.errors import FormError
from stence.inference import cache as kept

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, InferRequest, Model

log = logging.getLogger(__name__)

PRECISIONS = {"fp32-openvino": "f32", "bf16-openvino": "bf16"}
"""OpenVINO's name of the precision in which each form computes."""
INSTALL = "OpenVINO is not installed: pip install 'stence[cpu]'"


def hindrance(form: str) -> str | None:
    """Return why this host cannot compute in one of ``PRECISIONS``, and what to do; None if it can."""
    if find_spec("openvino") is None:
        return INSTALL
    if form == "bf16-openvino" and "BF16" not in _abilities():
        return "this processor has no bf16 (AVX512_BF16 or AMX); choose fp32-openvino or fp32"
    return None


def library() -> str:
    """Return OpenVINO's name and version. Raises FormError if it is not installed."""
    try:
        return f"openvino {version('openvino')}"
    except PackageNotFoundError as error:
        raise FormError(f"{INSTALL}.") from error


def prepare(encoder: Encoder, form: str, windows: int, cache: Path | None) -> OpenVinoEncoder:
    """Convert a folded encoder that reads ``windows`` windows at a time, or read the result in ``cache``.

    Raises FormError if OpenVINO cannot convert it.
    """
    bulk, read_out = encoder.parts()
    shape = (windows, len(LEADS), encoder.window_samples)
    if cache is None:
        return OpenVinoEncoder(_convert(bulk, shape), read_out, form)
    folder = cache / f"{library().replace(' ', '-')}-{windows}"
    model = _read(folder)
    if model is None:
        log.warning("converting the encoder for OpenVINO: it takes seconds to minutes, once a model")
        model = _convert(bulk, shape)
        _keep(model, folder)
    return OpenVinoEncoder(model, read_out, form)


class OpenVinoEncoder(nn.Module):
    """Windows (n, 12, samples) float32 on the CPU -> embeddings (n, size) float32, for the converted n.

    Any number of threads may call it. Each call computes in one thread, so its result depends on the windows
    alone.
    """

    def __init__(self, model: Model, read_out: nn.Module, form: str) -> None:
        super().__init__()
        self._bulk, self._read_out = _compile(model, form), read_out
        self._of_thread = threading.local()

    def forward(self, windows: Tensor) -> Tensor:
        request = self._request()
        request.infer([windows.contiguous().numpy()], share_inputs=True)
        states = [torch.from_numpy(output.data) for output in request.output_tensors]
        embedded: Tensor = self._read_out(*states)
        return embedded.clone()  # the next call of this thread overwrites the states

    def _request(self) -> InferRequest:
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._bulk.create_infer_request()
        return self._of_thread.request


def _core() -> Core:
    """Return OpenVINO's entry, imported without its telemetry, which reports every import to the internet."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # "not installed"
    from openvino import Core  # noqa: PLC0415

    return Core()


def _abilities() -> list[str]:
    return list(_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def _compile(model: Model, form: str) -> CompiledModel:
    """Compile for requests of one thread each; as many may run at once as torch has threads."""
    threads = torch.get_num_threads()
    settings = {
        "INFERENCE_PRECISION_HINT": PRECISIONS[form],
        "NUM_STREAMS": threads,
        "INFERENCE_NUM_THREADS": threads,
    }
    return _core().compile_model(model, "CPU", settings)


def _convert(bulk: nn.Module, shape: tuple[int, ...]) -> Model:
    _core()
    from openvino.frontend import FrontEndManager  # noqa: PLC0415
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder  # noqa: PLC0415

    try:
        program = torch.export.export(bulk, (torch.zeros(shape),))
        with _quiet():
            decoder = TorchFXPythonDecoder.from_exported_program(program)  # must outlive the conversion
        frontend = FrontEndManager().load_by_framework("pytorch")
        return frontend.convert(frontend.load(decoder))
    except Exception as error:  # both libraries raise of all kinds, for what they do not know
        raise FormError(f"OpenVINO cannot convert this encoder, choose the form fp32: {error}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop the frontend's warnings of operations that torch no longer knows; it has no logger of its own."""

    def is_ours(record: logging.LogRecord) -> bool:
        return "openvino" not in record.pathname

    root = logging.getLogger()
    root.addFilter(is_ours)
    try:
        yield
    finally:
        root.removeFilter(is_ours)


def _keep(model: Model, folder: Path) -> None:
    from openvino import serialize  # noqa: PLC0415

    with kept.writing(folder) as unfinished:
        serialize(model, unfinished / "encoder.xml", unfinished / "encoder.bin")


def _read(folder: Path) -> Model | None:
    return _core().read_model(folder / "encoder.xml") if kept.is_unaltered(folder) else None
