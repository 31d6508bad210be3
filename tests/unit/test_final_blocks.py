"""The last blocks of a DINOv2: they complete the network that was cut off before them, and can be trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stence.angiography.backbones import open_backbone
from stence.angiography.dinov2 import Dinov2
from stence.errors import ConfigurationError
from stence.models import final_blocks
from stence.models.final_blocks import FinalBlocks, final_weights
from stence.objects import LocalStore
from stence.settings import Settings
from support.finetuning import DEPTH, GRID, SIDE, WIDTH, tiny_blocks, tiny_dinov2


def frames(count: int = 3) -> np.ndarray:
    return np.random.default_rng(4).random((count, SIDE, SIDE), dtype=np.float32)


@pytest.mark.parametrize("count", range(1, DEPTH + 1))
def test_cut_anywhere_the_two_parts_are_the_whole_network(count: int) -> None:
    weights = tiny_dinov2()
    whole, first = Dinov2(weights, "tiny", "cpu"), Dinov2(weights, "tiny", "cpu", count)
    assert (whole.version, first.version) == ("tiny", f"tiny-into-block{DEPTH - count}")
    assert (whole.side, whole.tokens, first.tokens) == (SIDE, GRID**2, 1 + GRID**2)
    assert first.initial_blocks is not None
    states = first.features(frames())
    assert states.shape == (3, first.tokens, first.patch_dim) == (3, 1 + GRID**2, WIDTH)
    with torch.inference_mode():
        found = FinalBlocks.load(first.initial_blocks)(torch.from_numpy(states))
    np.testing.assert_allclose(found.numpy(), whole.features(frames()), atol=2e-2)
    assert not np.allclose(states[:, 1:], whole.features(frames()), atol=0.1), "the blocks do nothing"


def test_a_network_has_no_more_blocks_than_it_has() -> None:
    with pytest.raises(ConfigurationError, match=f"finetune_blocks is 4: the backbone has {DEPTH} blocks"):
        Dinov2(tiny_dinov2(), "tiny", "cpu", DEPTH + 1)
    with pytest.raises(ValueError, match="fewer than 4"):
        final_weights(tiny_dinov2(), DEPTH + 1)


def test_a_backbone_without_weights_cannot_be_trained(store: LocalStore, settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="ridges has no weights to train"):
        open_backbone("ridges", store, settings, "cpu", 1)


def test_the_weights_keep_the_names_of_the_networks_file() -> None:
    names = tiny_dinov2().keys()
    assert tiny_blocks(2).state_dict().keys() == {
        name for name in names if ".layer.1." in name or ".layer.2." in name or name.startswith("layernorm")
    }


def test_padding_has_no_features_and_no_effect() -> None:
    blocks = tiny_blocks()
    states = torch.randn(2, 3, 2, 1 + GRID**2, WIDTH, generator=torch.Generator().manual_seed(0))
    views = torch.tensor([3, 1])
    found = blocks.of_views(states, views)
    assert found.shape == (2, 3, 2, GRID**2, WIDTH)
    assert not found[1, 1:].any()
    torch.testing.assert_close(found[1, 0], blocks(states[1, 0]))
    torch.testing.assert_close(found[0], blocks(states[0]))
    states[1, 1:] = torch.nan
    torch.testing.assert_close(blocks.of_views(states, views), found)


def test_the_gradient_does_not_depend_on_how_many_frames_are_computed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states = torch.randn(7, 1 + GRID**2, WIDTH, generator=torch.Generator().manual_seed(0))
    gradients = []
    for together in (2, 100):
        monkeypatch.setattr(final_blocks, "FRAMES_TOGETHER", together)
        blocks = tiny_blocks(2)
        blocks(states).square().sum().backward()
        gradients.append({name: weight.grad for name, weight in blocks.named_parameters()})
    assert all(gradient is not None and gradient.any() for gradient in gradients[0].values())
    torch.testing.assert_close(*gradients)


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return LocalStore(tmp_path_factory.mktemp("store"))
