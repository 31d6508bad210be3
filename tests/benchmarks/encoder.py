"""Forward pass of OTiS-base, 16 windows: the published form against the folded one with fused attention.

python tests/benchmarks/encoder.py [THREADS]
"""

from __future__ import annotations

import statistics
import sys
import time

import torch
from torch import Tensor, nn

from stence.encoders import Encoder, build
from stence.encoders.attention import DoubleAttention

BATCH = 16
ROUNDS = 5


class Published(nn.Module):
    """As the published code computes: both projections, attention maps, all tokens through all blocks."""

    def __init__(self, otis: Encoder) -> None:
        super().__init__()
        self.otis = otis

    def forward(self, windows: Tensor) -> Tensor:
        tokens = self.otis._tokens(windows)
        for block in self.otis.blocks:
            tokens = tokens + self.attend(block.attn, block.norm1(tokens))
            tokens = tokens + block.mlp(block.norm2(tokens))
        return self.otis.norm(tokens)[:, 0]

    def attend(self, attention: DoubleAttention, tokens: Tensor) -> Tensor:
        query, key, value = attention.qkv(tokens).chunk(3, dim=-1)
        attended, _maps = attention.mha(query, key, value)
        return attention.proj(attended)


@torch.inference_mode()
def seconds(model: nn.Module, windows: Tensor) -> float:
    start = time.perf_counter()
    model(windows)
    return time.perf_counter() - start


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    torch.manual_seed(0)
    otis = build("otis").eval()
    windows = torch.randn(BATCH, 12, otis.window_samples)
    forms = {"published form": Published(otis), "training form": otis, "folded, fused": otis.folded()}
    with torch.inference_mode():
        reference = forms["published form"](windows)
        differences = [(form(windows) - reference).abs().max().item() for form in forms.values()]
    rounds = [[seconds(form, windows) for form in forms.values()] for _ in range(ROUNDS)]
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    print(f"OTiS-base, {BATCH} windows, {torch.get_num_threads()} thread(s), median of {ROUNDS} rounds")
    for name, median, difference in zip(forms, medians, differences, strict=True):
        print(
            f"{name:15} {median:7.3f} s   {medians[0] / median:5.2f} x   greatest difference {difference:.1e}"
        )


if __name__ == "__main__":
    main()
