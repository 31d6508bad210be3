"""Figures of a validation as JSON, per patient: every patient weighs one, shared among the patient's ECGs.

A target or subgroup with too few patients with, or without, the target has counts and ``cannot_tell`` in
place of figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stence.cohort.entries import indication_code
from stence.domain.targets import DECISIVE, TARGET_NAMES
from stence.evaluation.bootstrap import interval, resamples
from stence.evaluation.evaluate import measured
from stence.evaluation.intervals import wilson
from stence.evaluation.metrics import BinaryPredictions, in_bins, patient_shares, ratio
from stence.evaluation.predictions import TargetPredictions, predictions_of_target, target_predictions
from stence.evaluation.pretest_comparison import compared_with_pretest
from stence.models import Threshold
from stence.validation.config import ValidationConfig
from stence.validation.gathering import Gathered

Json = dict[str, Any]

DECISIVE_COLUMN = TARGET_NAMES.index(DECISIVE)

NET_BENEFIT_AT = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
"""Threshold probabilities of the decision curve's table, beside the model's own threshold."""
THIS_MODEL = "this model"
COUNTS_OF_PRETEST = ("patients", "labelled", "with_symptoms", "patients_with", "patients_without")
MIN_BIN_PATIENTS = 5
"""A bin of the calibration curve with fewer patients has counts only."""


def targets(gathered: Gathered, thresholds: Mapping[str, Threshold], config: ValidationConfig) -> Json:
    """Return the figures of each target and grey zone."""
    patients = gathered.predictions.patients
    return {
        of_target.name: _figures(of_target, patients, config)
        for of_target in target_predictions(gathered.predictions, thresholds)
    }


def subgroups(gathered: Gathered, thresholds: Mapping[str, Threshold], config: ValidationConfig) -> Json:
    """Return the decisive target's figures in each group of sex, age, site and device."""
    of_target = predictions_of_target(gathered.predictions, DECISIVE, thresholds)
    patients = gathered.predictions.patients
    return {
        kind: {name: _figures(of_target.among(own), patients, config) for name, own in groups}
        for kind, groups in _groups(gathered)
    }


def pretest(gathered: Gathered, config: ValidationConfig) -> Json:
    """Return the model beside the published pre-test probability, or why there are no figures."""
    codes = np.array([indication_code(text) for text in gathered.indication.tolist()], dtype=np.str_)
    found = compared_with_pretest({THIS_MODEL: gathered.predictions}, codes)
    why = _too_few(found, config)
    return {name: found[name] for name in COUNTS_OF_PRETEST} | {"cannot_tell": why} if why else found


def decisive(
    gathered: Gathered, thresholds: Mapping[str, Threshold]
) -> tuple[BinaryPredictions, NDArray[np.int64]]:
    """Return predictions and patients (m,) of the ECGs with a known decisive target."""
    of_target = predictions_of_target(gathered.predictions, DECISIVE, thresholds)
    return of_target.predicted, gathered.predictions.patients[of_target.rows]


def calibration_curve(predicted: BinaryPredictions, patients: NDArray[np.int64]) -> list[Json]:
    """Return each tenth of the probabilities that is not empty: mean risk, share of cases with interval."""
    members, weights = in_bins(predicted) > 0, predicted.weights
    bins = []
    for number in np.flatnonzero(members.any(axis=0)):
        own = members[:, number]
        people = len(np.unique(patients[own]))
        found = wilson(predicted.label[own], weights[own], patients[own])
        bins.append(
            {
                "from": round(number / 10, 1),
                "ecgs": int(own.sum()),
                "patients": people,
                "predicted": round(float(np.average(predicted.probability[own], weights=weights[own])), 4),
                "observed": found if people >= MIN_BIN_PATIENTS else dict.fromkeys(found),
            }
        )
    return bins


def net_benefit(predicted: BinaryPredictions, patients: NDArray[np.int64], count: int) -> list[Json]:
    """Return the net benefit per patient (Vickers & Elkin 2006) at several threshold probabilities.

    Of flagging by the model, of flagging everybody, and of the model over the better of everybody and nobody,
    each with its interval.
    """
    own = round(predicted.threshold, 6)
    at = np.array(sorted({*NET_BENEFIT_AT, *([own] if 0 < own < 1 else [])}))
    model, everybody = _net_benefits(predicted, at, np.ones((1, len(patients))))
    drawn = [_net_benefits(predicted, at, draws) for draws in resamples(patients, count)]
    drawn_model, drawn_everybody = (np.concatenate(each) for each in zip(*drawn, strict=True))
    gain, drawn_gain = model - np.maximum(everybody, 0), drawn_model - np.maximum(drawn_everybody, 0)
    return [
        {
            "threshold": float(threshold),
            "own": bool(threshold == own),
            "model": interval(float(model[0, i]), drawn_model[:, i]),
            "everybody": interval(float(everybody[0, i]), drawn_everybody[:, i]),
            "gain": interval(float(gain[0, i]), drawn_gain[:, i]),
        }
        for i, threshold in enumerate(at)
    ]


def missing(gathered: Gathered) -> list[Json]:
    """Return how many ECGs, and how many patients without any such ECG, lack each item."""
    predictions = gathered.predictions
    known = {
        "age": ~np.isnan(predictions.age),
        "sex": predictions.sex != "",
        "site": gathered.site != "",
        "device": gathered.device != "",
        "indication": gathered.indication != "",
    }
    people = len(np.unique(predictions.patients))
    return [
        {
            "item": item,
            "ecgs": int((~there).sum()),
            "patients": people - len(np.unique(predictions.patients[there])),
        }
        for item, there in known.items()
    ]


def characteristics(gathered: Gathered) -> list[Json]:
    """Return the patients as a whole, with, and without the decisive target; every patient weighs one."""
    labels = gathered.predictions.labels[:, DECISIVE_COLUMN]
    rows = {"all": np.full(len(labels), True), "with": labels == 1, "without": labels == 0}
    return [{"group": name} | _described(gathered, own) for name, own in rows.items()]


def _described(gathered: Gathered, own: NDArray[np.bool_]) -> Json:
    predictions = gathered.predictions
    patients, age, sex = predictions.patients[own], predictions.age[own], predictions.sex[own]
    weights = patient_shares(patients)
    aged, sexed = ~np.isnan(age), sex != ""
    mean = _mean(age[aged], weights[aged])
    spread = None if mean is None else _mean((age[aged] - mean) ** 2, weights[aged])
    return {
        "ecgs": int(own.sum()),
        "patients": len(np.unique(patients)),
        "age_mean": mean,
        "age_sd": None if spread is None else round(spread**0.5, 4),
        "women": _mean((sex[sexed] == "F").astype(float), weights[sexed]),
        "days_before": _mean(gathered.days_before[own], weights),
        "degree": _mean(predictions.degrees[own].max(axis=1, initial=0), weights),
        "risk": _mean(predictions.probabilities[own, DECISIVE_COLUMN], weights),
    }


def _mean(values: NDArray[np.floating], weights: NDArray[np.float64]) -> float | None:
    return round(float(np.average(values, weights=weights)), 4) if len(values) else None


def _figures(of_target: TargetPredictions, patients: NDArray[np.int64], config: ValidationConfig) -> Json:
    own, predicted = patients[of_target.rows], of_target.predicted
    people = {
        "patients_with": len(np.unique(own[predicted.label == 1])),
        "patients_without": len(np.unique(own[predicted.label == 0])),
    }
    if why := _too_few(people, config):
        counts = {"ecgs": len(own), "patients": len(np.unique(own)), "cases": int(predicted.label.sum())}
        return counts | people | {"cannot_tell": why}
    count = config.bootstrap_resamples
    expected = {"observed_to_expected": observed_to_expected(predicted, own, count)}
    return measured(predicted, own, count) | shares(predicted, own) | expected | people


def _too_few(people: Json, config: ValidationConfig) -> str | None:
    """Return why patients with, or without, the target are too few for figures; None if they are not."""
    found = people["patients_with"], people["patients_without"]
    if min(found) >= config.min_patients:
        return None
    return (
        f"{found[0]} patients with and {found[1]} without; at least {config.min_patients} of each are needed"
    )


def shares(predicted: BinaryPredictions, patients: NDArray[np.int64]) -> Json:
    """Return the figures that are shares, each of some of the ECGs."""
    flagged, case = predicted.flagged, predicted.label == 1
    among = {
        "prevalence": (case, np.full(len(case), True)),
        "sensitivity": (flagged, case),
        "specificity": (~flagged, ~case),
        "positive_predictive_value": (case, flagged),
    }
    return {
        name: wilson(values[own].astype(float), predicted.weights[own], patients[own])
        for name, (values, own) in among.items()
    }


def observed_to_expected(predicted: BinaryPredictions, patients: NDArray[np.int64], count: int) -> Json:
    """Return the share of cases over the mean predicted risk."""
    drawn = [_ratios(predicted, draws) for draws in resamples(patients, count)]
    return interval(float(_ratios(predicted, np.ones((1, len(patients))))[0]), np.concatenate(drawn))


def _ratios(predicted: BinaryPredictions, draws: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = draws * predicted.weights
    return ratio(weights @ predicted.label, weights @ predicted.probability)


def _net_benefits(
    predicted: BinaryPredictions, at: NDArray[np.float64], draws: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the net benefit of the model and of flagging everybody, (r, thresholds) each."""
    weights = draws * predicted.weights
    weights /= weights.sum(axis=1, keepdims=True)
    odds, case = at / (1 - at), predicted.label[:, None] == 1
    flagged = predicted.probability[:, None] >= at
    worth = np.where(case, 1.0, -odds)
    return weights @ (flagged * worth), weights @ worth


def _groups(gathered: Gathered) -> Iterator[tuple[str, list[tuple[str, NDArray[np.bool_]]]]]:
    """Yield the groups of each kind with their members (n,): sex, age band, site, device."""
    predictions = gathered.predictions
    yield "sex and age", [*predictions.subgroups().items()]
    for kind, of in (("site", gathered.site), ("device", gathered.device)):
        yield kind, [(str(name) or "not stated", of == name) for name in np.unique(of)]
