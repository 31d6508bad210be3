"""The report of a validation after TRIPOD+AI (Collins et al., BMJ 2024;385:e078378), as one HTML page.

Every number on the page is one of the report's JSON. Items that software cannot know are named, with what the
hospital has to add.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stence.domain.targets import DECISIVE, MAJOR_SEGMENTS, TARGETS
from stence.page import page, templates
from stence.validation.config import MIN_PATIENTS
from stence.validation.words import conclusions, figure, number, reason_text, share

ITEMS = {
    1: "Title",
    2: "Abstract",
    3: "Background",
    4: "Objectives",
    5: "Data",
    6: "Participants",
    7: "Data preparation",
    8: "Outcome",
    9: "Predictors",
    10: "Sample size",
    11: "Missing data",
    12: "Analytical methods",
    13: "Class imbalance",
    14: "Fairness",
    15: "Model output",
    16: "Training versus evaluation",
    17: "Ethical approval",
    18: "Open science",
    19: "Patient and public involvement",
    20: "Participants: flow and characteristics",
    21: "Model development",
    22: "Model specification",
    23: "Model performance",
    24: "Model updating",
    25: "Interpretation",
    26: "Limitations",
    27: "Usability of the model in the context of current care",
}
"""The items of TRIPOD+AI, by number."""
RANKING = {
    "prevalence": "prevalence",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
}
CALIBRATION = {
    "calibration_slope": "slope",
    "calibration_intercept": "intercept",
    "observed_to_expected": "observed / expected",
    "calibration_error": "calibration error",
}
DECISIONS = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "positive_predictive_value": "PPV",
    "alerts_per_1000": "alerts per 1,000 patients",
}
SUBGROUPS = ("prevalence", "auroc", "calibration_slope", "observed_to_expected", "sensitivity", "specificity")
STYLE = ".number { text-align: right } h2 small { color: #666; font-weight: normal } .todo { color: #8a4b00 }"


def report_page(report: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    """Return the page of a report's JSON. ``pictures`` are PNG by file name, of the decisive target."""
    template = templates(Path(__file__).with_name("templates")).get_template("validation.html.j2")
    names = RANKING | CALIBRATION | DECISIONS
    body = template.render(
        report=report,
        items=ITEMS,
        decisive=DECISIVE,
        target_list=TARGETS,
        major=MAJOR_SEGMENTS,
        tables=[("Discrimination", RANKING), ("Calibration", CALIBRATION), ("At the threshold", DECISIONS)],
        subgroup_names={name: names[name] for name in SUBGROUPS},
        min_patients=MIN_PATIENTS,
        conclusions=conclusions(report),
        images={
            name.removesuffix(".png").replace("_", " "): base64.b64encode(content).decode()
            for name, content in pictures.items()
        },
        figure=figure,
        number=number,
        share=share,
        reason_text=reason_text,
    )
    return page(f"Validation of {report['model']['version']}", body, STYLE)
