"""EchoingECG computes what its authors' code computes, takes their file, and refuses any other by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stence import encoders
from support.encoders import assert_close, assert_refuses_misfits, embed, small, windows
from support.weights import drawn, listed, noise


@pytest.fixture(scope="module")
def published(shared: Path) -> dict[str, Tensor]:
    weights = drawn(listed(shared / "encoders/echoingecg_keys.txt"))
    return weights | {"text_encoder.backbone.embeddings.LayerNorm.weight": torch.ones(768)}


@pytest.mark.slow
def test_equals_the_published_code(shared: Path, published: dict[str, Tensor]) -> None:
    encoder = encoders.build("echoing_ecg").eval()
    encoder.load_published(published)
    golden = np.load(shared / "golden/encoders.npz")["echoing_ecg"]
    assert_close(embed(encoder, noise(2, 12, 1500)), golden)
    assert_close(embed(encoder.folded(), noise(2, 12, 1500)), golden)


def test_has_the_published_size() -> None:
    with torch.device("meta"):
        encoder = encoders.build("echoing_ecg")
    assert sum(weight.numel() for weight in encoder.parameters()) == 126_642_944 - 799_648  # the second head


@pytest.mark.slow
@pytest.mark.parametrize(
    "missing", ["ecg_encoder.layer3.22.bn2.running_mean", "ecg_encoder.std_gpool.gru.weight_hh_l0_reverse"]
)
def test_weights_that_do_not_fit_are_all_named_and_none_is_taken(
    published: dict[str, Tensor], missing: str
) -> None:
    encoder = encoders.build("echoing_ecg")
    assert_refuses_misfits(encoder, published, missing, "ecg_encoder.conv1.weight")


def test_embeddings_have_length_one() -> None:
    encoder = small("echoing_ecg")
    np.testing.assert_allclose(np.linalg.norm(embed(encoder, windows(encoder)), axis=1), 1, rtol=1e-6)


def test_pooling_does_not_depend_on_the_order_in_time() -> None:
    pooling = small("echoing_ecg").gpool
    features = torch.randn(2, len(pooling.codes), 5)
    with torch.inference_mode():
        torch.testing.assert_close(pooling(features.flip(1)), pooling(features))


def test_widths_and_stages_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="2 widths for 1 stages"):
        small("echoing_ecg", blocks=[1])
