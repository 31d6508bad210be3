"""xECG computes what its authors' code computes, takes their file, and refuses any other by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stence import encoders
from stence.encoders.xecg_mlstm import recall
from stence.encoders.xecg_slstm import Cell
from stence.errors import WeightsError
from support.encoders import assert_close, assert_refuses_misfits, embed, small, windows
from support.weights import drawn, listed, noise

KERNEL = "core.model.blocks.0.xlstm.slstm_cell._recurrent_kernel_"


@pytest.fixture(scope="module")
def published(shared: Path) -> dict[str, Tensor]:
    weights = drawn(listed(shared / "encoders/xecg_keys.txt"))
    return {name: tensor - 1 if "norm" in name else tensor for name, tensor in weights.items()}


@pytest.mark.slow
def test_equals_the_published_code(shared: Path, published: dict[str, Tensor]) -> None:
    encoder = encoders.build("xecg", window_samples=1000).eval()
    encoder.load_published(published)
    golden = np.load(shared / "golden/encoders.npz")["xecg"]
    assert_close(embed(encoder, noise(2, 1000, 12).mT.contiguous()), golden)


def test_has_the_published_size() -> None:
    with torch.device("meta"):
        encoder = encoders.build("xecg")
    assert sum(weight.numel() for weight in encoder.parameters()) == 57_021_472 - 1024  # the mask token


@pytest.mark.parametrize("missing", ["core.model.blocks.8.ffn.proj_up.weight", "mask_token"])
def test_weights_that_do_not_fit_are_all_named_and_none_is_taken(
    published: dict[str, Tensor], missing: str
) -> None:
    assert_refuses_misfits(encoders.build("xecg"), published, missing, "patch_embedding.conv.weight")


def test_the_other_layout_of_the_recurrence_is_refused(published: dict[str, Tensor]) -> None:
    other = {name: tensor.mT if name.endswith("kernel_") else tensor for name, tensor in published.items()}
    with pytest.raises(WeightsError, match=rf"{KERNEL} has shape \(4, 1024, 256\), not \(4, 256, 1024\)"):
        encoders.build("xecg").load_published(other)


def test_patches_that_begin_with_zero_in_all_leads_are_not_in_the_mean() -> None:
    encoder = small("xecg", blocks="m")  # one causal block: what comes later changes no earlier token
    whole = windows(encoder)
    padded = whole.clone()
    padded[..., 125:] = 0
    half = small("xecg", blocks="m", window_samples=125)
    half.load_state_dict(encoder.state_dict())
    assert_close(embed(encoder, padded), embed(half, whole[..., :125]))
    np.testing.assert_array_equal(embed(encoder, torch.zeros_like(whole)), 0)


def test_every_other_block_reads_backwards() -> None:
    encoder = small("xecg", blocks="sm")
    swapped = small("xecg", blocks="sm")
    swapped.load_state_dict(encoder.state_dict())
    tokens = encoder.patch_embedding(windows(encoder))
    with torch.inference_mode():
        first, second = encoder.blocks
        expected = second(first(tokens).flip(1)).mean(dim=1)
    assert_close(embed(encoder, windows(encoder)), expected.numpy())


def test_the_recurrence_is_the_one_of_its_equations() -> None:
    torch.manual_seed(0)
    cell, inputs = Cell(heads=2, width=3), 3 * torch.randn(2, 4, 7, 12)
    torch.nn.init.normal_(cell._recurrent_kernel_)
    kernel, bias = cell._recurrent_kernel_.detach().double(), cell._bias_.detach().double().view(2, 1, 12)
    y = c = n = torch.zeros(2, 4, 3, dtype=torch.float64)
    for t in range(7):
        i, f, z, o = (inputs[:, :, t].double() + bias + y @ kernel).split(3, dim=-1)
        c = f.sigmoid() * c + i.exp() * z.tanh()
        n = f.sigmoid() * n + i.exp()
        y = o.sigmoid() * c / n
        torch.testing.assert_close(cell(inputs)[:, :, t].double(), y, rtol=0, atol=1e-5)


def test_reading_all_tokens_at_once_equals_updating_a_memory() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 1, 1, 9, 5, dtype=torch.float64)
    enters, keeps = 2 * torch.randn(2, 1, 1, 9, dtype=torch.float64)
    memory, normaliser = torch.zeros(5, 5, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
    expected = []
    for t in range(9):
        keep, enter, k = keeps[0, 0, t].sigmoid(), enters[0, 0, t].exp(), key[0, 0, t] / 5**0.5
        memory = keep * memory + enter * torch.outer(value[0, 0, t], k)
        normaliser = keep * normaliser + enter * k
        q = query[0, 0, t]
        expected.append(memory @ q / max(float((normaliser @ q).abs()), 1.0))
    read = recall(query, key, value, enters, keeps)[0, 0]
    assert_close(read.numpy(), torch.stack(expected).numpy())


def test_extreme_gates_do_not_overflow() -> None:
    gates = 500 * torch.randn(2, 1, 1, 30, generator=torch.Generator().manual_seed(0))
    assert recall(*torch.randn(3, 1, 1, 30, 4), *gates).isfinite().all()
    assert Cell(2, 3)(500 * torch.randn(2, 4, 30, 12)).isfinite().all()


def test_half_precision_keeps_the_state_in_full() -> None:
    encoder = small("xecg")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = embed(encoder, windows(encoder))
    assert_close(half, embed(encoder, windows(encoder)), share=0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 18, "heads": 4}, r"width 18 must be a multiple of heads \(4\) and of 4"),
        ({"blocks": "slm"}, "blocks 'slm' must be a word of the letters s and m"),
        ({"window_samples": 240}, "a window of 240 is no multiple of 25"),
    ],
)
def test_what_cannot_be_built_is_said(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small("xecg", **changes)
