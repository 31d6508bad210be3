"""ECGFounder computes what its authors' code computes, takes their file, and refuses any other by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stence import encoders
from support.encoders import assert_close, assert_refuses_misfits, embed, small
from support.weights import drawn, listed, noise


@pytest.fixture(scope="module")
def published(shared: Path) -> dict[str, Tensor]:
    return drawn(listed(shared / "encoders/ecgfounder_keys.txt"))


def test_equals_the_published_code(shared: Path, published: dict[str, Tensor]) -> None:
    encoder = encoders.build("ecgfounder").eval()
    encoder.load_published(published)
    golden = np.load(shared / "golden/encoders.npz")["ecgfounder"]
    assert_close(embed(encoder, noise(2, 12, 1500)), golden)


def test_ten_seconds_and_the_published_last_layer_give_its_diagnoses(
    shared: Path, published: dict[str, Tensor]
) -> None:
    encoder = encoders.build("ecgfounder", window_samples=5000).eval()
    encoder.load_published(published)
    embeddings = embed(encoder, noise(2, 12, 5000))
    logits = embeddings @ published["dense.weight"].numpy().T + published["dense.bias"].numpy()
    assert_close(logits, np.load(shared / "golden/encoders.npz")["ecgfounder_logits"])


def test_has_the_published_size() -> None:
    with torch.device("meta"):
        encoder = encoders.build("ecgfounder")
    assert sum(weight.numel() for weight in encoder.parameters()) == 30_598_896


@pytest.mark.parametrize(
    "missing", ["stage_list.6.block_list.3.se_fc2.bias", "stage_list.0.block_list.1.bn2.running_var"]
)
def test_weights_that_do_not_fit_are_all_named_and_none_is_taken(
    published: dict[str, Tensor], missing: str
) -> None:
    assert_refuses_misfits(encoders.build("ecgfounder"), published, missing, "first_conv.conv.weight")


def test_the_shortcuts_last_maximum_of_an_odd_length_is_at_least_zero() -> None:
    shortcut = small("ecgfounder").stage_list[0].block_list[0]._shortcut
    odd = -torch.ones(1, 16, 5)
    assert shortcut(odd)[0, 0].tolist() == [-1, -1, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": [1]}, "2 widths for 1 stages"),
        ({"widths": [16, 24]}, r"widths \(16, 24\) must be multiples of 16"),
        ({"widths": [32, 16]}, "as wide as the one before it, or wider"),
    ],
)
def test_what_cannot_be_built_is_said(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small("ecgfounder", **changes)
