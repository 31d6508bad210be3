"""A model beside the published pre-test probability, on the same patients and for the same disease."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stence.evaluation.intervals import normal, on_logit_scale, wilson
from stence.evaluation.metrics import BinaryPredictions, patient_shares
from stence.evaluation.paired import areas
from stence.evaluation.predictions import Predictions
from stence.evaluation.pretest import NAME, TARGET, pretest_probability, symptom_scores
from stence.models import TARGET_NAMES

COLUMN = TARGET_NAMES.index(TARGET)


def compared_with_pretest(
    models: Mapping[str, Predictions], indications: NDArray[np.str_] | None
) -> dict[str, Any]:
    """Compare models with the pre-test probability where there is one and the label is known, as JSON.

    All models predict the same ECGs (n,); ``indications`` (n,) are ``indication_code`` of them. Every patient
    weighs one. Of the ``labelled`` patients, ``patients`` have a pre-test probability, and of these
    ``with_symptoms`` have a known symptom score; ``observed`` is their share of cases. A model has its
    ``expected`` share, its AUROC, and a ``gain``: the first model's AUROC minus its own, null for the first.
    """
    first = next(iter(models.values()))
    label, patients = first.labels[:, COLUMN], first.patients
    score = symptom_scores(np.full(len(label), "") if indications is None else indications)
    pretest = pretest_probability(first.age, first.sex, score)
    labelled = ~np.isnan(label)
    rows = np.flatnonzero(labelled & ~np.isnan(pretest))
    shares = patient_shares(patients[rows])
    counts = {
        "patients": len(np.unique(patients[rows])),
        "labelled": len(np.unique(patients[labelled])),
        "with_symptoms": len(np.unique(patients[rows][score[rows] > 0])),
        "patients_with": len(np.unique(patients[rows][label[rows] == 1])),
        "patients_without": len(np.unique(patients[rows][label[rows] == 0])),
    }
    published = BinaryPredictions(pretest[rows], label[rows], threshold=0.5, weight=shares)
    named = {
        name: replace(published, probability=model.probabilities[rows, COLUMN])
        for name, model in models.items()
    } | {NAME: published}
    return counts | {
        "observed": wilson(label[rows].astype(float), shares, patients[rows]),
        "models": _models(named, patients[rows]),
    }


def _models(named: Mapping[str, BinaryPredictions], patients: NDArray[np.int64]) -> dict[str, Any]:
    """Return expected share, AUROC and gain of each model; the gain over itself is null."""
    found = areas([*named.values()], patients)
    each = np.eye(len(named))
    return {
        name: {
            "expected": _mean(predicted),
            "auroc": on_logit_scale(*found.contrast(each[i]), len(patients)).as_json(),
            "gain": normal(*found.contrast(each[0] - each[i])).as_json() if i else None,
        }
        for i, (name, predicted) in enumerate(named.items())
    }


def _mean(predicted: BinaryPredictions) -> float | None:
    if not len(predicted.label):
        return None
    return round(float(np.average(predicted.probability, weights=predicted.weights)), 4)
