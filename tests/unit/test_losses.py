"""The losses on angiograms and pairs: the published numbers, and what must not count."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stence.fitting.losses import pair_loss, stenosis_loss


def places(rows: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed))


def test_both_losses_equal_the_published_code(shared: Path) -> None:
    golden = np.load(shared / "golden/segment_mil.npz")
    given = {name: torch.from_numpy(golden[name]) for name in ("logits", "targets", "clip_a", "clip_b")}
    stenosis = stenosis_loss(given["logits"], given["targets"])
    pairs = pair_loss(given["clip_a"], given["clip_b"], torch.arange(8))
    assert stenosis.item() == pytest.approx(float(golden["weighted_bce"]), abs=1e-6)
    assert pairs.item() == pytest.approx(float(golden["clip_loss"]), abs=1e-6)


def test_groups_weigh_the_same_however_many_targets_they_have() -> None:
    right, wrong = torch.full((1, 11), -40.0), torch.zeros(1, 11)
    targets = torch.zeros(1, 11)
    for first, end, weight in ((0, 1, 0.4), (1, 3, 0.4), (3, 11, 0.2)):
        logits = right.clone()
        logits[:, first:end] = wrong[:, first:end]
        assert stenosis_loss(logits, targets).item() == pytest.approx(weight * math.log(2))


def test_studies_without_targets_do_not_count() -> None:
    logits = torch.randn(3, 11, generator=torch.Generator().manual_seed(0), requires_grad=True)
    targets = torch.ones(3, 11)
    targets[1] = math.nan
    torch.testing.assert_close(stenosis_loss(logits, targets), stenosis_loss(logits[::2], targets[::2]))
    nothing = stenosis_loss(logits, torch.full((3, 11), math.nan))
    nothing.backward()
    assert nothing.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_pairs_that_match_have_a_lower_loss_than_pairs_that_do_not() -> None:
    ecgs = places(6)
    assert pair_loss(ecgs, 3 * ecgs, torch.arange(6)) < pair_loss(ecgs, ecgs.roll(1, 0), torch.arange(6))


def test_the_loss_is_the_same_from_both_sides_and_in_any_order() -> None:
    ecgs, angiograms, patients = places(6), places(6, 1), torch.tensor([0, 1, 2, 2, 3, 4])
    loss = pair_loss(ecgs, angiograms, patients)
    torch.testing.assert_close(pair_loss(angiograms, ecgs, patients), loss)
    order = torch.tensor([3, 5, 0, 1, 4, 2])
    torch.testing.assert_close(pair_loss(ecgs[order], angiograms[order], patients[order]), loss)


def test_ecgs_of_one_patient_are_not_each_others_wrong_answers() -> None:
    ecgs, angiograms = places(4), places(4, 1)
    ecgs.requires_grad_()
    patients = torch.tensor([7, 8, 7, 9])
    as_others = pair_loss(ecgs, angiograms, torch.arange(4))
    assert pair_loss(ecgs, angiograms, patients) < as_others

    two = torch.tensor([0, 2])
    loss = pair_loss(ecgs[two], angiograms[two], patients[two])
    loss.backward()
    assert loss.item() == 0
    assert ecgs.grad is not None
    assert not ecgs.grad.any()


def test_two_ecgs_with_the_angiogram_of_their_study_both_find_it() -> None:
    ecgs, studies = places(4), places(3, 1)
    angiograms, patients = studies[[0, 0, 1, 2]], torch.tensor([0, 0, 1, 2])
    similarity = torch.nn.functional.cosine_similarity(ecgs[:, None], studies[None], dim=2) / 0.2
    found = similarity.log_softmax(dim=1)[torch.arange(4), torch.tensor([0, 0, 1, 2])]
    to_ecgs = torch.stack([
        similarity[rows, study].log_softmax(dim=0)[0]
        for rows, study in (([0, 2, 3], 0), ([1, 2, 3], 0), ([2, 0, 1, 3], 1), ([3, 0, 1, 2], 2))
    ])  # fmt: skip
    # An angiogram that is there twice is two wrong answers to the other ECGs.
    twice = torch.cat((similarity[2:, :1], similarity[2:]), dim=1).log_softmax(dim=1)
    found = torch.stack([found[0], found[1], twice[0, 2], twice[1, 3]])
    expected = -0.5 * (found.mean() + to_ecgs.mean())
    torch.testing.assert_close(pair_loss(ecgs, angiograms, patients), expected)
