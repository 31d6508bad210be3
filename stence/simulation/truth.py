"""The best possible prediction from these ECGs: the exact posterior given everything that shapes an ECG.

The ideal observer knows age, sex and the noise-free beat. So it knows each territory's visible ischaemia and
scar (``cardiac_dipole.Manifest``) and every confounder's share in them. It does not know the arteries. Its
posterior is computed by importance sampling over a bank of coronary trees (Robert & Casella 2004, section
3.3):

    P(target | e, age, sex) = sum_t w_t y_t / sum_t w_t,
    w_t = p(e | tree t) * p(burden_t | age, sex) / q(burden_t) [* P(referral | tree t)]

with the referral term for patients with angiography, because only they have labels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from stence.domain.targets import labels
from stence.simulation.cardiac_dipole import ISCHAEMIA_SPREAD, SCAR_SPREAD
from stence.simulation.coronaries import draw_trees, ischaemia
from stence.simulation.patients import expected_burden, referral

_BANK_SIZE = 8192
_TOGETHER = 500
"""Number of people per comparison with the bank."""
_PROPOSAL = norm(loc=-0.3, scale=1.7)


class Evidence(NamedTuple):
    """The ideal observer's data of an ECG: ischaemia and scar by territory (3,) without confounders."""

    age: float
    sex: str
    sent: bool
    ischaemia: NDArray[np.float64]
    scar: NDArray[np.float64]


class IdealObserver:
    """Computes the posterior log-odds of the six targets."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        burden = _PROPOSAL.rvs(_BANK_SIZE, random_state=rng)
        self._trees = draw_trees(rng, burden)
        self._shortage = ischaemia(self._trees.degrees)
        self._signs = np.hstack([self._shortage / ISCHAEMIA_SPREAD, self._trees.scar / SCAR_SPREAD])
        self._log_proposal = _PROPOSAL.logpdf(burden)
        answers = np.array([labels(degrees) for degrees in self._trees.degrees.tolist()])
        self._answers = np.hstack([answers == 1, answers == 0]).astype(np.float64)

    def log_odds(self, evidence: Evidence) -> NDArray[np.float64]:
        """Compute log-odds (6,) of the targets, among patients whose report decides them."""
        seen = np.concatenate([evidence.ischaemia / ISCHAEMIA_SPREAD, evidence.scar / SCAR_SPREAD])
        risk = self._trees.burden - expected_burden(evidence.age, evidence.sex)
        log_weight = -0.5 * ((seen - self._signs) ** 2).sum(axis=1) - 0.5 * risk**2 - self._log_proposal
        weight = np.exp(log_weight - log_weight.max())
        if evidence.sent:
            weight *= referral(self._shortage, risk)
        yes, no = np.split(weight @ self._answers, 2)
        smallest = np.finfo(np.float64).tiny
        return np.log(np.maximum(yes, smallest)) - np.log(np.maximum(no, smallest))

    def population_log_odds(
        self, expected: NDArray[np.float64], seen: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Compute log-odds (n, 6) of patients whose referral is not known.

        ``expected`` (n,) is the burden at their age and sex, ``seen`` (n, 6) ischaemia and scar by territory.
        """
        scaled = seen / np.repeat([ISCHAEMIA_SPREAD, SCAR_SPREAD], 3)
        found = [
            self._population_odds(expected[start : start + _TOGETHER], scaled[start : start + _TOGETHER])
            for start in range(0, len(seen), _TOGETHER)
        ]
        return np.concatenate(found)

    def _population_odds(
        self, expected: NDArray[np.float64], scaled: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        risk = self._trees.burden - expected[:, None]
        likeness = scaled @ self._signs.T - 0.5 * (self._signs**2).sum(axis=1)
        log_weight = likeness - 0.5 * risk**2 - self._log_proposal
        weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
        yes, no = np.split(weight @ self._answers, 2, axis=1)
        smallest = np.finfo(np.float64).tiny
        return np.log(np.maximum(yes, smallest)) - np.log(np.maximum(no, smallest))


def auroc(score: NDArray[np.float64], answer: NDArray[np.float32]) -> float:
    """Compute the area under the ROC curve (Mann-Whitney) without NaN labels; NaN without both classes."""
    asked = ~np.isnan(answer)
    yes = answer[asked] == 1
    cases, controls = int(yes.sum()), int((~yes).sum())
    if not cases or not controls:
        return float("nan")
    ranks = rankdata(score[asked])
    return float((ranks[yes].sum() - cases * (cases + 1) / 2) / (cases * controls))


def best_auroc(log_odds: NDArray[np.float64], answers: NDArray[np.float32]) -> tuple[float, ...]:
    """Compute the ideal observer's AUROC per target from ``log_odds`` (n, 6) and ``answers`` (n, 6)."""
    return tuple(auroc(log_odds[:, column], answers[:, column]) for column in range(answers.shape[1]))
