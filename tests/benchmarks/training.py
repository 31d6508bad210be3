"""Steps of training, forwards and backwards: the published form against stence's, on the same batch.

The published form is the general one: every patch is projected to keys and values in each layer
(``torch.nn.TransformerDecoder``), the ECG encoder computes attention maps and sends all tokens through all
its blocks, and each record's baseline is solved by itself by a general sparse solver. Both start from stored
patch features.

python tests/benchmarks/training.py [THREADS]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from encoder import Published

from stence.ecg import preprocess
from stence.encoders import build
from stence.fitting.losses import pair_loss, stenosis_loss
from stence.models import SegmentMIL, StencePair
from stence.models.angle_embedding import cells
from support.ecgs import heartbeats
from support.solvers import sparse_preprocess

ROUNDS = 5
PATCH_DIM = 384


class PublishedDecoder(nn.Module):
    """A SegmentMIL's queries in a general decoder over projected patches, with the same weights."""

    def __init__(self, segment_mil: SegmentMIL) -> None:
        super().__init__()
        self.of = segment_mil
        width, heads, layers = (segment_mil.config[name] for name in ("embed_dim", "heads", "layers"))
        layer = nn.TransformerDecoderLayer(width, heads, 4 * width, batch_first=True, norm_first=True)
        self.decoder = nn.TransformerDecoder(layer, layers)
        self.decoder.load_state_dict(segment_mil.attention.state_dict())

    def forward(self, tokens: Tensor, views: Tensor, angulations: Tensor, *further: Tensor) -> Tensor:
        primary, secondary = cells(angulations).unbind(-1)
        memory = (
            self.of.projector(tokens.float()) + self.of.pos_embeddings[primary, secondary][:, :, None, None]
        )
        memory = memory.flatten(2, 3)
        padding = torch.arange(tokens.shape[1]) >= views[:, None]
        padding = padding[:, :, None].expand(memory.shape[:3]).flatten(1)
        queries = torch.cat((self.of.query, *further)).expand(len(tokens), -1, -1)
        return self.decoder(queries, memory.flatten(1, 2), memory_key_padding_mask=padding)


@dataclass(frozen=True)
class Case:
    """A size of everything."""

    name: str
    encoder: dict[str, int]
    embed_dim: int
    layers: int
    pairs: int
    views: int
    patches: int


CASES = (
    Case("small", {"width": 64, "depth": 1, "heads": 8}, 64, 1, 64, 4, 64),
    Case("paper", {"width": 192, "depth": 12, "heads": 3}, 512, 2, 4, 4, 1369),
)


class Contest:
    """The two forms of one pair, and a batch for both."""

    def __init__(self, case: Case) -> None:
        torch.manual_seed(0)
        encoder = build("otis", **case.encoder, drop_path=0.0)
        self.pair = StencePair(encoder, SegmentMIL(PATCH_DIM, case.embed_dim, case.layers, dropout=0.0))
        self.encoder = Published(self.pair.encoder)
        self.decoder = PublishedDecoder(self.pair.segment_mil)
        for module in self.decoder.modules():
            if isinstance(module, nn.Dropout | nn.MultiheadAttention):
                module.dropout = module.p = 0.0
        ecg = (heartbeats(1, 3.0) / 1000).astype(np.float32)
        self.ecgs = ecg + 0.01 * np.random.default_rng(0).normal(size=(case.pairs, *ecg.shape)).astype(
            np.float32
        )
        tokens = torch.randn(case.pairs, case.views, 1, case.patches, PATCH_DIM).half()
        views = torch.randint(1, case.views + 1, (case.pairs,))
        self.views = (tokens, views, 80 * torch.rand(case.pairs, case.views, 2) - 40)
        self.targets = torch.randint(2, (case.pairs, 11)).float()

    def published(self, windows: Tensor) -> Tensor:
        found = self.decoder(*self.views, self.pair.query)
        return self._loss(
            self.pair.ecg_projector(self.encoder(windows)),
            self.pair.angiogram_projector(found[:, -1]),
            self.pair.segment_mil.classify(found),
        )

    def stence(self, windows: Tensor) -> Tensor:
        return self._loss(self.pair.ecg(windows), *self.pair.angiogram(*self.views))

    def prepared_one_by_one(self) -> Tensor:
        return torch.from_numpy(np.stack([sparse_preprocess(ecg) for ecg in self.ecgs]).astype(np.float32))

    def prepared(self) -> Tensor:
        return torch.from_numpy(preprocess(self.ecgs))

    def _loss(self, of_ecgs: Tensor, of_angiograms: Tensor, logits: Tensor) -> Tensor:
        pairs = pair_loss(of_ecgs, of_angiograms, torch.arange(len(of_ecgs)))
        return pairs + 0.3 * stenosis_loss(logits, self.targets)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(name: str, published: Callable[[], Tensor], stence: Callable[[], Tensor]) -> None:
    """Medians over rounds in turn, each form once before."""
    difference = (published() - stence()).abs().item()
    rounds = [
        (seconds(lambda: published().backward()), seconds(lambda: stence().backward())) for _ in range(ROUNDS)
    ]
    theirs, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(
        f"{name:44} {theirs:8.3f} s {ours:8.3f} s {theirs / ours:6.1f} x   losses differ by {difference:.0e}"
    )


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    print(f"{torch.get_num_threads()} thread(s), median of {ROUNDS} steps   published     stence")
    for case in CASES:
        contest = Contest(case)
        windows = contest.prepared()
        views = contest.views
        compare(
            f"{case.name}: teacher, {case.pairs} studies",
            lambda c=contest, v=views: stenosis_loss(c.pair.segment_mil.classify(c.decoder(*v)), c.targets),
            lambda c=contest, v=views: stenosis_loss(c.pair.segment_mil(*v), c.targets),
        )
        compare(
            f"{case.name}: pretraining, {case.pairs} pairs",
            lambda c=contest, w=windows: c.published(w),
            lambda c=contest, w=windows: c.stence(w),
        )
        compare(
            f"{case.name}: pretraining with preprocessing",
            lambda c=contest: c.published(c.prepared_one_by_one()),
            lambda c=contest: c.stence(c.prepared()),
        )


if __name__ == "__main__":
    main()
