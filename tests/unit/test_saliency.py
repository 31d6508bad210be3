"""The explanation finds the part that a model looks at, and shows no marks that it cannot trust."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import torch
from scipy.special import logit
from torch import Tensor

from stence.domain.targets import DECISIVE, DEGREES
from stence.ecg import LEADS, Recording
from stence.ecg.delineation import Part
from stence.ecg.recipes import STENCE, Recipe
from stence.encoders import Encoder
from stence.explain.gathering import Earlier, ScoredEcg
from stence.explain.layout import ecg_page
from stence.explain.paper import Mark
from stence.explain.saliency import DRAWS, Deletion, Explanation, explain, without
from stence.models import TARGET_NAMES, Calibration, RiskModel, RiskScorer, Threshold, clinical_values
from stence.models.clinical import AGE, SEX
from support.beats import beats
from support.encoders import SMALL, small


class Onlooker(Encoder):
    """Embeds how high the slow waves of one lead are: T waves rather than QRS complexes."""

    size = 1
    window_samples = STENCE.samples

    def __init__(self, lead: str | None) -> None:
        super().__init__()
        self._lead = lead

    @property
    def config(self) -> dict[str, Any]:
        return {}

    def forward(self, windows: Tensor) -> Tensor:
        if self._lead is None:
            return 0 * windows[:, 0, :1]
        slow = torch.nn.functional.avg_pool1d(windows[:, [LEADS.index(self._lead)]], 75, 5)
        return torch.relu(slow - 0.3).mean(dim=-1)

    def load_published(self, weights: Any) -> None:
        raise NotImplementedError

    def blocks_and_rest(self) -> Any:
        raise NotImplementedError


def scorer_of(encoder: Encoder, recipe: Recipe = STENCE, windows: int = 3, **options: Any) -> RiskScorer:
    torch.manual_seed(1)
    model = RiskModel(encoder, clinical=True).eval()
    assert model.clinical is not None
    model.clinical.coefficients[AGE | SEX, :, 1] = 0.5
    model.clinical.weights[AGE | SEX] = 0.8
    calibration = Calibration((1.2,) * 6, (0.1, -0.4, 0.0, 0.2, 0.3, 0.0), (2.0, 1.0, 0.6, 0.5, 0.4))
    return RiskScorer(
        model, calibration, model_version="m", recipe=recipe, windows=windows, thresholds={}, **options
    )


def onlooker(lead: str | None) -> RiskScorer:
    scorer = scorer_of(Onlooker(lead))
    answer = scorer._network.answer
    with torch.no_grad():
        answer.weight.fill_(8.0)
    return scorer


@pytest.fixture(scope="module")
def ecg() -> Recording:
    return beats()


@pytest.mark.parametrize("target", DEGREES)
@pytest.mark.parametrize("name", sorted(SMALL))
def test_log_odds_are_those_of_the_score_for_every_encoder_and_have_gradients(name: str, target: str) -> None:
    encoder = small(name)
    scorer = scorer_of(encoder, windows=2)
    scorer.thresholds = {target: Threshold(0.5, "chosen by the test")}
    ecgs = np.random.default_rng(5).normal(size=(3, 2, 12, encoder.window_samples)).astype(np.float32)
    for age, sex in ((70.0, "F"), (None, None)):
        clinical = clinical_values([age], [sex])
        tensor = torch.from_numpy(ecgs).requires_grad_()
        found = scorer.log_odds(clinical)(tensor)
        scored = scorer.score(ecgs, np.repeat(clinical, 3, axis=0))[:, TARGET_NAMES.index(target)]
        np.testing.assert_allclose(found.detach().numpy(), logit(scored), atol=2e-4)
        found.sum().backward()
        assert tensor.grad is not None
        assert bool((tensor.grad.abs().amax(dim=-1) > 0).all()), "some lead has no gradient"


def test_a_model_that_looks_at_the_t_wave_of_v4_is_found_out(ecg: Recording) -> None:
    found = explain(onlooker("V4"), ecg, seed=1)
    assert found.marks == (Mark("V4", Part.ST_T),)
    assert found.deletion is not None
    assert found.deletion.marked > 2 * max(found.deletion.random)
    for contributions in (found.leads.gradients, found.leads.occluded):
        assert LEADS[int(np.argmax(contributions))] == "V4"
        assert sum(map(abs, contributions)) == pytest.approx(max(contributions), rel=1e-3)
    for contributions in (found.parts.gradients, found.parts.occluded):
        assert tuple(Part)[int(np.argmax(contributions))] is Part.ST_T


def test_contributions_of_the_leads_add_up_to_the_score_less_that_of_a_flat_ecg(ecg: Recording) -> None:
    scorer = onlooker("V2")
    found = explain(scorer, ecg, seed=1)
    flat = np.zeros((1, 3, 12, STENCE.samples), np.float32)
    of_flat = logit(scorer.score(flat, clinical_values([70.0], ["F"]))[0, TARGET_NAMES.index(DECISIVE)])
    assert sum(found.leads.gradients) == pytest.approx(found.log_odds - of_flat, abs=0.02)


def test_a_model_that_looks_at_nothing_has_no_marks(ecg: Recording) -> None:
    found = explain(onlooker(None), ecg, seed=1)
    assert found.deletion is None
    assert found.marks == ()


@pytest.mark.slow
def test_the_same_ecg_has_the_same_explanation(ecg: Recording) -> None:
    scorer = scorer_of(small("otis", window_samples=STENCE.samples))
    assert explain(scorer, ecg, seed=4) == explain(scorer, ecg, seed=4)


def test_without_beats_no_part_is_marked() -> None:
    noise = np.random.default_rng(0).normal(0, 0.001, (12, 1600)).astype(np.float32)
    found = explain(onlooker("V4"), Recording(noise, sampling_rate=500), seed=1)
    assert found.beats == []
    assert found.marks == ()
    assert "no regular beats were found" in page_of(found, Recording(noise, sampling_rate=500))


def test_windows_are_where_the_recipe_cut_them(ecg: Recording) -> None:
    assert explain(onlooker("V4"), ecg, seed=1).windows == ((0.0, 3.0), (3.5, 6.5), (7.0, 10.0))


def test_deleted_samples_become_a_straight_line_and_a_deleted_lead_flat() -> None:
    windows = np.random.default_rng(0).normal(size=(1, 2, 6)).astype(np.float32)
    mask = np.zeros((1, 2, 6), np.bool_)
    mask[0, 0, 1:3] = mask[0, 1] = True
    left = without(windows, mask)
    np.testing.assert_allclose(left[0, 0, :4], np.linspace(windows[0, 0, 0], windows[0, 0, 3], 4), atol=1e-6)
    np.testing.assert_array_equal(left[0, 0, 3:], windows[0, 0, 3:])
    assert (left[0, 1] == 0).all()


def page_of(explanation: Explanation, recording: Recording) -> str:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    ecg = ScoredEcg(
        ecg_id=7,
        content_hash=b"",
        patient_id="p7",
        at=now,
        acquired_at=now,
        site=None,
        device="<b>Cardio</b>",
        sex="F",
        age=70.0,
        indication=None,
        warnings=[],
        statements=["<i>Normal</i> ECG"],
        measurements={"qrs_ms": 94.0},
        filters=None,
        fingerprint=None,
        key="ecg/7.hea",
        target="stenosis_70",
        probability=0.4,
        lower=0.21,
        upper=0.62,
        novelty=99.5,
        unlike=True,
        threshold=0.3,
        flag_id=1,
        state="open",
        raised_at=now,
        rank=1,
        ecgs_that_day=1,
        history=[Earlier(7, now, 0.4)],
        reviews=[],
        groups=[],
        model_version="m",
        sha256="0",
        run_id=UUID(int=1),
        scored_at=now,
    )
    return ecg_page(ecg, recording, explanation, now)


def test_marks_that_fail_the_deletion_test_are_not_shown_and_the_page_says_so(ecg: Recording) -> None:
    found = explain(onlooker("V4"), ecg, seed=1)
    shown = page_of(found, ecg)
    assert "The model looked at ST-T in V4" in shown
    assert "<rect x=" in shown.split('class="marks"')[1].split("</g>")[0]

    drop = found.deletion.marked if found.deletion else 0
    failed = Explanation(
        found.log_odds,
        found.leads,
        found.parts,
        found.beats,
        found.windows,
        found.candidates,
        Deletion(drop, (*[0.0] * (DRAWS - 1), drop)),
    )
    hidden = page_of(failed, ecg)
    assert "Where the model looked cannot be told" in hidden
    assert f"fall by {drop:.2f}" in hidden
    assert "<rect x=" not in hidden.split('class="marks"')[1].split("</g>")[0]
    assert "&lt;b&gt;Cardio" in hidden
