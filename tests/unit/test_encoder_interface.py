"""What holds for every encoder: it learns, repeats itself, stays as it is when frozen, and folds."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from stence import encoders
from stence.models.risk import RiskModel
from support.encoders import SMALL, assert_close, embed, small, windows

every_encoder = pytest.mark.parametrize("name", sorted(SMALL))


def test_these_are_all_encoders() -> None:
    assert SMALL.keys() == encoders.ENCODERS.keys()


@every_encoder
def test_one_embedding_a_window_each_on_its_own(name: str) -> None:
    encoder = small(name)
    inputs = windows(encoder)
    together = embed(encoder, inputs)
    assert together.shape == (3, encoder.size)
    assert together.dtype == np.float32
    assert_close(embed(encoder, inputs[1:2]), together[1:2])


@every_encoder
def test_evaluation_repeats_itself(name: str) -> None:
    encoder = small(name)
    inputs = windows(encoder)
    np.testing.assert_array_equal(embed(encoder, inputs), embed(encoder, inputs))


@every_encoder
def test_every_parameter_gets_a_gradient(name: str) -> None:
    encoder = small(name).train()
    target = torch.randn(3, encoder.size, generator=torch.Generator().manual_seed(2))
    (encoder(windows(encoder)) - target).square().sum().backward()
    idle = [
        parameter
        for parameter, weight in encoder.named_parameters()
        if weight.requires_grad and (weight.grad is None or not weight.grad.any())
    ]
    assert idle == []


@every_encoder
def test_the_last_block_and_what_follows_it_learn_alone_and_change_the_embedding(name: str) -> None:
    model = RiskModel(small(name), outputs=1)
    model.freeze_encoder(last_blocks=1)
    learning = {part for part, weight in model.encoder.named_parameters() if weight.requires_grad}
    assert 0 < len(learning) < len(list(model.encoder.parameters()))
    model.train()
    frozen = [part for part in model.encoder.modules() if not any(p.requires_grad for p in part.parameters())]
    assert not any(part.training for part in frozen if list(part.parameters()))
    model(windows(model.encoder, 8)).square().sum().backward()
    assert learning == {part for part, weight in model.encoder.named_parameters() if weight.grad is not None}


@every_encoder
def test_a_step_of_training_lowers_the_loss(name: str) -> None:
    torch.manual_seed(0)
    model = RiskModel(small(name), outputs=1).train()
    inputs, answers = windows(model.encoder, 8), torch.arange(8.0)[:, None] % 2
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def loss() -> torch.Tensor:
        torch.manual_seed(0)
        return torch.nn.functional.binary_cross_entropy_with_logits(model(inputs), answers)

    before = loss()
    before.backward()
    optimiser.step()
    assert loss() < before


@every_encoder
def test_a_frozen_encoder_stays_as_it_is(name: str) -> None:
    model = RiskModel(small(name), outputs=1)
    model.freeze_encoder()
    model.train()
    before = {key: tensor.clone() for key, tensor in model.encoder.state_dict().items()}
    model(windows(model.encoder, 8)).sum().backward()
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.encoder.state_dict().items())


@every_encoder
def test_the_folded_form_equals_the_trained_one_and_leaves_it_alone(name: str) -> None:
    encoder = small(name).train()
    encoder(windows(encoder, 8))  # so that running statistics are not those of the start
    inputs = windows(encoder.eval())
    before = embed(encoder, inputs)
    folded = encoder.folded()
    assert_close(embed(folded, inputs), before)
    assert not any(weight.requires_grad for weight in folded.parameters())
    assert all(weight.requires_grad for weight in encoder.parameters())
    np.testing.assert_array_equal(embed(encoder, inputs), before)


@every_encoder
def test_an_encoder_survives_json_and_its_weights(name: str) -> None:
    encoder = small(name)
    again = encoders.build(name, **json.loads(json.dumps(encoder.config))).eval()
    again.load_state_dict(encoder.state_dict())
    np.testing.assert_array_equal(embed(again, windows(encoder)), embed(encoder, windows(encoder)))


@every_encoder
def test_windows_of_another_shape_are_refused(name: str) -> None:
    encoder = small(name)
    with pytest.raises(ValueError, match=rf"reads \(n, 12, {encoder.window_samples}\), got \(3, 12, 9\)"):
        encoder(torch.zeros(3, 12, 9))
    with pytest.raises(ValueError, match=r"got \(3, 8, "):
        encoder(torch.zeros(3, 8, encoder.window_samples))
