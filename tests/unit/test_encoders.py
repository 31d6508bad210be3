"""OTiS computes what its authors' code computes, takes their files, and refuses any other by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stence import encoders
from stence.encoders import Encoder
from stence.errors import WeightsError
from support.weights import drawn

SMALL = {"width": 32, "depth": 2, "heads": 2, "window_samples": 240}


def small(**changes) -> Encoder:
    torch.manual_seed(0)
    return encoders.build("otis", **{**SMALL, **changes}).eval()


def windows(count: int = 3, samples: int = 240) -> Tensor:
    return torch.randn(count, 12, samples, generator=torch.Generator().manual_seed(1))


def published_file(encoder: Encoder, lead_rows: int = 39) -> dict[str, Tensor]:
    """Weights as a pre-training checkpoint holds them, beside what only pre-training needs."""
    weights = drawn(encoder.state_dict())
    weights["pos_embed_y.weight"] = torch.arange(float(lead_rows))[:, None].expand(-1, encoder.size // 2) / 10
    return weights | {
        "mask_token": torch.zeros(1, 1, 16),
        "decoder_embed.weight": torch.zeros(16, 32),
        "decoder_blocks.0.mlp.fc1_g.weight": torch.zeros(16, 16),
        "projector.0.weight": torch.zeros(8, 32),
        "predictor.0.weight": torch.zeros(8, 32),
    }


@torch.inference_mode()
def embed(encoder: nn.Module, samples: int = 240) -> np.ndarray:
    return encoder(windows(samples=samples)).numpy()


@pytest.mark.parametrize("form", [lambda otis: otis, lambda otis: otis.folded()], ids=["published", "folded"])
def test_equals_the_published_code(shared: Path, form) -> None:
    otis = encoders.build("otis").eval()
    weights = drawn(otis.state_dict())
    weights["pos_embed_x"] = otis.state_dict()["pos_embed_x"]
    weights["pos_embed_y.weight"][0] = 0
    otis.load_published(weights)
    golden = np.load(shared / "golden/encoders.npz")["otis"]
    ecgs = np.random.default_rng(11).standard_normal((2, 12, 1500)).astype(np.float32)
    with torch.inference_mode():
        result = form(otis)(torch.from_numpy(ecgs)).numpy()
    np.testing.assert_allclose(result, golden, rtol=0, atol=1e-5 * np.abs(golden).max())


def test_weights_have_the_published_names_and_shapes(shared: Path) -> None:
    lines = (shared / "encoders/otis_keys.txt").read_text().splitlines()
    expected = {tuple(line.split("\t")[:2]) for line in lines if not line.startswith("#")}
    own = encoders.build("otis").state_dict()
    assert {(name, str(tuple(tensor.shape))) for name, tensor in own.items()} == expected


@pytest.mark.parametrize(
    ("variant", "numbers"), [("base", 7_130_112), ("large", 42_610_944), ("huge", 127_676_160)]
)
def test_variants_have_the_published_size(variant: str, numbers: int) -> None:
    with torch.device("meta"):
        otis = encoders.build("otis", variant=variant)
    assert sum(tensor.numel() for tensor in otis.state_dict().values()) == numbers


@pytest.mark.parametrize("mlp", ["gelu", "swiglu"])
def test_the_folded_form_equals_the_trained_one_and_leaves_it_alone(mlp: str) -> None:
    otis = small(mlp=mlp)
    otis.load_state_dict(drawn(otis.state_dict()))
    before = embed(otis)
    np.testing.assert_allclose(embed(otis.folded()), before, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(embed(otis), before)
    assert all(weight.requires_grad for weight in otis.parameters())


def test_an_architecture_survives_json() -> None:
    otis = small(mlp_ratio=2.0)
    again = encoders.build("otis", **json.loads(json.dumps(otis.config)))
    again.load_state_dict(otis.state_dict())
    np.testing.assert_array_equal(embed(again.eval()), embed(otis))


@pytest.mark.parametrize(("lead_rows", "first"), [(13, 1), (39, 5)])
def test_leads_take_their_rows_of_the_files_table(lead_rows: int, first: int) -> None:
    otis = small()
    otis.load_published(published_file(otis, lead_rows))
    leads = otis.state_dict()["pos_embed_y.weight"][1:, 0] * 10
    np.testing.assert_allclose(leads, np.arange(first, first + 12))


def test_a_loaded_model_is_saved_and_read_again() -> None:
    otis = small()
    otis.load_published(published_file(otis))
    again = encoders.build("otis", **otis.config).eval()
    again.load_state_dict(otis.state_dict())
    np.testing.assert_array_equal(embed(again), embed(otis))


def test_positions_stretch_to_a_longer_window() -> None:
    otis = small(window_samples=480)
    weights = published_file(otis)
    weights["pos_embed_x"] = torch.arange(11.0)[None, :, None].expand(1, -1, 16)
    otis.load_published(weights)
    positions = otis.state_dict()["pos_embed_x"][0, :, 0]
    assert positions[0] == 0
    np.testing.assert_allclose(positions[1:], np.clip(np.arange(20) / 2 + 0.75, 1, 10))


def test_a_shorter_window_takes_the_first_positions() -> None:
    otis = small()
    weights = published_file(otis)
    weights["pos_embed_x"] = torch.arange(43.0)[None, :, None].expand(1, -1, 16)
    otis.load_published(weights)
    np.testing.assert_array_equal(otis.state_dict()["pos_embed_x"][0, :, 0], np.arange(11))


def test_gated_mlps_are_recognised_by_their_names() -> None:
    gated, otis = small(mlp="swiglu"), small()
    weights = published_file(gated)
    gated.load_published(weights)
    otis.load_published(weights)
    assert otis.config == gated.config
    np.testing.assert_array_equal(embed(otis), embed(gated))


def test_weights_that_do_not_fit_are_all_named_and_none_is_taken() -> None:
    otis = small()
    before = embed(otis)
    weights = published_file(otis, lead_rows=40)
    del weights["blocks.1.attn.mha.in_proj_weight"], weights["cls_token"]
    weights["blocks.0.layerscale"] = torch.zeros(32)
    weights["norm.weight"] = torch.zeros(31)
    with pytest.raises(WeightsError) as refusal:
        otis.load_published(weights)
    assert set(str(refusal.value).splitlines()[1:]) == {
        "  missing: blocks.1.attn.mha.in_proj_weight (96, 32)",
        "  missing: cls_token (1, 1, 32)",
        "  unexpected: blocks.0.layerscale",
        "  norm.weight has shape (31,), not (32,)",
        "  pos_embed_y.weight has shape (40, 16), not (13, 16)",
    }
    np.testing.assert_array_equal(embed(otis), before)


def test_stochastic_depth_acts_in_training_only() -> None:
    otis = small(drop_path=0.5)
    many = windows(64)
    with torch.no_grad():
        assert torch.equal(otis(many), otis(many))
        otis.train()
        assert not torch.equal(otis(many), otis(many))


def test_every_weight_that_is_trained_gets_a_gradient() -> None:
    otis = small().train()
    otis(windows()).square().sum().backward()
    idle = [name for name, weight in otis.named_parameters() if weight.grad is None]
    assert idle == []


def test_windows_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"reads \(n, 12, 240\), got \(3, 12, 250\)"):
        small()(windows(samples=250))


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("otos", {}, "no encoder 'otos'; known: .*otis"),
        ("otis", {"variant": "tiny"}, "no OTiS 'tiny'; published: base, large, huge"),
        ("otis", {"width": 30, "heads": 4}, "width 30 must be a multiple"),
        ("otis", {"mlp": "relu"}, "mlp 'relu' must be one of gelu, swiglu"),
    ],
)
def test_what_cannot_be_built_is_said(name: str, config: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoders.build(name, **config)
