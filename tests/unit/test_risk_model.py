"""A trained model at work gives what it was trained to give, and the same score in any company."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stence import encoders
from stence.domain.random_projection import project
from stence.ecg.recipes import STENCE
from stence.models import Calibration, RiskModel, RiskScorer, Threshold
from stence.models.coherence import probabilities
from stence.models.risk import InferenceForm

WINDOWS, SAMPLES = 3, 240
UNKNOWN = np.full((11, 2), np.nan)
PROJECTION_OF_ONES = (0.49207139, 0.21803415, 0.44091547)


@pytest.fixture
def model() -> RiskModel:
    """A small model whose normalisation has seen data, as training leaves it."""
    torch.manual_seed(0)
    encoder = encoders.build("otis", width=32, depth=2, heads=2, window_samples=SAMPLES)
    model = RiskModel(encoder)
    with torch.no_grad():
        for _ in range(20):
            model(2 * torch.randn(16, 12, SAMPLES) + 1)
    return model.eval()


@pytest.fixture
def ecgs() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((11, WINDOWS, 12, SAMPLES)).astype(np.float32)


def scorer(model: RiskModel, calibration: Calibration | None = None) -> RiskScorer:
    return RiskScorer(
        model,
        calibration or Calibration(),
        model_version="test-1",
        recipe=STENCE,
        windows=WINDOWS,
        thresholds={"stenosis_70": Threshold(0.5, "chosen by the test")},
    )


def test_an_ecgs_logits_are_the_mean_of_its_windows(model: RiskModel, ecgs: np.ndarray) -> None:
    with torch.no_grad():
        by_window = model(torch.from_numpy(ecgs).flatten(0, 1)).view(len(ecgs), WINDOWS, 6)
    at_work = InferenceForm(model)(torch.from_numpy(ecgs))
    np.testing.assert_allclose(at_work, by_window.mean(dim=1), rtol=0, atol=1e-5)


def test_a_model_can_be_trained_on_after_it_was_put_to_work(model: RiskModel, ecgs: np.ndarray) -> None:
    model.train()
    at_work = InferenceForm(model)
    before = at_work(torch.from_numpy(ecgs))
    model(torch.from_numpy(ecgs[:, 0])).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert all(module.training for module in model.modules())
    assert torch.equal(at_work(torch.from_numpy(ecgs)), before)


def test_scores_are_calibrated_probabilities(model: RiskModel, ecgs: np.ndarray) -> None:
    calibration = Calibration((2.0,) * 6, (0.5,) * 6)
    logits = InferenceForm(model)(torch.from_numpy(ecgs)).numpy().astype(np.float64)
    expected = probabilities(2 * logits + 0.5)
    scores = scorer(model, calibration).score(ecgs)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(scores, np.round(scores, 6))


def test_a_score_does_not_depend_on_the_other_ecgs(model: RiskModel, ecgs: np.ndarray) -> None:
    at_work = scorer(model)
    together = at_work.score(ecgs)
    np.testing.assert_array_equal(together[::-1], at_work.score(ecgs[::-1]))
    for ecg, score in zip(ecgs, together, strict=True):
        np.testing.assert_array_equal(at_work.score(ecg[None])[0], score)


def test_a_projection_does_not_depend_on_the_other_ecgs(model: RiskModel, ecgs: np.ndarray) -> None:
    at_work = scorer(model)
    together = at_work.embed_and_score(ecgs, UNKNOWN[: len(ecgs)]).projections
    assert together.shape == (11, 32)
    for ecg, expected in zip(ecgs, together, strict=True):
        alone = at_work.embed_and_score(ecg[None], UNKNOWN[:1])
        np.testing.assert_array_equal(alone.projections[0], expected)


def test_distances_of_projections_are_about_those_of_embeddings() -> None:
    embeddings = np.random.default_rng(3).standard_normal((40, 300)).astype(np.float32)
    embeddings[20:] += 1
    first, second = np.triu_indices(40, 1)
    short = project(embeddings)
    ratio = np.linalg.norm(short[first] - short[second], axis=1) / np.linalg.norm(
        embeddings[first] - embeddings[second], axis=1
    )
    assert 0.5 < ratio.min() < ratio.max() < 1.5
    assert abs(ratio.mean() - 1) < 0.15


def test_a_projection_is_the_same_for_ever() -> None:
    np.testing.assert_allclose(project(np.ones((1, 4), np.float32))[0, :3], PROJECTION_OF_ONES, rtol=1e-6)


def test_no_ecgs_give_no_scores(model: RiskModel, ecgs: np.ndarray) -> None:
    assert scorer(model).score(ecgs[:0]).shape == (0, 6)


def test_another_number_of_windows_is_refused(model: RiskModel, ecgs: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"test-1 wants \(n, 3, 12, samples\), got \(11, 2, 12, 240\)"):
        scorer(model).score(ecgs[:, :2])


def test_windows_of_another_length_are_refused(model: RiskModel, ecgs: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"reads \(n, 12, 240\)"):
        scorer(model).score(ecgs[..., :100])
