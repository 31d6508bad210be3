"""Every encoder's forward pass, 16 windows on one core, against the plain form of the same mathematics.

python tests/benchmarks/encoders.py [NAME ...]

xECG's plain form is its authors' library: unpack ``xlstm`` somewhere (``pip install --no-deps --target
FOLDER xlstm``) and set PYTHONPATH to it, or the row has no ratio. Both forms run by turns, so the ratio holds
on a busy machine; memory is what a fresh process needs at most beside torch, weights included (Linux only).
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import torch
from encoder import Published as PlainOtis
from torch import Tensor, nn

from stence import encoders
from stence.encoders import Encoder
from stence.encoders.ptacl_blocks import Attention
from stence.encoders.xecg_mlstm import MLstmBlock
from stence.encoders.xecg_slstm import SLstmBlock

BATCH = 16
ROUNDS = 3
CONFIGS = {"ptacl": {"width": 384, "depth": 3, "heads": 6, "hidden": 1536}}
LICENCES = {
    "otis": "MIT (code)",
    "echoing_ecg": "CC BY-NC-ND 4.0",
    "ecgfounder": "MIT (code)",
    "xecg": "MIT",
    "ptacl": "not stated",
}


class PlainAttention(nn.Module):
    """Attention with its maps written out, for all tokens."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, tokens: Tensor, wanted: int | None = None) -> Tensor:
        own = self.attention
        query, key, value = (own._heads(layer(tokens)) for layer in (own.query, own.key, own.value))
        maps = (query @ key.mT / key.shape[-1] ** 0.5).softmax(dim=-1)
        return own.proj((maps @ value).transpose(1, 2).flatten(2))[:, :wanted]


def plain_ptacl(encoder: Encoder) -> nn.Module:
    plain = deepcopy(encoder)
    for block in plain.blocks:
        block.attention = PlainAttention(block.attention)
    return plain


def plain_xecg(encoder: Encoder) -> nn.Module | None:
    """With the library's layers, in the form that needs no GPU, and its masks for 8,000 tokens."""
    if importlib.util.find_spec("xlstm") is None:
        return None
    from xlstm.blocks.mlstm.layer import mLSTMLayer, mLSTMLayerConfig
    from xlstm.blocks.slstm.layer import sLSTMLayer, sLSTMLayerConfig

    plain = deepcopy(encoder)
    for block in plain.blocks:
        weights = block.xlstm.state_dict()
        if isinstance(block, SLstmBlock):
            config = sLSTMLayerConfig(embedding_dim=1024, num_heads=4, backend="vanilla", dtype="float32")
            block.xlstm = sLSTMLayer(config)
            kernel, bias = "slstm_cell._recurrent_kernel_", "slstm_cell._bias_"
            weights[kernel] = weights[kernel].mT
            weights[bias] = weights[bias].view(4, 4, 256).transpose(0, 1).flatten()
        elif isinstance(block, MLstmBlock):
            block.xlstm = mLSTMLayer(mLSTMLayerConfig(embedding_dim=1024, num_heads=4, context_length=8000))
        block.xlstm.load_state_dict(weights)
    return plain.eval()


PLAIN: dict[str, Callable[[Encoder], nn.Module | None]] = {
    "otis": PlainOtis,
    "echoing_ecg": lambda encoder: encoder,  # normalisations and pooling as they are trained
    "ecgfounder": lambda encoder: None,  # there is no other
    "xecg": plain_xecg,
    "ptacl": plain_ptacl,
}


def made(name: str) -> tuple[Encoder, Tensor]:
    """The encoder, its weights random, and what it reads."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    encoder = encoders.build(name, **CONFIGS.get(name, {})).eval()
    return encoder, torch.randn(BATCH, 12, encoder.window_samples)


@torch.inference_mode()
def megabytes(name: str, plain: bool) -> float:
    """What this process, a fresh one, needs at most during a form's forward pass."""
    at_first = kilobytes("VmRSS")
    encoder, windows = made(name)
    form = PLAIN[name](encoder) if plain else encoder.folded()
    del encoder
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far, with two copies, is forgotten
    form(windows)
    return (kilobytes("VmHWM") - at_first) / 1024


def kilobytes(what: str) -> int:
    """This process' memory now (VmRSS) or at its highest (VmHWM); ``getrusage`` would count its parent's."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[what].split()[0])


@torch.inference_mode()
def seconds(form: nn.Module, windows: Tensor) -> float:
    start = time.perf_counter()
    form(windows)
    return time.perf_counter() - start


def row(name: str) -> str:
    encoder, windows = made(name)
    forms = [form for form in (encoder.folded(), PLAIN[name](encoder)) if form is not None]
    with torch.inference_mode():
        results = [form(windows) for form in forms]
    rounds = [[seconds(form, windows) for form in forms] for _ in range(ROUNDS)]
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        memory = [pool.apply(megabytes, (name, plain)) for plain in (False, True)[: len(forms)]]
    parameters = sum(weight.numel() for weight in encoder.parameters())
    beside = f"{'':8} {'':9} {'':9}"
    if len(forms) == 2:
        difference = (results[0] - results[1]).abs().max() / results[1].abs().max()
        beside = f"{medians[1] / medians[0]:6.2f} x {memory[1]:9.0f} {difference:9.0e}"
    return (
        f"{name:12} {parameters:12,} {LICENCES[name]:16} {encoder.window_samples:7} {encoder.size:5} "
        f"{BATCH / medians[0]:7.1f} {memory[0]:7.0f} {beside}"
    )


def main() -> None:
    print(f"{BATCH} windows, one thread, median of {ROUNDS} rounds by turns; memory in MB")
    print(
        f"{'encoder':12} {'parameters':>12} {'licence':16} {'samples':>7} {'size':>5} {'ECG/s':>7} "
        f"{'memory':>7} {'faster':>8} {'its mem.':>9} {'differs':>9}"
    )
    for name in sys.argv[1:] or encoders.ENCODERS:
        print(row(name), flush=True)


if __name__ == "__main__":
    main()
