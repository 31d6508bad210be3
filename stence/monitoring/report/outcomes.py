"""Section "Outcomes" of the report: scores compared with later cath reports."""

from __future__ import annotations

from collections.abc import Mapping

from stence.domain.targets import DECISIVE
from stence.monitoring.report.answers import Answer
from stence.monitoring.report.charts import Interval, calibration, intervals
from stence.monitoring.report.layout import Block
from stence.monitoring.report.tables import Row, interval, plain, text

ABOUT = (
    "Only patients who were referred to the cath lab have outcomes, and they differ from other patients. "
    "Naive metrics describe the referred patients. Weighted metrics estimate performance for all scored "
    "patients."
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
            (row["target"], [(of(row, "naive"), "other"), (of(row, "weighted"), "model")]) for row in rows
        ]
        charts.append(intervals(title, marks))
    columns = [
        text("Target", "target"),
        text("Figure", "figure"),
        interval("Naive", "naive"),
        interval("Weighted", "weighted"),
        plain("ECGs", "ecgs", "count"),
        text("Recorded from", "window_start"),
        text("Before", "window_end"),
    ]
    return Block(
        answer, columns, title="Performance by target, naive and weighted", charts=charts, legend="outcomes"
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
        interval("AUROC, naive", "auroc_naive"),
        interval("AUROC", "auroc_weighted"),
        interval("PPV", "ppv_weighted"),
        interval("Sensitivity", "sensitivity_weighted"),
        interval("Calibration error", "ece_weighted"),
    ]
    return Block(answer, columns, title=f"Subgroups: {DECISIVE}", charts=charts, legend="subgroups")
