"""Section "Outcomes" of the report: scores compared with later cath reports."""

from __future__ import annotations

from collections.abc import Mapping

from stence.domain.targets import DECISIVE
from stence.monitoring.report.answers import Answer
from stence.monitoring.report.charts import Interval, calibration, intervals
from stence.monitoring.report.layout import Block
from stence.monitoring.report.tables import Row, interval, plain, prose, text

ABOUT = (
    "Only patients who were referred to the cath lab have outcomes, and they differ from other patients. "
    "Each figure names its population: naive, the referred patients; weighted, all scored patients (inverse "
    "probability of referral); overlap, the patients whose referral was open. All are per patient. A figure "
    "that rests on too little is withheld, with the reason. Very small propensities are raised (clipped)."
)
SHOWN = {"auroc": "AUROC", "ppv": "Correct flags (PPV)", "sensitivity": "Flagged cases (sensitivity)"}


def parts(answers: Mapping[str, Answer]) -> list[Block]:
    """Metrics by target, calibration, expected performance, and subgroups."""
    return [
        _figures(answers["outcomes"]),
        _calibration(answers["calibration"]),
        _expected(answers["expected"]),
        _subgroups(answers["subgroups"]),
    ]


def of(row: Row, name: str) -> Interval:
    """A metric of a row, with its interval."""
    return row[name], row[f"{name}_lower"], row[f"{name}_upper"]


def _figures(answer: Answer) -> Block:
    charts = []
    for figure, title in SHOWN.items():
        rows = [row for row in answer.records() if row["figure"] == figure]
        marks = [
            (
                row["target"],
                [
                    (of(row, "naive"), "other"),
                    (of(row, "overlap"), "reference"),
                    (of(row, "weighted"), "model"),
                ],
            )
            for row in rows
        ]
        charts.append(intervals(title, marks))
    columns = [
        text("Target", "target"),
        text("Figure", "figure"),
        interval("Referred patients (naive)", "naive"),
        interval("All scored patients (weighted)", "weighted"),
        plain("Effective patients", "weighted_effective", "count"),
        plain("Weight of the largest 1 %", "weighted_top", "percent"),
        prose("Withheld because", "weighted_withheld"),
        interval("Referral was open (overlap)", "overlap"),
        plain("Effective patients, overlap", "overlap_effective", "count"),
        plain("Weight of the largest 1 %, overlap", "overlap_top", "percent"),
        prose("Withheld because, overlap", "overlap_withheld"),
        plain("Clipped at .02", "clipped_share", "percent"),
        plain("Smallest propensity", "smallest_propensity", "figure"),
        plain("Censored", "censored", "count"),
        plain("ECGs", "ecgs", "count"),
        text("Recorded from", "window_start"),
        text("Before", "window_end"),
    ]
    return Block(
        answer, columns, title="Performance by target and population", charts=charts, legend="outcomes"
    )


def _calibration(answer: Answer) -> Block:
    rows = answer.records()
    charts = [
        calibration(title, [(row[f"predicted{suffix}"], of(row, f"observed{suffix}")) for row in rows], look)
        for title, suffix, look in (
            ("Naive, referred patients", "", "other"),
            ("Weighted, all scored patients", "_weighted", "model"),
        )
    ]
    columns = [
        plain("Tenth", "tenth", "count"),
        plain("ECGs", "ecgs", "count"),
        plain("Predicted", "predicted", "figure"),
        interval("Observed", "observed"),
        plain("Predicted, weighted", "predicted_weighted", "figure"),
        interval("Observed, weighted", "observed_weighted"),
    ]
    title = f"Calibration: {DECISIVE}"
    return Block(answer, columns, title=title, charts=charts, legend="calibration", is_folded=True)


def _expected(answer: Answer) -> Block:
    charts = []
    for figure, title in SHOWN.items():
        rows = [row for row in answer.records() if row["figure"] == figure]
        marks = [
            (row["target"], [(of(row, "expected"), "reference"), (of(row, "weighted"), "model")])
            for row in rows
        ]
        charts.append(intervals(title, marks))
    columns = [
        text("Target", "target"),
        text("Figure", "figure"),
        interval("Expected", "expected"),
        plain("ECGs", "ecgs", "count"),
        text("Recorded", "day"),
        interval("Observed, weighted", "weighted"),
        text("Recorded up to", "outcomes_until"),
    ]
    title = "Expected and observed"
    return Block(answer, columns, title=title, charts=charts, legend="expected", is_folded=True)


def _subgroups(answer: Answer) -> Block:
    charts = [
        intervals(
            title,
            [(row["member"], [(of(row, f"{figure}_weighted"), "model")]) for row in answer.records()],
        )
        for figure, title in SHOWN.items()
    ]
    columns = [
        text("Group by", "dimension"),
        text("Group", "member"),
        plain("Scored", "scored", "count"),
        plain("With outcome", "with_outcome", "count"),
        plain("Effective size", "effective_sample_size", "count"),
        plain("Clipped at .02", "clipped_share", "percent"),
        prose("Withheld because", "withheld"),
        interval("AUROC, naive", "auroc_naive"),
        interval("AUROC", "auroc_weighted"),
        interval("PPV", "ppv_weighted"),
        interval("Sensitivity", "sensitivity_weighted"),
        interval("Calibration error", "ece_weighted"),
    ]
    return Block(answer, columns, title=f"Subgroups: {DECISIVE}", charts=charts, legend="subgroups")
