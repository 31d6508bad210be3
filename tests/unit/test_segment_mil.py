"""SegmentMIL computes what its authors' code computes, takes their files, and refuses any other by name."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stence.errors import WeightsError
from stence.models import ANGIOGRAPHIC_TARGETS, SegmentMIL, angiographic_targets
from stence.models.angle_embedding import angle_table, cells


def small(**changes: int) -> SegmentMIL:
    torch.manual_seed(0)
    return SegmentMIL(**{"patch_dim": 20, "embed_dim": 16, "layers": 2, "heads": 2} | changes).eval()


def studies(seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Three studies of 4, 1 and 3 views of 5 patches."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(3, 4, 1, 5, 20, generator=generator)
    return tokens, torch.tensor([4, 1, 3]), 60 * torch.rand(3, 4, 2, generator=generator) - 30


def drawn(shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    """Weights drawn from their names, as the golden numbers were made with."""
    weights = {}
    for name, shape in shapes.items():
        values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
        if "norm" in name and name.endswith("weight"):
            values = 1 + 0.1 * values
        else:
            values = values / np.sqrt(shape[-1]) if len(shape) > 1 else 0.02 * values
        weights[name] = torch.from_numpy(values).float()
    return weights


def published_file(shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    weights = drawn(shapes)
    weights["pos_embeddings"] = angle_table(shapes["pos_embeddings"][-1])
    for kind in ("weight", "bias"):
        weights[f"classifier.0.{kind}"] = weights[f"classifiers.0.0.{kind}"]
    return weights


def of_small() -> dict[str, Tensor]:
    """A published file of the small model's dimensions."""
    shapes = {name: list(tensor.shape) for name, tensor in small().state_dict().items()}
    shapes |= {f"classifier.0.{kind}": shapes[f"classifiers.0.0.{kind}"] for kind in ("weight", "bias")}
    return published_file(shapes)


# --- the network --------------------------------------------------------------------------------------------


def test_equals_the_published_code(shared: Path) -> None:
    model = SegmentMIL().eval()
    model.load_published(published_file(json.loads((shared / "golden/segment_mil_keys.json").read_text())))
    golden = np.load(shared / "golden/segment_mil.npz")
    given = [torch.from_numpy(golden[name]) for name in ("tokens", "views", "angulations")]
    with torch.inference_mode():
        decoded = model.decode(*given)
        logits = model.classify(decoded)
    np.testing.assert_allclose(decoded, golden["decoded"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(logits, golden["logits"], rtol=0, atol=1e-5)


def test_is_a_general_decoder_over_the_projected_patches() -> None:
    model = small()
    with torch.no_grad():  # biases start at 0: they must show
        for weight in model.parameters():
            weight.add_(
                0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel()))
            )
    layer = nn.TransformerDecoderLayer(16, 2, 64, batch_first=True, norm_first=True)
    general = nn.TransformerDecoder(layer, 2).eval()
    general.load_state_dict(model.attention.state_dict())
    tokens, views, angulations = studies()
    primary, secondary = cells(angulations).unbind(-1)
    memory = model.projector(tokens[:, :, 0]) + model.pos_embeddings[primary, secondary][:, :, None]
    padding = (torch.arange(4) >= views[:, None])[:, :, None].expand(-1, -1, 5).flatten(1)
    expected = general(model.query.expand(3, -1, -1), memory.flatten(1, 2), memory_key_padding_mask=padding)
    found = model.decode(tokens, views, angulations)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)

    learned = [model.projector.weight, model.projector.bias, model.query]
    ours, theirs = (torch.autograd.grad(rows.square().sum(), learned) for rows in (found, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@torch.inference_mode()
def test_padding_has_no_effect() -> None:
    model = small()
    tokens, views, angulations = studies()
    logits = model(tokens, views, angulations)
    tokens[1, 1:], angulations[1, 1:] = 1e4, 90.0
    torch.testing.assert_close(model(tokens, views, angulations), logits)
    alone = model(tokens[1:2, :1], views[1:2], angulations[1:2, :1])
    torch.testing.assert_close(alone, logits[1:2])


@torch.inference_mode()
def test_the_order_of_views_does_not_matter_but_their_angles_do() -> None:
    model = small()
    tokens, views, angulations = (part[:1] for part in studies())
    logits = model(tokens, views, angulations)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(model(tokens[:, order], views, angulations[:, order]), logits)
    assert not torch.allclose(model(tokens, views, angulations.flip(2)), logits)


@torch.inference_mode()
def test_patches_may_come_in_half_precision_and_in_several_frames_a_view() -> None:
    model = small()
    tokens, views, angulations = studies()
    logits = model(tokens, views, angulations)
    torch.testing.assert_close(model(tokens.half(), views, angulations), logits, rtol=0, atol=1e-2)
    torch.testing.assert_close(model(tokens.repeat(1, 1, 3, 1, 1), views, angulations), logits)


def test_logits_build_on_those_of_artery_and_patient() -> None:
    model = small()
    for place, head in enumerate(model.classifiers):
        nn.init.zeros_(head[0].weight)
        nn.init.constant_(head[0].bias, 2.0**place)
    logits = model.classify(torch.randn(1, 11, 16))[0]
    patient, rca, lca = 1, 2, 4
    right = [patient + rca + 2**place for place in (3, 4, 5)]
    left = [patient + lca + 2**place for place in range(6, 11)]
    assert logits.tolist() == [patient, patient + rca, patient + lca, *right, *left]


def test_every_weight_gets_a_gradient_and_dropout_acts_in_training_only() -> None:
    model = small(dropout=0.5)
    assert torch.equal(model(*studies()), model(*studies()))
    model.train()
    assert not torch.equal(model(*studies()), model(*studies()))
    model(*studies()).square().sum().backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


def test_impossible_dimensions_are_said() -> None:
    with pytest.raises(ValueError, match=r"embed_dim 18 must be a multiple of heads \(3\) and of 4"):
        small(embed_dim=18, heads=3)


# --- angles -------------------------------------------------------------------------------------------------


def test_angles_fall_into_cells_and_outside_into_the_nearest() -> None:
    angles = [[-70.0, -50.0], [-59.0, -43.8], [-58.7, -43.7], [110.0, 50.0], [-180.0, 90.0]]
    assert cells(torch.tensor(angles)).tolist() == [[0, 0], [0, 0], [1, 1], [15, 15], [0, 15]]


def test_attention_is_that_of_torch_over_the_projected_patches() -> None:
    model = small()
    tokens, views, angulations = studies()
    attention = model.attend(tokens, views, angulations)
    assert attention.shape == (len(tokens), 11, tokens.shape[1], tokens[0, 0].numel() // tokens.shape[-1])
    torch.testing.assert_close(attention.sum(dim=(2, 3)), torch.ones(len(tokens), 11))
    primary, secondary = cells(angulations).unbind(dim=-1)
    memory = model.projector(tokens) + model.pos_embeddings[primary, secondary][:, :, None, None]
    queries = model.query.expand(len(tokens), -1, -1)
    for layer in model.attention.layers:
        asked = layer.norm1(queries)
        queries = queries + layer.self_attn(asked, asked, asked)[0]
        whole = nn.MultiheadAttention(queries.shape[2], layer.multihead_attn.heads, batch_first=True)
        whole.load_state_dict(layer.multihead_attn.state_dict())
        hidden = torch.arange(tokens.shape[1]) >= views[:, None]
        found, weights = whole(
            layer.norm2(queries),
            memory.flatten(1, 3),
            memory.flatten(1, 3),
            key_padding_mask=hidden.repeat_interleave(attention.shape[3], dim=1),
        )
        queries = queries + found
        queries = queries + layer.linear2(torch.relu(layer.linear1(layer.norm3(queries))))
    torch.testing.assert_close(attention.flatten(2), weights, atol=1e-6, rtol=1e-4)


def test_the_table_codes_the_secondary_angle_first() -> None:
    table = angle_table(8)
    assert table.shape == (16, 16, 8)
    for primary, secondary in ((0, 0), (3, 5), (15, 2)):
        codes = [f(place * w) for place in (secondary, primary) for w in (1, 0.01) for f in (np.sin, np.cos)]
        np.testing.assert_allclose(table[primary, secondary], codes, rtol=0, atol=1e-6)


# --- published files ----------------------------------------------------------------------------------------


def test_weights_have_the_published_names_and_shapes(shared: Path) -> None:
    shapes = json.loads((shared / "golden/segment_mil_keys.json").read_text())
    own = {name: list(tensor.shape) for name, tensor in SegmentMIL().state_dict().items()}
    assert own == {name: shape for name, shape in shapes.items() if not name.startswith("classifier.")}


@pytest.mark.parametrize("gone", ["classifier.0.", "classifiers.0.0.", "nothing"])
def test_the_patients_head_may_have_either_name_or_both(gone: str) -> None:
    weights = {name: tensor for name, tensor in of_small().items() if not name.startswith(gone)}
    model = small()
    model.load_published(weights)
    assert torch.equal(model.classifiers[0][0].weight, of_small()["classifiers.0.0.weight"])


def test_weights_that_do_not_fit_are_all_named_and_none_is_taken() -> None:
    model, weights = small(), of_small()
    before = model(*studies())
    del weights["query"], weights["classifier.0.bias"], weights["classifiers.0.0.bias"]
    weights["backbone.cls_token"] = torch.zeros(1)
    weights["projector.weight"] = torch.zeros(16, 384)
    with pytest.raises(WeightsError) as refusal:
        model.load_published(weights)
    assert set(str(refusal.value).splitlines()[1:]) == {
        "  missing: query (11, 16)",
        "  missing: classifier.0.bias (1,)",
        "  missing: classifiers.0.0.bias (1,)",
        "  unexpected: backbone.cls_token",
        "  projector.weight has shape (16, 384), not (16, 20)",
    }
    assert torch.equal(model(*studies()), before)


# --- targets ------------------------------------------------------------------------------------------------


def degrees(**of_segments: float) -> np.ndarray:
    row = np.zeros((1, 16), dtype=np.float32)
    for name, degree in of_segments.items():
        row[0, int(name[1:]) - 1] = degree
    return row


def positive(row: np.ndarray, threshold: float = 70) -> set[str]:
    (targets,) = angiographic_targets(row, threshold)
    return {name for name, target in zip(ANGIOGRAPHIC_TARGETS, targets, strict=True) if target == 1}


def test_a_severe_segment_makes_its_artery_and_the_patient_a_case() -> None:
    assert positive(degrees()) == set()
    assert positive(degrees(s1=69)) == set()
    assert positive(degrees(s2=70)) == {"patient", "rca", "segment_2"}
    assert positive(degrees(s5=99, s13=100, s16=90)) == {"patient", "lca", "segment_5", "segment_13"}
    assert positive(degrees(s2=70, s11=55), threshold=50) == {
        "patient", "rca", "segment_2", "lca", "segment_11",
    }  # fmt: skip


def test_a_patient_with_a_severe_minor_segment_alone_is_neither_case_nor_control() -> None:
    assert np.isnan(angiographic_targets(degrees(s8=75))).all()
    assert not np.isnan(angiographic_targets(degrees(s8=75, s7=75))).any()
    assert not np.isnan(angiographic_targets(degrees(s8=60))).any()


def test_degrees_of_other_segments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected degrees \(n, 16\), got \(1, 15\)"):
        angiographic_targets(np.zeros((1, 15)))
