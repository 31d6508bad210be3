"""The model card: it says what was measured, and its page asks nothing of a network."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.special import expit

from stence.evaluation import curves
from stence.evaluation.metrics import BinaryPredictions, binary_metrics
from stence.evaluation.pictures import Overlay, histories, overlays, pictures
from stence.models import TARGET_NAMES, Threshold
from stence.registry import Manifest
from stence.training.model_card import model_card
from support.artefacts import make_artefact

PNG = b"\x89PNG\r\n\x1a\n"
HISTORY = {
    "epochs": 3,
    "steps": 30,
    "best_epoch": 2,
    "best_validation_auroc": 0.6543,
    "training_losses": [0.7, 0.6, 0.5678],
    "judged_epochs": [1, 2, 3],
    "validation_aurocs": [0.6, 0.6543, 0.61],
}


def measured(value: float, lower: float, upper: float) -> dict[str, float]:
    return {"value": value, "lower": lower, "upper": upper}


METRICS = {
    "stenosis_70": {
        "ecgs": 345,
        "patients": 321,
        "cases": 123,
        "auroc": measured(0.7012, 0.6511, 0.7519),
        "auroc_measured": measured(0.7251, 0.6801, 0.7699),
        "alerts_per_1000": measured(97.2, 70.1, 120.4),
        "subgroups": {
            "women": {"ecgs": 167, "patients": 160, "cases": 49, "auroc": measured(0.6897, 0.6, 0.77)},
        },
    },
    "grey_zone_0_90": {"ecgs": 99, "auroc": measured(0.8123, 0.75, 0.87)},
    "retrieval": {
        "ecgs": 300,
        "angiograms": 111,
        "recall": {"1": 0.0456},
        "median_rank": 17.5,
        "chance": {"recall": {"1": 0.009}, "median_rank": 56},
    },
    "ablation": {
        "stenosis_70": {
            "model": measured(0.7713, 0.71, 0.83),
            "others": {
                "age and sex alone": {
                    "auroc": measured(0.6614, 0.6, 0.72),
                    "gain": measured(0.1099, 0.05, 0.17),
                },
                "ECG alone": {
                    "auroc": measured(0.7315, 0.67, 0.79),
                    "gain": measured(0.0398, -0.01, 0.09),
                },
            },
        },
    },
    "pretest": {
        "patients": 287,
        "labelled": 319,
        "with_symptoms": 75,
        "observed": measured(0.4512, 0.39, 0.51),
        "models": {
            "this model": {"expected": 0.4633, "auroc": measured(0.7223, 0.66, 0.78), "gain": None},
            "published": {
                "expected": 0.1234,
                "auroc": measured(0.6336, 0.57, 0.69),
                "gain": measured(0.0888, 0.02, 0.15),
            },
        },
    },
    "seeds": {"stenosis_70": [0.7251, 0.7051, 0.7451]},
    "screened": {
        "referred_patients": 271,
        "unreferred_patients": 1877,
        "share_referred": 0.3593,
        "prevalence": {"stenosis_70": measured(0.1561, 0.1439, 0.3093)},
        "targets": {"stenosis_70": {"patients": 156, "auroc": measured(0.7436, 0.6637, 0.8144)}},
    },
    "teacher": {"studies": 78, "auroc": {"RCA": 0.8231, "segment 13": None}},
}
GATE = {
    "passed": False,
    "result": "failed",
    "better": False,
    "champion": "model-6",
    "checks": [
        {"name": "workload", "result": "failed", "finding": "400 alerts per 1,000 patients, not within 250"},
        {"name": "subgroup women", "result": "cannot tell", "finding": "women: cannot be judged"},
    ],
}


def manifest(**changes: Any) -> Manifest:
    given = {
        "metrics": METRICS,
        "gate": GATE,
        "thresholds": {name: Threshold(0.4321, "at most 100 alerts") for name in TARGET_NAMES},
        "training_run": {
            "stages": {"teacher": HISTORY},
            "weights": {"patch features": "ridges-1"},
            "temperature_only": ["stenosis_100"],
        },
    }
    return make_artefact("model-7").manifest.model_copy(update=given | changes)


def predicted(count: int = 400) -> BinaryPredictions:
    rng = np.random.default_rng(0)
    risk = rng.normal(-0.5, 1, count)
    label = (rng.uniform(size=count) < expit(risk)).astype(np.float32)
    return BinaryPredictions(np.round(expit(risk), 6), label, 0.45)


@pytest.mark.parametrize(
    "said",
    [
        "# Model card: model-7",
        "0.701 (0.651 to 0.752)",
        "97 (70 to 120)",
        "| women | 167 | 160 | 49 |",
        "0.690 (0.600 to 0.770)",
        "| grey_zone_0_90 | 99 |",
        "0.812 (0.750 to 0.870)",
        "| stenosis_70 | 0.771 (0.710 to 0.830) | 0.661 (0.600 to 0.720) | 0.110 (0.050 to 0.170) | 0.732",
        "Defined for 287 of 319 test patients with a label, of whom 75 have symptoms on file. Observed: 0.4",
        "| this model | 0.722 (0.660 to 0.780) | – | 0.463 |",
        "| published | 0.634 (0.570 to 0.690) | 0.089 (0.020 to 0.150) | 0.123 |",
        "| teacher | 3 | 30 | 2 | 0.654 | 0.5678 |",
        "Too few patients of either answer to calibrate stenosis_100 (",
        "Their AUROC at stenosis_70: 0.725, 0.705, 0.745 (SD 0.020).",
        "1877 patients without a study; 36% of the people with an ECG were referred",
        "Share of everybody with the disease: stenosis_70 0.156 (0.144 to 0.309).",
        "| stenosis_70 | 156 | 0.744 (0.664 to 0.814) |",
        "| patch features | ridges-1 |",
        "| this model | 0.046 | 17.5 |",
        "| target (78 studies) | AUROC |",
        "| RCA | 0.823 |",
        "| segment 13 | – |",
        "Verdict: **failed**, compared with model-6; not shown to be better.",
        "| workload | **failed** | 400 alerts per 1,000 patients, not within 250 |",
        "| subgroup women | **cannot tell** | women: cannot be judged |",
        "measured on the test patients it is 0.725 (0.680 to 0.770), which is partly luck",
        "| stenosis_70 | 0.4321 | at most 100 alerts |",
        "0" * 64,
    ],
)
def test_a_card_says_what_was_measured(said: str) -> None:
    assert said in model_card(manifest(), {})["card.md"].decode()


def test_what_is_not_there_is_said_and_no_placeholder_is_left() -> None:
    card = model_card(manifest(metrics={}, gate=None, training_run={}), {})["card.md"].decode()
    assert "The gate did not evaluate this model." in card
    assert "the model was trained without angiograms" in card
    assert not re.search(r"\$\w", card)


class Loaded(HTMLParser):
    """Collects whatever a browser would fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.pictures = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.pictures += tag == "img"
        self.urls += [value or "" for name, value in attributes if name in {"src", "href", "data"}]


def test_the_page_holds_its_pictures_and_loads_nothing() -> None:
    frame = np.zeros((8, 8), np.float32)
    found = pictures(predicted()) | {"courses.png": histories({"teacher": HISTORY})}
    found |= {"attention.png": overlays([Overlay("segment 6", frame, frame)])}
    page = model_card(manifest(gate=None), found)["card.html"].decode()
    loaded = Loaded(page)
    assert loaded.pictures == len(found) == 6
    assert all(url.startswith("data:image/png;base64,") for url in loaded.urls)
    assert "url(" not in page
    assert "<script" not in page
    assert page.count("<table>") >= 8
    teacher, _, gate = page.partition("Where the teacher looks")
    assert "Its AUROC on the angiograms" in teacher
    assert gate.index("<img") < gate.index("Gate"), "the picture stands with the teacher"


def test_frames_that_may_hold_text_are_counted_in_place_of_shown() -> None:
    run = {"withheld_frames": 2}
    text = model_card(manifest(training_run=run), {})["card.md"].decode()
    assert "2 frames are not shown here: their files do not state that no text is burned into them" in text
    assert "Where the teacher looks" not in text
    assert "not shown here" not in model_card(manifest(), {})["card.md"].decode()


def test_text_from_outside_stays_text() -> None:
    nasty = {name: Threshold(0.5, "a|b <script>alert(1)</script>") for name in TARGET_NAMES}
    page = model_card(manifest(thresholds=nasty), {})["card.html"].decode()
    assert "<script" not in page
    assert "a&#124;b" in page


def test_a_card_is_the_same_for_the_same_measurements() -> None:
    cards = [model_card(manifest(), pictures(predicted())) for _ in range(2)]
    assert cards[0] == cards[1]


# --- pictures -----------------------------------------------------------------------------------------------


def test_pictures_are_small_pngs() -> None:
    for name, content in (
        pictures(predicted()) | {"courses.png": histories({"a": HISTORY, "b": HISTORY})}
    ).items():
        assert content.startswith(PNG), name
        assert len(content) < 200_000
        assert Image.open(BytesIO(content)).size[0] > 300


def test_there_is_nothing_to_draw_without_cases() -> None:
    assert pictures(BinaryPredictions(np.array([0.1, 0.2]), np.zeros(2, np.float32), 0.5)) == {}


def test_the_area_under_the_drawn_roc_is_the_auroc_and_the_threshold_lies_on_it() -> None:
    case = predicted()
    curve, found = curves.roc(case), binary_metrics(case)
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(found["auroc"])
    assert curve.chosen == pytest.approx((1 - found["specificity"], found["sensitivity"]))
    assert np.min(np.abs(curve.x - curve.chosen[0]) + np.abs(curve.y - curve.chosen[1])) < 1e-6


def test_the_precision_recall_curve_holds_the_threshold() -> None:
    case = predicted()
    curve, found = curves.precision_recall(case), binary_metrics(case)
    assert curve.chosen == pytest.approx((found["sensitivity"], found["positive_predictive_value"]))
    assert np.min(np.abs(curve.x - curve.chosen[0]) + np.abs(curve.y - curve.chosen[1])) < 1e-6


def test_every_ecg_is_in_a_calibration_bin() -> None:
    case = BinaryPredictions(np.array([0.0, 0.05, 0.55, 1.0]), np.array([0, 1, 1, 1], np.float32), 0.5)
    assert [tuple(each) for each in curves.calibration(case)] == [
        (pytest.approx(0.025), 0.5, 2),
        (0.55, 1.0, 1),
        (1.0, 1.0, 1),
    ]


def test_net_benefit_weighs_false_alarms_by_the_odds_of_the_threshold() -> None:
    case = BinaryPredictions(np.array([0.9, 0.6, 0.3, 0.1]), np.array([1, 0, 1, 0], np.float32), 0.5)
    by_model, by_all = curves.net_benefit(case, np.array([0.2, 0.5]))
    assert by_model == pytest.approx([2 / 4 - 0.25 * 1 / 4, 1 / 4 - 1 / 4])
    assert by_all == pytest.approx([2 / 4 - 0.25 * 2 / 4, 0])


# --- how sure -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"draws": 100, "mean_width": 0.2512, "groups": 5, "groups_held": 4}, "are 0.251 wide on average"),
        ({"draws": 100, "mean_width": 0.2512, "groups": 5, "groups_held": 4}, "In 4 of 5 groups"),
        ({"cannot_tell": "12 patients without a study"}, "Intervals: cannot tell. 12 patients without a st"),
        ({"test_patients": 110, "unlike": measured(0.0182, 0.005, 0.064)}, "unlike: 0.018 (0.005 to 0.064)"),
        ({"novelty_cannot_tell": "fewer than 200 held-out ECGs"}, "Unlike ECGs: cannot tell. fewer than 200"),
        (None, "Cannot tell: the scores of this model have neither."),
    ],
)
def test_a_card_says_how_sure_the_scores_are(found: dict[str, Any] | None, said: str) -> None:
    whole = {"cannot_tell": "", "novelty_cannot_tell": ""} | (found or {})
    if "draws" in whole:
        del whole["cannot_tell"]
    metrics = {} if found is None else {"certainty": whole}
    assert said in model_card(manifest(metrics=metrics), {})["card.md"].decode()
