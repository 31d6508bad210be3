"""PTACL computes what its file describes in either layout, as transformers' own ViTMAE shows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from stence import encoders
from stence.encoders import Encoder
from stence.encoders.ptacl import check_published
from stence.errors import WeightsError
from support.encoders import assert_close, assert_refuses_misfits, embed, windows
from support.weights import drawn

WIDTH, DEPTH, HEADS = 24, 3, 2
DIMENSIONS = {"width": WIDTH, "depth": DEPTH, "heads": HEADS, "hidden": 4 * WIDTH}
OUTER = {
    "embeddings.cls_token": (1, 1, WIDTH),
    "embeddings.position_embeddings": (1, 601, WIDTH),
    "embeddings.patch_embeddings.projection.weight": (WIDTH, 1, 1, 50),
    "embeddings.patch_embeddings.projection.bias": (WIDTH,),
    "layernorm.weight": (WIDTH,),
    "layernorm.bias": (WIDTH,),
}
LAYER = {
    "attention.attention.query.weight": (WIDTH, WIDTH),
    "attention.attention.key.weight": (WIDTH, WIDTH),
    "attention.attention.value.weight": (WIDTH, WIDTH),
    "attention.output.dense.weight": (WIDTH, WIDTH),
    "attention.output.dense.bias": (WIDTH,),
    "intermediate.dense.weight": (4 * WIDTH, WIDTH),
    "intermediate.dense.bias": (4 * WIDTH,),
    "output.dense.weight": (WIDTH, 4 * WIDTH),
    "output.dense.bias": (WIDTH,),
    "layernorm_before.weight": (WIDTH,),
    "layernorm_before.bias": (WIDTH,),
    "layernorm_after.weight": (WIDTH,),
    "layernorm_after.bias": (WIDTH,),
}
OF_A_LAYOUT = {
    "stock": [f"attention.attention.{part}.bias" for part in ("query", "key", "value")],
    "fork": [
        "attention.attention.q_bias",
        "attention.attention.v_bias",
        "layerscale.layerscale_c",
        "output.layerscale.layerscale_c",
    ],
}
both_layouts = pytest.mark.parametrize("layout", ["stock", "fork"])


def published(layout: str) -> dict[str, Tensor]:
    """A file's weights, as large as they must be for every one to matter."""
    layer = LAYER | dict.fromkeys(OF_A_LAYOUT[layout], (WIDTH,))
    shapes = OUTER | {f"encoder.layer.{n}.{name}": layer[name] for n in range(DEPTH) for name in layer}
    weights = drawn({name: torch.empty(shape) for name, shape in shapes.items()})
    return {
        name: tensor * 20 if name.endswith(("bias", "_c")) else tensor for name, tensor in weights.items()
    }


def as_stock(fork: dict[str, Tensor]) -> dict[str, Tensor]:
    """A fork's function in stock names: a key's bias is 0, and scales multiply the layers before them."""
    stock = {name: tensor for name, tensor in fork.items() if not name.endswith(("_bias", "_c"))}
    for number in range(DEPTH):
        layer = f"encoder.layer.{number}."
        attention = layer + "attention.attention."
        stock[attention + "query.bias"] = fork[attention + "q_bias"]
        stock[attention + "key.bias"] = torch.zeros(WIDTH)
        stock[attention + "value.bias"] = fork[attention + "v_bias"]
        for branch, scale in (("attention.output", "layerscale"), ("output", "output.layerscale")):
            factor = fork[f"{layer}{scale}.layerscale_c"]
            stock[f"{layer}{branch}.dense.weight"] = fork[f"{layer}{branch}.dense.weight"] * factor[:, None]
            stock[f"{layer}{branch}.dense.bias"] = fork[f"{layer}{branch}.dense.bias"] * factor
    return stock


@torch.inference_mode()
def embedded_by_transformers(weights: dict[str, Tensor], inputs: Tensor, folder: Path) -> np.ndarray:
    from transformers import ViTMAEModel

    config = {"model_type": "vit_mae", "hidden_size": WIDTH, "num_hidden_layers": DEPTH, "num_channels": 1}
    config |= {"num_attention_heads": HEADS, "intermediate_size": 4 * WIDTH, "mask_ratio": 0.0}
    config |= {"image_size": [12, 2500], "patch_size": [1, 50]}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    model = ViTMAEModel.from_pretrained(folder).eval()
    return model(inputs[:, None]).last_hidden_state[:, 0].numpy()


def loaded(weights: dict[str, Tensor], **changes) -> Encoder:
    encoder = encoders.build("ptacl", **DIMENSIONS, **changes).eval()
    encoder.load_published(weights)
    return encoder


@both_layouts
def test_equals_transformers_own_model(layout: str, tmp_path: Path) -> None:
    weights = published(layout)
    encoder = loaded(weights)
    stock = weights if layout == "stock" else as_stock(weights)
    expected = embedded_by_transformers(stock, windows(encoder), tmp_path)
    assert_close(embed(encoder, windows(encoder)), expected)
    assert_close(embed(encoder.folded(), windows(encoder)), expected)
    assert encoder.config["layout"] == layout


def test_stock_names_and_shapes_are_those_of_the_published_list(shared: Path) -> None:
    lines = (shared / "encoders/ptacl_keys_template.txt").read_text().splitlines()
    expected = {tuple(line.split("\t")) for line in lines if not line.startswith("#")}
    own = {
        (name, str(tuple(tensor.shape)).replace(str(WIDTH), "384"))
        for name, tensor in published("stock").items()
    }
    assert {(name, shape.replace(str(4 * WIDTH), "1536")) for name, shape in own} == expected


@both_layouts
@pytest.mark.parametrize("missing", ["encoder.layer.2.output.dense.bias", "embeddings.cls_token"])
def test_weights_that_do_not_fit_are_all_named_and_none_is_taken(layout: str, missing: str) -> None:
    encoder = encoders.build("ptacl", **DIMENSIONS)
    assert_refuses_misfits(
        encoder, published(layout), missing, "embeddings.patch_embeddings.projection.weight"
    )
    assert encoder.config["layout"] == "stock"


@both_layouts
def test_a_file_is_checked_without_knowing_its_dimensions(layout: str) -> None:
    check_published(published(layout))
    incomplete = {name: tensor for name, tensor in published(layout).items() if ".layer.1.output" not in name}
    with pytest.raises(WeightsError, match=r"missing: encoder\.layer\.1\.output\.dense\.weight \(24, 96\)"):
        check_published(incomplete)
    for other in ({}, {**published(layout), "embeddings.cls_token": torch.tensor(0.0)}):
        with pytest.raises(WeightsError, match=r"for want of embeddings\.cls_token or "):
            check_published(other)


def test_a_mixture_of_the_layouts_is_refused() -> None:
    mixture = published("stock") | {"encoder.layer.0.layerscale.layerscale_c": torch.ones(WIDTH)}
    with pytest.raises(WeightsError, match=r"unexpected: encoder\.layer\.0\.attention\.attention\.key\.bias"):
        loaded(mixture)


def test_a_file_without_class_token_is_refused() -> None:
    weights = published("fork")
    del weights["embeddings.cls_token"]
    weights["embeddings.position_embeddings"] = torch.zeros(1, 600, WIDTH)
    with pytest.raises(WeightsError) as refusal:
        loaded(weights)
    assert "missing: embeddings.cls_token" in str(refusal.value)
    assert "has shape (1, 600, 24), not (1, 601, 24)" in str(refusal.value)


def test_a_shorter_window_takes_each_leads_first_positions() -> None:
    weights = published("stock")
    rows = torch.arange(601.0)
    weights["embeddings.position_embeddings"] = rows[None, :, None].expand(1, -1, WIDTH)
    positions = loaded(weights, window_samples=1500).state_dict()["positions"][0, :, 0]
    expected = [0, *(1 + 50 * lead + patch for lead in range(12) for patch in range(30))]
    np.testing.assert_array_equal(positions, expected)


def test_positions_learn_in_the_forks_layout_only() -> None:
    for layout, learns in (("stock", False), ("fork", True)):
        assert dict(loaded(published(layout)).named_parameters())["positions"].requires_grad == learns


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 5}, r"width 24 must be a multiple of heads \(5\)"),
        ({"layout": "beit"}, "layout 'beit' must be stock or fork"),
        ({"window_samples": 2510}, "a window of 2510 is no multiple of 50"),
    ],
)
def test_what_cannot_be_built_is_said(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoders.build("ptacl", **{**DIMENSIONS, **changes})


def test_its_dimensions_must_be_given() -> None:
    with pytest.raises(TypeError, match="'width', 'depth', 'heads', and 'hidden'"):
        encoders.build("ptacl")
