"""From the referred to everybody screened, on drawn patients whose truth is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from stence.evaluation.screened import LOSS, Referred, Screened, moved, screened, severity_of, tree_logits
from stence.models import Calibration
from stence.models.coherence import probabilities

SHARES = np.array([0.72, 0.1, 0.1, 0.045, 0.035])
REFERRED = expit(-1.25 + 3 * LOSS)


class People(NamedTuple):
    logits: NDArray[np.float64]
    labels: NDArray[np.float32]
    referred: NDArray[np.bool_]


def people(count: int, seed: int = 0) -> People:
    """Draw people with a normal sign of disease; the logits are those of the referred, and right for them."""
    rng = np.random.default_rng(seed)
    severity = rng.choice(5, size=count, p=SHARES)
    sign = rng.normal(1.4 * LOSS[severity], 1)
    density = np.exp(-0.5 * (sign[:, None] - 1.4 * LOSS) ** 2) * SHARES * REFERRED
    at_least = np.cumsum(density[:, ::-1], axis=1)[:, ::-1]
    degrees = np.log(at_least[:, 1:]) - np.log(density[:, :-1])
    logits = np.column_stack([degrees, np.zeros((count, 2))])
    labels = (severity[:, None] > np.arange(4)).astype(np.float32)
    both = labels[:, 1:2] * (rng.random((count, 2)) < 0.5)
    return People(
        logits, np.hstack([labels, both]).astype(np.float32), rng.random(count) < REFERRED[severity]
    )


def estimate(drawn: People, draws: int = 16) -> Screened | None:
    sent = drawn.referred
    held = Referred(drawn.logits[sent], drawn.labels[sent], np.arange(sent.sum()), np.ones(sent.sum()))
    counts = np.bincount(severity_of(drawn.labels[sent]), minlength=5)
    return screened(held, counts, drawn.logits[~sent], float(sent.mean()), draws)


@pytest.fixture(scope="module")
def drawn() -> People:
    return people(4000)


@pytest.fixture(scope="module")
def found(drawn: People) -> Screened:
    result = estimate(drawn)
    assert result is not None
    return result


def test_the_mean_risk_of_everybody_is_near_the_truth(drawn: People, found: Screened) -> None:
    truth = drawn.labels[:, 1].mean()
    as_referred = probabilities(drawn.logits)[:, 1].mean()
    assert as_referred > truth + 0.12
    assert abs(probabilities(found.calibration.apply(drawn.logits))[:, 1].mean() - truth) < 0.03


def test_the_prevalence_has_an_interval_that_holds_the_truth(drawn: People, found: Screened) -> None:
    over_70 = found.summary["prevalence"]["stenosis_70"]
    assert over_70["lower"] < drawn.labels[:, 1].mean() < over_70["upper"] < 0.5
    assert found.summary["share_referred"] == round(float(drawn.referred.mean()), 4)


def test_the_shares_that_were_never_referred_have_intervals_that_hold_the_truth(found: Screened) -> None:
    """Most of those without disease, few of the most severe."""
    shares = found.summary["never_referred"]
    for of, truth in zip(shares, 1 - REFERRED, strict=True):
        assert of["lower"] < truth < of["upper"]
    assert shares[0]["value"] > 0.6
    assert shares[4]["value"] < 0.4


def test_nobody_is_referred_more_often_than_always(found: Screened) -> None:
    share = found.summary["share_referred"]
    assert all(min(draw.severity_weights or ()) >= share for draw in found.draws)


def test_too_few_patients_give_no_estimate() -> None:
    drawn = people(110)
    assert 20 < drawn.referred.sum() < 50
    assert estimate(drawn) is None


def test_stored_probabilities_lead_back_to_their_logits(drawn: People, found: Screened) -> None:
    logits = drawn.logits[:200]
    given = np.round(probabilities(found.calibration.apply(logits)), 6)
    draw = found.draws[0]
    assert np.allclose(moved(found.calibration, draw, given), probabilities(draw.apply(logits)), atol=2e-3)
    assert np.allclose(probabilities(tree_logits(given)), given, atol=1e-4)
    assert np.allclose(moved(Calibration(), Calibration(), given), given, atol=1e-4)
